SELECT DB_NAME() AS [database],
       s.name AS [schema],
       o.name AS [table],
       o.object_id AS object_id,
       RTRIM(o.type) AS type,
       y.base_object_name AS base_object,
       COALESCE(CAST(t.is_memory_optimized AS int), 0) AS is_memory_optimized,
       COALESCE(CAST(t.is_external AS int), 0) AS is_external,
       (SELECT COUNT(*) FROM sys.partitions AS p
        WHERE p.object_id = o.object_id AND p.index_id IN (0, 1)) AS partitions,
       (SELECT SUM(p.rows) FROM sys.partitions AS p
        WHERE p.object_id = o.object_id AND p.index_id IN (0, 1)) AS rows,
       CASE WHEN OBJECT_ID(N'sys.allocation_units') IS NULL THEN 0 ELSE 1 END AS has_sizes,
       CASE WHEN OBJECT_ID(N'sys.security_predicates') IS NULL THEN 0 ELSE 1 END AS has_policies,
       CASE WHEN OBJECT_ID(N'sys.dm_db_stats_histogram') IS NULL THEN 0 ELSE 1 END AS has_histograms
FROM (SELECT 1 AS one) AS always
LEFT JOIN sys.schemas AS s ON s.name = N'dbo'
LEFT JOIN sys.objects AS o ON o.schema_id = s.schema_id AND o.name = N'orders' AND o.parent_object_id = 0
LEFT JOIN sys.tables AS t ON t.object_id = o.object_id
LEFT JOIN sys.synonyms AS y ON y.object_id = o.object_id;

SELECT COUNT(*) AS filters
FROM sys.security_predicates AS p
JOIN sys.security_policies AS y ON y.object_id = p.object_id
WHERE p.target_object_id = 7 AND p.predicate_type = 0 AND y.is_enabled = 1;

SELECT c.name AS name,
       COALESCE(b.name, u.name) AS base_type,
       SCHEMA_NAME(u.schema_id) AS type_schema,
       CASE WHEN u.is_assembly_type = 1 AND u.is_user_defined = 1 THEN 1 ELSE 0 END AS is_clr,
       c.max_length AS max_length,
       c.precision AS [precision],
       c.scale AS scale,
       CAST(c.is_nullable AS int) AS is_nullable,
       CAST(c.is_identity AS int) AS is_identity,
       CASE WHEN c.is_computed = 1 OR c.generated_always_type <> 0 THEN 1 ELSE 0 END AS is_generated,
       CAST(c.is_column_set AS int) AS is_column_set,
       CASE WHEN c.encryption_type IS NULL THEN 0 ELSE 1 END AS is_encrypted,
       CASE WHEN c.is_masked = 1
                 AND COALESCE(HAS_PERMS_BY_NAME(QUOTENAME(DB_NAME()), N'DATABASE', N'UNMASK'), 0) = 0
                 AND COALESCE(HAS_PERMS_BY_NAME(N'[dbo].[Orders]', N'OBJECT', N'UNMASK', c.name, N'COLUMN'), 0) = 0
            THEN 1 ELSE 0 END AS is_masked,
       c.collation_name AS collation,
       CAST(COLLATIONPROPERTY(c.collation_name, 'CodePage') AS int) AS code_page,
       HAS_PERMS_BY_NAME(N'[dbo].[Orders]', N'OBJECT', N'SELECT', c.name, N'COLUMN') AS is_readable
FROM sys.columns AS c
JOIN sys.types AS u ON u.user_type_id = c.user_type_id
LEFT JOIN sys.types AS b ON b.user_type_id = c.system_type_id AND u.is_assembly_type = 0
WHERE c.object_id = 7 AND (c.is_hidden = 0 OR c.generated_always_type <> 0)
ORDER BY c.column_id;

SELECT i.index_id AS index_id,
       CAST(i.is_primary_key AS int) AS is_primary_key,
       c.name AS name,
       CAST(c.is_nullable AS int) AS is_nullable
FROM sys.indexes AS i
JOIN sys.index_columns AS k ON k.object_id = i.object_id AND k.index_id = i.index_id AND k.key_ordinal > 0
JOIN sys.columns AS c ON c.object_id = k.object_id AND c.column_id = k.column_id
WHERE i.object_id = 7
  AND i.is_unique = 1 AND i.has_filter = 0 AND i.is_disabled = 0 AND i.is_hypothetical = 0
ORDER BY i.is_primary_key DESC, i.index_id, k.key_ordinal;

SELECT COALESCE(SUM(CAST(a.used_pages AS bigint)), 0) * 8192 AS bytes
FROM sys.partitions AS p
JOIN sys.allocation_units AS a ON a.container_id = CASE WHEN a.type = 2 THEN p.partition_id ELSE p.hobt_id END
WHERE p.object_id = 7 AND p.index_id IN (0, 1);

SELECT leading.name AS name, MAX(leading.found) AS found
FROM (SELECT c.name AS name, COUNT(*) + SUM(h.distinct_range_rows) AS found
      FROM sys.stats AS s
      JOIN sys.stats_columns AS k ON k.object_id = s.object_id AND k.stats_id = s.stats_id AND k.stats_column_id = 1
      JOIN sys.columns AS c ON c.object_id = k.object_id AND c.column_id = k.column_id
      CROSS APPLY sys.dm_db_stats_histogram(s.object_id, s.stats_id) AS h
      WHERE s.object_id = 7 AND s.has_filter = 0
      GROUP BY c.name, s.stats_id) AS leading
GROUP BY leading.name;

SELECT COUNT_BIG(*) AS rows FROM [dbo].[Orders] WHERE (a = 1 -- b
);

SELECT COUNT_BIG(*) AS rows, COUNT_BIG(CASE WHEN (a = 1) THEN 1 END) AS kept
FROM [dbo].[Orders] TABLESAMPLE SYSTEM (25.000000 PERCENT);

SELECT d.snapshot_isolation_state AS allows_snapshots, CAST(d.is_read_committed_snapshot_on AS int) AS versions_rows
FROM sys.databases AS d WHERE d.name = DB_NAME();

SELECT TOP (5000) s.name AS [schema], o.name AS name
FROM sys.objects AS o JOIN sys.schemas AS s ON s.schema_id = o.schema_id
WHERE o.type IN ('U', 'V') AND (s.name = N'dbo' OR LOWER(o.name) = LOWER(N'orders'))
ORDER BY s.name, o.name;

SELECT TOP (5000) s.name AS name
FROM sys.schemas AS s
WHERE s.name NOT LIKE N'db[_]%' AND s.name NOT IN (N'sys', N'INFORMATION_SCHEMA', N'guest')
ORDER BY s.name;

SELECT COUNT_BIG(*) AS rows FROM [dbo].[Orders] WHERE (a >= 1) AND (b = 2 -- c
);

SELECT CAST(NEWID() AS varchar(36)) AS mark;

SELECT CAST(1 AS bit) AS changed;
