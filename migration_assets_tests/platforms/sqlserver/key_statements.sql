-- arithmetic ranges of an integer

SELECT c.object_id AS object_id,
       c.name AS name,
       CASE WHEN o.type = 'U' AND c.is_nullable = 0 AND c.is_computed = 0 THEN 1 ELSE 0 END AS is_not_null,
       CASE WHEN o.type <> 'U' OR OBJECT_ID(N'sys.dm_db_stats_histogram') IS NULL THEN 0 ELSE 1 END AS has_histograms
FROM sys.objects AS o
JOIN sys.schemas AS s ON s.schema_id = o.schema_id
JOIN sys.columns AS c ON c.object_id = o.object_id
WHERE s.name = N'dbo' AND o.name = N'it''s' AND o.parent_object_id = 0;

SELECT i.index_id AS index_id,
       c.name AS name,
       CASE WHEN i.type = 1 THEN 1 ELSE 0 END AS is_clustered
FROM sys.indexes AS i
JOIN sys.objects AS o ON o.object_id = i.object_id
JOIN sys.index_columns AS k ON k.object_id = i.object_id AND k.index_id = i.index_id AND k.key_ordinal > 0
JOIN sys.columns AS c ON c.object_id = k.object_id AND c.column_id = k.column_id
WHERE i.object_id = 7 AND o.type = 'U' AND i.type IN (1, 2)
  AND i.has_filter = 0 AND i.is_disabled = 0 AND i.is_hypothetical = 0
ORDER BY i.index_id, k.key_ordinal;

SELECT CAST((SELECT MIN([id]) FROM [dbo].[it's]) AS decimal(38, 0)) AS low,
       CAST((SELECT MAX([id]) FROM [dbo].[it's]) AS decimal(38, 0)) AS high;

SELECT 1 WHERE [id] < CAST(N'250001' AS bigint);

SELECT 1 WHERE [id] >= CAST(N'250001' AS bigint) AND [id] < CAST(N'500001' AS bigint);

SELECT 1 WHERE [id] >= CAST(N'500001' AS bigint) AND [id] < CAST(N'750001' AS bigint);

SELECT 1 WHERE [id] >= CAST(N'750001' AS bigint);

-- a histogram

SELECT c.object_id AS object_id,
       c.name AS name,
       CASE WHEN o.type = 'U' AND c.is_nullable = 0 AND c.is_computed = 0 THEN 1 ELSE 0 END AS is_not_null,
       CASE WHEN o.type <> 'U' OR OBJECT_ID(N'sys.dm_db_stats_histogram') IS NULL THEN 0 ELSE 1 END AS has_histograms
FROM sys.objects AS o
JOIN sys.schemas AS s ON s.schema_id = o.schema_id
JOIN sys.columns AS c ON c.object_id = o.object_id
WHERE s.name = N'dbo' AND o.name = N'it''s' AND o.parent_object_id = 0;

SELECT i.index_id AS index_id,
       c.name AS name,
       CASE WHEN i.type = 1 THEN 1 ELSE 0 END AS is_clustered
FROM sys.indexes AS i
JOIN sys.objects AS o ON o.object_id = i.object_id
JOIN sys.index_columns AS k ON k.object_id = i.object_id AND k.index_id = i.index_id AND k.key_ordinal > 0
JOIN sys.columns AS c ON c.object_id = k.object_id AND c.column_id = k.column_id
WHERE i.object_id = 7 AND o.type = 'U' AND i.type IN (1, 2)
  AND i.has_filter = 0 AND i.is_disabled = 0 AND i.is_hypothetical = 0
ORDER BY i.index_id, k.key_ordinal;

SELECT CONVERT(varchar(20), CAST(h.range_high_key AS bigint)) AS bound,
       CAST(h.range_rows AS float) AS range_rows,
       CAST(h.equal_rows AS float) AS equal_rows,
       latest.changed AS changed
FROM (SELECT TOP (1) s.object_id AS object_id, s.stats_id AS stats_id, p.modification_counter AS changed
      FROM sys.stats AS s
      JOIN sys.stats_columns AS k ON k.object_id = s.object_id AND k.stats_id = s.stats_id AND k.stats_column_id = 1
      JOIN sys.columns AS c ON c.object_id = k.object_id AND c.column_id = k.column_id
      CROSS APPLY sys.dm_db_stats_properties(s.object_id, s.stats_id) AS p
      WHERE s.object_id = 7 AND c.name = N'id' AND s.has_filter = 0
      ORDER BY p.last_updated DESC) AS latest
CROSS APPLY sys.dm_db_stats_histogram(latest.object_id, latest.stats_id) AS h
ORDER BY h.step_number;

WITH bounds(number, k1) AS (
    SELECT 0, [id] FROM [dbo].[it's] WHERE 1 = 0
    UNION ALL SELECT number, k1 FROM (VALUES (1, CAST(N'5000' AS bigint)), (2, CAST(N'10000' AS bigint)), (3, CAST(N'15000' AS bigint))) AS given(number, k1)
)
SELECT COUNT(*) AS pairs FROM bounds AS low JOIN bounds AS high ON high.number = low.number + 1
WHERE NOT (low.k1 < high.k1);

SELECT 1 WHERE [id] < CAST(N'5000' AS bigint);

SELECT 1 WHERE [id] >= CAST(N'5000' AS bigint) AND [id] < CAST(N'10000' AS bigint);

SELECT 1 WHERE [id] >= CAST(N'10000' AS bigint) AND [id] < CAST(N'15000' AS bigint);

SELECT 1 WHERE [id] >= CAST(N'15000' AS bigint);

-- a sample of pages, no index

SELECT c.object_id AS object_id,
       c.name AS name,
       CASE WHEN o.type = 'U' AND c.is_nullable = 0 AND c.is_computed = 0 THEN 1 ELSE 0 END AS is_not_null,
       CASE WHEN o.type <> 'U' OR OBJECT_ID(N'sys.dm_db_stats_histogram') IS NULL THEN 0 ELSE 1 END AS has_histograms
FROM sys.objects AS o
JOIN sys.schemas AS s ON s.schema_id = o.schema_id
JOIN sys.columns AS c ON c.object_id = o.object_id
WHERE s.name = N'dbo' AND o.name = N'it''s' AND o.parent_object_id = 0;

SELECT i.index_id AS index_id,
       c.name AS name,
       CASE WHEN i.type = 1 THEN 1 ELSE 0 END AS is_clustered
FROM sys.indexes AS i
JOIN sys.objects AS o ON o.object_id = i.object_id
JOIN sys.index_columns AS k ON k.object_id = i.object_id AND k.index_id = i.index_id AND k.key_ordinal > 0
JOIN sys.columns AS c ON c.object_id = k.object_id AND c.column_id = k.column_id
WHERE i.object_id = 7 AND o.type = 'U' AND i.type IN (1, 2)
  AND i.has_filter = 0 AND i.is_disabled = 0 AND i.is_hypothetical = 0
ORDER BY i.index_id, k.key_ordinal;

SELECT CONVERT(varchar(23), CAST(h.range_high_key AS datetime), 121) AS bound,
       CAST(h.range_rows AS float) AS range_rows,
       CAST(h.equal_rows AS float) AS equal_rows,
       latest.changed AS changed
FROM (SELECT TOP (1) s.object_id AS object_id, s.stats_id AS stats_id, p.modification_counter AS changed
      FROM sys.stats AS s
      JOIN sys.stats_columns AS k ON k.object_id = s.object_id AND k.stats_id = s.stats_id AND k.stats_column_id = 1
      JOIN sys.columns AS c ON c.object_id = k.object_id AND c.column_id = k.column_id
      CROSS APPLY sys.dm_db_stats_properties(s.object_id, s.stats_id) AS p
      WHERE s.object_id = 7 AND c.name = N'day' AND s.has_filter = 0
      ORDER BY p.last_updated DESC) AS latest
CROSS APPLY sys.dm_db_stats_histogram(latest.object_id, latest.stats_id) AS h
ORDER BY h.step_number;

WITH sample AS (SELECT 0 AS part, [day] AS k1, [na]]me] AS k2 FROM [dbo].[it's] TABLESAMPLE SYSTEM (0.838863 PERCENT) REPEATABLE (42)),
grouped AS (
    SELECT sample.part AS part, parts.pieces AS pieces, k1, k2, COUNT_BIG(*) AS size,
           CASE WHEN k1 IS NULL OR k2 IS NULL THEN 1 ELSE 0 END AS missing
    FROM sample JOIN (VALUES (0, 4)) AS parts(part, pieces) ON parts.part = sample.part
    GROUP BY sample.part, parts.pieces, k1, k2
),
placed AS (
    SELECT part, pieces, k1, k2, size, missing,
           SUM(size) OVER (PARTITION BY part, missing ORDER BY k1, k2 ROWS UNBOUNDED PRECEDING) - size AS before,
           LAG(size) OVER (PARTITION BY part, missing ORDER BY k1, k2) AS size_of_previous,
           SUM(size) OVER (PARTITION BY part, missing) AS total,
           SUM(size) OVER () AS sampled,
           SUM(size * missing) OVER () AS absent,
           ROW_NUMBER() OVER (ORDER BY part, missing, k1, k2) AS place
    FROM grouped
),
numbered AS (
    SELECT part, k1, k2, before, sampled, absent, place,
           CASE WHEN missing = 0 AND (before * pieces / total > (before - size_of_previous) * pieces / total
                                      OR (size * pieces >= total AND size_of_previous IS NOT NULL))
                THEN 1 ELSE 0 END AS begins
    FROM placed
)
SELECT part, before, sampled, absent, begins, CONVERT(varchar(23), k1, 121) AS t1, LEFT(CAST(k2 AS nvarchar(max)), 1001) AS t2 FROM numbered WHERE begins = 1 OR place = 1 ORDER BY place;

WITH bounds(number, k1, k2) AS (
    SELECT 0, [day], [na]]me] COLLATE SQL_Latin1_General_CP1_CI_AS FROM [dbo].[it's] WHERE 1 = 0
    UNION ALL SELECT number, k1, k2 FROM (VALUES (1, CAST(N'2024-01-01T12:00:00.997' AS datetime), CAST(N'Zoë''s' COLLATE SQL_Latin1_General_CP1_CI_AS AS varchar(8000))), (2, CAST(N'2024-01-05T12:00:00.997' AS datetime), CAST(N'Zoë''s' COLLATE SQL_Latin1_General_CP1_CI_AS AS varchar(8000))), (3, CAST(N'2024-01-09T12:00:00.997' AS datetime), CAST(N'Zoë''s' COLLATE SQL_Latin1_General_CP1_CI_AS AS varchar(8000)))) AS given(number, k1, k2)
)
SELECT COUNT(*) AS pairs FROM bounds AS low JOIN bounds AS high ON high.number = low.number + 1
WHERE NOT (low.k1 <= high.k1 AND (low.k1 < high.k1 OR low.k2 < high.k2));

SELECT 1 WHERE [day] IS NOT NULL AND [na]]me] IS NOT NULL AND [day] <= CAST(N'2024-01-01T12:00:00.997' AS datetime) AND ([day] < CAST(N'2024-01-01T12:00:00.997' AS datetime) OR [na]]me] < CAST(N'Zoë''s' COLLATE SQL_Latin1_General_CP1_CI_AS AS varchar(8000)));

SELECT 1 WHERE [day] IS NOT NULL AND [na]]me] IS NOT NULL AND [day] >= CAST(N'2024-01-01T12:00:00.997' AS datetime) AND ([day] > CAST(N'2024-01-01T12:00:00.997' AS datetime) OR [na]]me] >= CAST(N'Zoë''s' COLLATE SQL_Latin1_General_CP1_CI_AS AS varchar(8000))) AND [day] <= CAST(N'2024-01-05T12:00:00.997' AS datetime) AND ([day] < CAST(N'2024-01-05T12:00:00.997' AS datetime) OR [na]]me] < CAST(N'Zoë''s' COLLATE SQL_Latin1_General_CP1_CI_AS AS varchar(8000)));

SELECT 1 WHERE [day] IS NOT NULL AND [na]]me] IS NOT NULL AND [day] >= CAST(N'2024-01-05T12:00:00.997' AS datetime) AND ([day] > CAST(N'2024-01-05T12:00:00.997' AS datetime) OR [na]]me] >= CAST(N'Zoë''s' COLLATE SQL_Latin1_General_CP1_CI_AS AS varchar(8000))) AND [day] <= CAST(N'2024-01-09T12:00:00.997' AS datetime) AND ([day] < CAST(N'2024-01-09T12:00:00.997' AS datetime) OR [na]]me] < CAST(N'Zoë''s' COLLATE SQL_Latin1_General_CP1_CI_AS AS varchar(8000)));

SELECT 1 WHERE [day] IS NOT NULL AND [na]]me] IS NOT NULL AND [day] >= CAST(N'2024-01-09T12:00:00.997' AS datetime) AND ([day] > CAST(N'2024-01-09T12:00:00.997' AS datetime) OR [na]]me] >= CAST(N'Zoë''s' COLLATE SQL_Latin1_General_CP1_CI_AS AS varchar(8000)));

SELECT 1 WHERE [day] IS NULL OR [na]]me] IS NULL;

-- a filter

SELECT c.object_id AS object_id,
       c.name AS name,
       CASE WHEN o.type = 'U' AND c.is_nullable = 0 AND c.is_computed = 0 THEN 1 ELSE 0 END AS is_not_null,
       CASE WHEN o.type <> 'U' OR OBJECT_ID(N'sys.dm_db_stats_histogram') IS NULL THEN 0 ELSE 1 END AS has_histograms
FROM sys.objects AS o
JOIN sys.schemas AS s ON s.schema_id = o.schema_id
JOIN sys.columns AS c ON c.object_id = o.object_id
WHERE s.name = N'dbo' AND o.name = N'it''s' AND o.parent_object_id = 0;

SELECT i.index_id AS index_id,
       c.name AS name,
       CASE WHEN i.type = 1 THEN 1 ELSE 0 END AS is_clustered
FROM sys.indexes AS i
JOIN sys.objects AS o ON o.object_id = i.object_id
JOIN sys.index_columns AS k ON k.object_id = i.object_id AND k.index_id = i.index_id AND k.key_ordinal > 0
JOIN sys.columns AS c ON c.object_id = k.object_id AND c.column_id = k.column_id
WHERE i.object_id = 7 AND o.type = 'U' AND i.type IN (1, 2)
  AND i.has_filter = 0 AND i.is_disabled = 0 AND i.is_hypothetical = 0
ORDER BY i.index_id, k.key_ordinal;

SELECT COUNT_BIG(*) AS rows FROM [dbo].[it's] WHERE (price > 3 -- dear
);

WITH sample AS (SELECT 0 AS part, [price] AS k1 FROM [dbo].[it's] TABLESAMPLE SYSTEM (0.838863 PERCENT) REPEATABLE (42) WHERE (price > 3 -- dear
)),
grouped AS (
    SELECT sample.part AS part, parts.pieces AS pieces, k1, COUNT_BIG(*) AS size,
           CASE WHEN k1 IS NULL THEN 1 ELSE 0 END AS missing
    FROM sample JOIN (VALUES (0, 4)) AS parts(part, pieces) ON parts.part = sample.part
    GROUP BY sample.part, parts.pieces, k1
),
placed AS (
    SELECT part, pieces, k1, size, missing,
           SUM(size) OVER (PARTITION BY part, missing ORDER BY k1 ROWS UNBOUNDED PRECEDING) - size AS before,
           LAG(size) OVER (PARTITION BY part, missing ORDER BY k1) AS size_of_previous,
           SUM(size) OVER (PARTITION BY part, missing) AS total,
           SUM(size) OVER () AS sampled,
           SUM(size * missing) OVER () AS absent,
           ROW_NUMBER() OVER (ORDER BY part, missing, k1) AS place
    FROM grouped
),
numbered AS (
    SELECT part, k1, before, sampled, absent, place,
           CASE WHEN missing = 0 AND (before * pieces / total > (before - size_of_previous) * pieces / total
                                      OR (size * pieces >= total AND size_of_previous IS NOT NULL))
                THEN 1 ELSE 0 END AS begins
    FROM placed
)
SELECT part, before, sampled, absent, begins, CONVERT(varchar(41), CAST(k1 AS decimal(19, 4))) AS t1 FROM numbered WHERE begins = 1 OR place = 1 ORDER BY place;

WITH bounds(number, k1) AS (
    SELECT 0, [price] FROM [dbo].[it's] WHERE 1 = 0
    UNION ALL SELECT number, k1 FROM (VALUES (1, CAST(N'1.5000' AS money)), (2, CAST(N'5.5000' AS money)), (3, CAST(N'9.5000' AS money))) AS given(number, k1)
)
SELECT COUNT(*) AS pairs FROM bounds AS low JOIN bounds AS high ON high.number = low.number + 1
WHERE NOT (low.k1 < high.k1);

SELECT 1 WHERE [price] < CAST(N'1.5000' AS money);

SELECT 1 WHERE [price] >= CAST(N'1.5000' AS money) AND [price] < CAST(N'5.5000' AS money);

SELECT 1 WHERE [price] >= CAST(N'5.5000' AS money) AND [price] < CAST(N'9.5000' AS money);

SELECT 1 WHERE [price] >= CAST(N'9.5000' AS money);

-- a view, whose rows are counted and taken by chance

SELECT c.object_id AS object_id,
       c.name AS name,
       CASE WHEN o.type = 'U' AND c.is_nullable = 0 AND c.is_computed = 0 THEN 1 ELSE 0 END AS is_not_null,
       CASE WHEN o.type <> 'U' OR OBJECT_ID(N'sys.dm_db_stats_histogram') IS NULL THEN 0 ELSE 1 END AS has_histograms
FROM sys.objects AS o
JOIN sys.schemas AS s ON s.schema_id = o.schema_id
JOIN sys.columns AS c ON c.object_id = o.object_id
WHERE s.name = N'dbo' AND o.name = N'it''s' AND o.parent_object_id = 0;

SELECT i.index_id AS index_id,
       c.name AS name,
       CASE WHEN i.type = 1 THEN 1 ELSE 0 END AS is_clustered
FROM sys.indexes AS i
JOIN sys.objects AS o ON o.object_id = i.object_id
JOIN sys.index_columns AS k ON k.object_id = i.object_id AND k.index_id = i.index_id AND k.key_ordinal > 0
JOIN sys.columns AS c ON c.object_id = k.object_id AND c.column_id = k.column_id
WHERE i.object_id = 7 AND o.type = 'U' AND i.type IN (1, 2)
  AND i.has_filter = 0 AND i.is_disabled = 0 AND i.is_hypothetical = 0
ORDER BY i.index_id, k.key_ordinal;

SELECT COUNT_BIG(*) AS rows FROM [dbo].[it's];

SELECT CAST(CAST(h.range_high_key AS binary(8)) AS varbinary(501)) AS bound,
       CAST(h.range_rows AS float) AS range_rows,
       CAST(h.equal_rows AS float) AS equal_rows,
       latest.changed AS changed
FROM (SELECT TOP (1) s.object_id AS object_id, s.stats_id AS stats_id, p.modification_counter AS changed
      FROM sys.stats AS s
      JOIN sys.stats_columns AS k ON k.object_id = s.object_id AND k.stats_id = s.stats_id AND k.stats_column_id = 1
      JOIN sys.columns AS c ON c.object_id = k.object_id AND c.column_id = k.column_id
      CROSS APPLY sys.dm_db_stats_properties(s.object_id, s.stats_id) AS p
      WHERE s.object_id = 7 AND c.name = N'version' AND s.has_filter = 0
      ORDER BY p.last_updated DESC) AS latest
CROSS APPLY sys.dm_db_stats_histogram(latest.object_id, latest.stats_id) AS h
ORDER BY h.step_number;

WITH sample AS (SELECT 0 AS part, [version] AS k1 FROM [dbo].[it's]),
grouped AS (
    SELECT sample.part AS part, parts.pieces AS pieces, k1, COUNT_BIG(*) AS size,
           CASE WHEN k1 IS NULL THEN 1 ELSE 0 END AS missing
    FROM sample JOIN (VALUES (0, 4)) AS parts(part, pieces) ON parts.part = sample.part
    GROUP BY sample.part, parts.pieces, k1
),
placed AS (
    SELECT part, pieces, k1, size, missing,
           SUM(size) OVER (PARTITION BY part, missing ORDER BY k1 ROWS UNBOUNDED PRECEDING) - size AS before,
           LAG(size) OVER (PARTITION BY part, missing ORDER BY k1) AS size_of_previous,
           SUM(size) OVER (PARTITION BY part, missing) AS total,
           SUM(size) OVER () AS sampled,
           SUM(size * missing) OVER () AS absent,
           ROW_NUMBER() OVER (ORDER BY part, missing, k1) AS place
    FROM grouped
),
numbered AS (
    SELECT part, k1, before, sampled, absent, place,
           CASE WHEN missing = 0 AND (before * pieces / total > (before - size_of_previous) * pieces / total
                                      OR (size * pieces >= total AND size_of_previous IS NOT NULL))
                THEN 1 ELSE 0 END AS begins
    FROM placed
)
SELECT part, before, sampled, absent, begins, CAST(k1 AS varbinary(501)) AS t1 FROM numbered WHERE begins = 1 OR place = 1 ORDER BY place;

WITH bounds(number, k1) AS (
    SELECT 0, [version] FROM [dbo].[it's] WHERE 1 = 0
    UNION ALL SELECT number, k1 FROM (VALUES (1, CAST(0x0000000000000001 AS binary(8))), (2, CAST(0x0000000000000005 AS binary(8))), (3, CAST(0x0000000000000009 AS binary(8)))) AS given(number, k1)
)
SELECT COUNT(*) AS pairs FROM bounds AS low JOIN bounds AS high ON high.number = low.number + 1
WHERE NOT (low.k1 < high.k1);

SELECT 1 WHERE [version] < CAST(0x0000000000000001 AS binary(8));

SELECT 1 WHERE [version] >= CAST(0x0000000000000001 AS binary(8)) AND [version] < CAST(0x0000000000000005 AS binary(8));

SELECT 1 WHERE [version] >= CAST(0x0000000000000005 AS binary(8)) AND [version] < CAST(0x0000000000000009 AS binary(8));

SELECT 1 WHERE [version] >= CAST(0x0000000000000009 AS binary(8));

-- ranges of a limited size, by index

SELECT c.object_id AS object_id,
       c.name AS name,
       CASE WHEN o.type = 'U' AND c.is_nullable = 0 AND c.is_computed = 0 THEN 1 ELSE 0 END AS is_not_null,
       CASE WHEN o.type <> 'U' OR OBJECT_ID(N'sys.dm_db_stats_histogram') IS NULL THEN 0 ELSE 1 END AS has_histograms
FROM sys.objects AS o
JOIN sys.schemas AS s ON s.schema_id = o.schema_id
JOIN sys.columns AS c ON c.object_id = o.object_id
WHERE s.name = N'dbo' AND o.name = N'it''s' AND o.parent_object_id = 0;

SELECT i.index_id AS index_id,
       c.name AS name,
       CASE WHEN i.type = 1 THEN 1 ELSE 0 END AS is_clustered
FROM sys.indexes AS i
JOIN sys.objects AS o ON o.object_id = i.object_id
JOIN sys.index_columns AS k ON k.object_id = i.object_id AND k.index_id = i.index_id AND k.key_ordinal > 0
JOIN sys.columns AS c ON c.object_id = k.object_id AND c.column_id = k.column_id
WHERE i.object_id = 7 AND o.type = 'U' AND i.type IN (1, 2)
  AND i.has_filter = 0 AND i.is_disabled = 0 AND i.is_hypothetical = 0
ORDER BY i.index_id, k.key_ordinal;

WITH sample AS (SELECT 0 AS part, [id] AS k1 FROM [dbo].[it's] TABLESAMPLE SYSTEM (6.000000 PERCENT) REPEATABLE (42)),
grouped AS (
    SELECT sample.part AS part, parts.pieces AS pieces, k1, COUNT_BIG(*) AS size,
           CASE WHEN k1 IS NULL THEN 1 ELSE 0 END AS missing
    FROM sample JOIN (VALUES (0, 2500)) AS parts(part, pieces) ON parts.part = sample.part
    GROUP BY sample.part, parts.pieces, k1
),
placed AS (
    SELECT part, pieces, k1, size, missing,
           SUM(size) OVER (PARTITION BY part, missing ORDER BY k1 ROWS UNBOUNDED PRECEDING) - size AS before,
           LAG(size) OVER (PARTITION BY part, missing ORDER BY k1) AS size_of_previous,
           SUM(size) OVER (PARTITION BY part, missing) AS total,
           SUM(size) OVER () AS sampled,
           SUM(size * missing) OVER () AS absent,
           ROW_NUMBER() OVER (ORDER BY part, missing, k1) AS place
    FROM grouped
),
numbered AS (
    SELECT part, k1, before, sampled, absent, place,
           CASE WHEN missing = 0 AND (before * pieces / total > (before - size_of_previous) * pieces / total
                                      OR (size * pieces >= total AND size_of_previous IS NOT NULL))
                THEN 1 ELSE 0 END AS begins
    FROM placed
)
SELECT part, before, sampled, absent, begins, CONVERT(varchar(20), k1) AS t1 FROM numbered WHERE begins = 1 OR place = 1 ORDER BY place;

WITH sample AS (SELECT 0 AS part, [id] AS k1 FROM [dbo].[it's] WHERE (CHECKSUM(NEWID(), [id]) & 2147483647 < 107374182)),
grouped AS (
    SELECT sample.part AS part, parts.pieces AS pieces, k1, COUNT_BIG(*) AS size,
           CASE WHEN k1 IS NULL THEN 1 ELSE 0 END AS missing
    FROM sample JOIN (VALUES (0, 2500)) AS parts(part, pieces) ON parts.part = sample.part
    GROUP BY sample.part, parts.pieces, k1
),
placed AS (
    SELECT part, pieces, k1, size, missing,
           SUM(size) OVER (PARTITION BY part, missing ORDER BY k1 ROWS UNBOUNDED PRECEDING) - size AS before,
           LAG(size) OVER (PARTITION BY part, missing ORDER BY k1) AS size_of_previous,
           SUM(size) OVER (PARTITION BY part, missing) AS total,
           SUM(size) OVER () AS sampled,
           SUM(size * missing) OVER () AS absent,
           ROW_NUMBER() OVER (ORDER BY part, missing, k1) AS place
    FROM grouped
),
numbered AS (
    SELECT part, k1, before, sampled, absent, place,
           CASE WHEN missing = 0 AND (before * pieces / total > (before - size_of_previous) * pieces / total
                                      OR (size * pieces >= total AND size_of_previous IS NOT NULL))
                THEN 1 ELSE 0 END AS begins
    FROM placed
)
SELECT part, before, sampled, absent, begins, CONVERT(varchar(20), k1) AS t1 FROM numbered WHERE begins = 1 OR place = 1 ORDER BY place;

WITH bounds(number, k1) AS (
    SELECT 0, [id] FROM [dbo].[it's] WHERE 1 = 0
    UNION ALL SELECT number, k1 FROM (VALUES (1, CAST(N'1' AS bigint)), (2, CAST(N'5' AS bigint)), (3, CAST(N'9' AS bigint))) AS given(number, k1)
)
SELECT COUNT(*) AS pairs FROM bounds AS low JOIN bounds AS high ON high.number = low.number + 1
WHERE NOT (low.k1 < high.k1);

SELECT 0 AS number, COUNT_BIG(*) AS rows FROM [dbo].[it's] WHERE ([id] < CAST(N'1' AS bigint))
UNION ALL SELECT 1 AS number, COUNT_BIG(*) AS rows FROM [dbo].[it's] WHERE ([id] >= CAST(N'1' AS bigint) AND [id] < CAST(N'5' AS bigint))
UNION ALL SELECT 2 AS number, COUNT_BIG(*) AS rows FROM [dbo].[it's] WHERE ([id] >= CAST(N'5' AS bigint) AND [id] < CAST(N'9' AS bigint))
UNION ALL SELECT 3 AS number, COUNT_BIG(*) AS rows FROM [dbo].[it's] WHERE ([id] >= CAST(N'9' AS bigint));

WITH sample AS (SELECT CASE WHEN [id] < CAST(N'5' AS bigint) THEN CASE WHEN [id] < CAST(N'1' AS bigint) THEN 0 ELSE 1 END ELSE 2 END AS part, [id] AS k1 FROM [dbo].[it's] WHERE ([id] >= CAST(N'1' AS bigint) AND [id] < CAST(N'5' AS bigint))),
grouped AS (
    SELECT sample.part AS part, parts.pieces AS pieces, k1, COUNT_BIG(*) AS size,
           CASE WHEN k1 IS NULL THEN 1 ELSE 0 END AS missing
    FROM sample JOIN (VALUES (1, 2)) AS parts(part, pieces) ON parts.part = sample.part
    GROUP BY sample.part, parts.pieces, k1
),
placed AS (
    SELECT part, pieces, k1, size, missing,
           SUM(size) OVER (PARTITION BY part, missing ORDER BY k1 ROWS UNBOUNDED PRECEDING) - size AS before,
           LAG(size) OVER (PARTITION BY part, missing ORDER BY k1) AS size_of_previous,
           SUM(size) OVER (PARTITION BY part, missing) AS total,
           SUM(size) OVER () AS sampled,
           SUM(size * missing) OVER () AS absent,
           ROW_NUMBER() OVER (ORDER BY part, missing, k1) AS place
    FROM grouped
),
numbered AS (
    SELECT part, k1, before, sampled, absent, place,
           CASE WHEN missing = 0 AND (before * pieces / total > (before - size_of_previous) * pieces / total
                                      OR (size * pieces >= total AND size_of_previous IS NOT NULL))
                THEN 1 ELSE 0 END AS begins
    FROM placed
)
SELECT part, before, sampled, absent, begins, CONVERT(varchar(20), k1) AS t1 FROM numbered WHERE begins = 1 OR place = 1 ORDER BY place;

SELECT 0 AS number, COUNT_BIG(*) AS rows FROM [dbo].[it's] WHERE ([id] >= CAST(N'1' AS bigint) AND [id] < CAST(N'1' AS bigint))
UNION ALL SELECT 1 AS number, COUNT_BIG(*) AS rows FROM [dbo].[it's] WHERE ([id] >= CAST(N'1' AS bigint) AND [id] < CAST(N'5' AS bigint))
UNION ALL SELECT 2 AS number, COUNT_BIG(*) AS rows FROM [dbo].[it's] WHERE ([id] >= CAST(N'5' AS bigint) AND [id] < CAST(N'9' AS bigint))
UNION ALL SELECT 3 AS number, COUNT_BIG(*) AS rows FROM [dbo].[it's] WHERE ([id] >= CAST(N'9' AS bigint) AND [id] < CAST(N'5' AS bigint));

WITH bounds(number, k1) AS (
    SELECT 0, [id] FROM [dbo].[it's] WHERE 1 = 0
    UNION ALL SELECT number, k1 FROM (VALUES (1, CAST(N'1' AS bigint)), (2, CAST(N'1' AS bigint)), (3, CAST(N'5' AS bigint)), (4, CAST(N'9' AS bigint)), (5, CAST(N'5' AS bigint)), (6, CAST(N'9' AS bigint))) AS given(number, k1)
)
SELECT COUNT(*) AS pairs FROM bounds AS low JOIN bounds AS high ON high.number = low.number + 1
WHERE NOT (low.k1 < high.k1);

SELECT 1 WHERE [id] < CAST(N'1' AS bigint);

SELECT 1 WHERE [id] >= CAST(N'1' AS bigint) AND [id] < CAST(N'1' AS bigint);

SELECT 1 WHERE [id] >= CAST(N'1' AS bigint) AND [id] < CAST(N'5' AS bigint);

SELECT 1 WHERE [id] >= CAST(N'5' AS bigint) AND [id] < CAST(N'9' AS bigint);

SELECT 1 WHERE [id] >= CAST(N'9' AS bigint) AND [id] < CAST(N'5' AS bigint);

SELECT 1 WHERE [id] >= CAST(N'5' AS bigint) AND [id] < CAST(N'9' AS bigint);

SELECT 1 WHERE [id] >= CAST(N'9' AS bigint);

-- ranges of a limited size, in one pass

SELECT c.object_id AS object_id,
       c.name AS name,
       CASE WHEN o.type = 'U' AND c.is_nullable = 0 AND c.is_computed = 0 THEN 1 ELSE 0 END AS is_not_null,
       CASE WHEN o.type <> 'U' OR OBJECT_ID(N'sys.dm_db_stats_histogram') IS NULL THEN 0 ELSE 1 END AS has_histograms
FROM sys.objects AS o
JOIN sys.schemas AS s ON s.schema_id = o.schema_id
JOIN sys.columns AS c ON c.object_id = o.object_id
WHERE s.name = N'dbo' AND o.name = N'it''s' AND o.parent_object_id = 0;

SELECT i.index_id AS index_id,
       c.name AS name,
       CASE WHEN i.type = 1 THEN 1 ELSE 0 END AS is_clustered
FROM sys.indexes AS i
JOIN sys.objects AS o ON o.object_id = i.object_id
JOIN sys.index_columns AS k ON k.object_id = i.object_id AND k.index_id = i.index_id AND k.key_ordinal > 0
JOIN sys.columns AS c ON c.object_id = k.object_id AND c.column_id = k.column_id
WHERE i.object_id = 7 AND o.type = 'U' AND i.type IN (1, 2)
  AND i.has_filter = 0 AND i.is_disabled = 0 AND i.is_hypothetical = 0
ORDER BY i.index_id, k.key_ordinal;

WITH sample AS (SELECT 0 AS part, [day] AS k1, [na]]me] AS k2 FROM [dbo].[it's] TABLESAMPLE SYSTEM (6.000000 PERCENT) REPEATABLE (42)),
grouped AS (
    SELECT sample.part AS part, parts.pieces AS pieces, k1, k2, COUNT_BIG(*) AS size,
           CASE WHEN k1 IS NULL OR k2 IS NULL THEN 1 ELSE 0 END AS missing
    FROM sample JOIN (VALUES (0, 2500)) AS parts(part, pieces) ON parts.part = sample.part
    GROUP BY sample.part, parts.pieces, k1, k2
),
placed AS (
    SELECT part, pieces, k1, k2, size, missing,
           SUM(size) OVER (PARTITION BY part, missing ORDER BY k1, k2 ROWS UNBOUNDED PRECEDING) - size AS before,
           LAG(size) OVER (PARTITION BY part, missing ORDER BY k1, k2) AS size_of_previous,
           SUM(size) OVER (PARTITION BY part, missing) AS total,
           SUM(size) OVER () AS sampled,
           SUM(size * missing) OVER () AS absent,
           ROW_NUMBER() OVER (ORDER BY part, missing, k1, k2) AS place
    FROM grouped
),
numbered AS (
    SELECT part, k1, k2, before, sampled, absent, place,
           CASE WHEN missing = 0 AND (before * pieces / total > (before - size_of_previous) * pieces / total
                                      OR (size * pieces >= total AND size_of_previous IS NOT NULL))
                THEN 1 ELSE 0 END AS begins
    FROM placed
)
SELECT part, before, sampled, absent, begins, CONVERT(varchar(23), k1, 121) AS t1, LEFT(CAST(k2 AS nvarchar(max)), 1001) AS t2 FROM numbered WHERE begins = 1 OR place = 1 ORDER BY place;

WITH sample AS (SELECT 0 AS part, [day] AS k1, [na]]me] AS k2 FROM [dbo].[it's] WHERE (CHECKSUM(NEWID(), [day]) & 2147483647 < 107374182)),
grouped AS (
    SELECT sample.part AS part, parts.pieces AS pieces, k1, k2, COUNT_BIG(*) AS size,
           CASE WHEN k1 IS NULL OR k2 IS NULL THEN 1 ELSE 0 END AS missing
    FROM sample JOIN (VALUES (0, 2500)) AS parts(part, pieces) ON parts.part = sample.part
    GROUP BY sample.part, parts.pieces, k1, k2
),
placed AS (
    SELECT part, pieces, k1, k2, size, missing,
           SUM(size) OVER (PARTITION BY part, missing ORDER BY k1, k2 ROWS UNBOUNDED PRECEDING) - size AS before,
           LAG(size) OVER (PARTITION BY part, missing ORDER BY k1, k2) AS size_of_previous,
           SUM(size) OVER (PARTITION BY part, missing) AS total,
           SUM(size) OVER () AS sampled,
           SUM(size * missing) OVER () AS absent,
           ROW_NUMBER() OVER (ORDER BY part, missing, k1, k2) AS place
    FROM grouped
),
numbered AS (
    SELECT part, k1, k2, before, sampled, absent, place,
           CASE WHEN missing = 0 AND (before * pieces / total > (before - size_of_previous) * pieces / total
                                      OR (size * pieces >= total AND size_of_previous IS NOT NULL))
                THEN 1 ELSE 0 END AS begins
    FROM placed
)
SELECT part, before, sampled, absent, begins, CONVERT(varchar(23), k1, 121) AS t1, LEFT(CAST(k2 AS nvarchar(max)), 1001) AS t2 FROM numbered WHERE begins = 1 OR place = 1 ORDER BY place;

WITH bounds(number, k1, k2) AS (
    SELECT 0, [day], [na]]me] COLLATE SQL_Latin1_General_CP1_CI_AS FROM [dbo].[it's] WHERE 1 = 0
    UNION ALL SELECT number, k1, k2 FROM (VALUES (1, CAST(N'2024-01-01T12:00:00.997' AS datetime), CAST(N'Zoë''s' COLLATE SQL_Latin1_General_CP1_CI_AS AS varchar(8000))), (2, CAST(N'2024-01-05T12:00:00.997' AS datetime), CAST(N'Zoë''s' COLLATE SQL_Latin1_General_CP1_CI_AS AS varchar(8000))), (3, CAST(N'2024-01-09T12:00:00.997' AS datetime), CAST(N'Zoë''s' COLLATE SQL_Latin1_General_CP1_CI_AS AS varchar(8000)))) AS given(number, k1, k2)
)
SELECT COUNT(*) AS pairs FROM bounds AS low JOIN bounds AS high ON high.number = low.number + 1
WHERE NOT (low.k1 <= high.k1 AND (low.k1 < high.k1 OR low.k2 < high.k2));

SELECT numbered.number AS number, COUNT_BIG(*) AS rows
FROM (SELECT CASE WHEN [day] IS NULL OR [na]]me] IS NULL THEN 4 ELSE CASE WHEN [day] <= CAST(N'2024-01-05T12:00:00.997' AS datetime) AND ([day] < CAST(N'2024-01-05T12:00:00.997' AS datetime) OR [na]]me] < CAST(N'Zoë''s' COLLATE SQL_Latin1_General_CP1_CI_AS AS varchar(8000))) THEN CASE WHEN [day] <= CAST(N'2024-01-01T12:00:00.997' AS datetime) AND ([day] < CAST(N'2024-01-01T12:00:00.997' AS datetime) OR [na]]me] < CAST(N'Zoë''s' COLLATE SQL_Latin1_General_CP1_CI_AS AS varchar(8000))) THEN 0 ELSE 1 END ELSE CASE WHEN [day] <= CAST(N'2024-01-09T12:00:00.997' AS datetime) AND ([day] < CAST(N'2024-01-09T12:00:00.997' AS datetime) OR [na]]me] < CAST(N'Zoë''s' COLLATE SQL_Latin1_General_CP1_CI_AS AS varchar(8000))) THEN 2 ELSE 3 END END END AS number FROM [dbo].[it's]) AS numbered
GROUP BY numbered.number;

WITH sample AS (SELECT CASE WHEN [day] IS NULL OR [na]]me] IS NULL THEN 3 ELSE CASE WHEN [day] <= CAST(N'2024-01-05T12:00:00.997' AS datetime) AND ([day] < CAST(N'2024-01-05T12:00:00.997' AS datetime) OR [na]]me] < CAST(N'Zoë''s' COLLATE SQL_Latin1_General_CP1_CI_AS AS varchar(8000))) THEN CASE WHEN [day] <= CAST(N'2024-01-01T12:00:00.997' AS datetime) AND ([day] < CAST(N'2024-01-01T12:00:00.997' AS datetime) OR [na]]me] < CAST(N'Zoë''s' COLLATE SQL_Latin1_General_CP1_CI_AS AS varchar(8000))) THEN 0 ELSE 1 END ELSE 2 END END AS part, [day] AS k1, [na]]me] AS k2 FROM [dbo].[it's] WHERE ([day] IS NOT NULL AND [na]]me] IS NOT NULL AND [day] >= CAST(N'2024-01-01T12:00:00.997' AS datetime) AND ([day] > CAST(N'2024-01-01T12:00:00.997' AS datetime) OR [na]]me] >= CAST(N'Zoë''s' COLLATE SQL_Latin1_General_CP1_CI_AS AS varchar(8000))) AND [day] <= CAST(N'2024-01-05T12:00:00.997' AS datetime) AND ([day] < CAST(N'2024-01-05T12:00:00.997' AS datetime) OR [na]]me] < CAST(N'Zoë''s' COLLATE SQL_Latin1_General_CP1_CI_AS AS varchar(8000))))),
grouped AS (
    SELECT sample.part AS part, parts.pieces AS pieces, k1, k2, COUNT_BIG(*) AS size,
           CASE WHEN k1 IS NULL OR k2 IS NULL THEN 1 ELSE 0 END AS missing
    FROM sample JOIN (VALUES (1, 2)) AS parts(part, pieces) ON parts.part = sample.part
    GROUP BY sample.part, parts.pieces, k1, k2
),
placed AS (
    SELECT part, pieces, k1, k2, size, missing,
           SUM(size) OVER (PARTITION BY part, missing ORDER BY k1, k2 ROWS UNBOUNDED PRECEDING) - size AS before,
           LAG(size) OVER (PARTITION BY part, missing ORDER BY k1, k2) AS size_of_previous,
           SUM(size) OVER (PARTITION BY part, missing) AS total,
           SUM(size) OVER () AS sampled,
           SUM(size * missing) OVER () AS absent,
           ROW_NUMBER() OVER (ORDER BY part, missing, k1, k2) AS place
    FROM grouped
),
numbered AS (
    SELECT part, k1, k2, before, sampled, absent, place,
           CASE WHEN missing = 0 AND (before * pieces / total > (before - size_of_previous) * pieces / total
                                      OR (size * pieces >= total AND size_of_previous IS NOT NULL))
                THEN 1 ELSE 0 END AS begins
    FROM placed
)
SELECT part, before, sampled, absent, begins, CONVERT(varchar(23), k1, 121) AS t1, LEFT(CAST(k2 AS nvarchar(max)), 1001) AS t2 FROM numbered WHERE begins = 1 OR place = 1 ORDER BY place;

SELECT numbered.number AS number, COUNT_BIG(*) AS rows
FROM (SELECT CASE WHEN [day] IS NULL OR [na]]me] IS NULL THEN 6 ELSE CASE WHEN [day] <= CAST(N'2024-01-05T12:00:00.997' AS datetime) AND ([day] < CAST(N'2024-01-05T12:00:00.997' AS datetime) OR [na]]me] < CAST(N'Zoë''s' COLLATE SQL_Latin1_General_CP1_CI_AS AS varchar(8000))) THEN CASE WHEN [day] <= CAST(N'2024-01-01T12:00:00.997' AS datetime) AND ([day] < CAST(N'2024-01-01T12:00:00.997' AS datetime) OR [na]]me] < CAST(N'Zoë''s' COLLATE SQL_Latin1_General_CP1_CI_AS AS varchar(8000))) THEN CASE WHEN [day] <= CAST(N'2024-01-01T12:00:00.997' AS datetime) AND ([day] < CAST(N'2024-01-01T12:00:00.997' AS datetime) OR [na]]me] < CAST(N'Zoë''s' COLLATE SQL_Latin1_General_CP1_CI_AS AS varchar(8000))) THEN 0 ELSE 1 END ELSE 2 END ELSE CASE WHEN [day] <= CAST(N'2024-01-05T12:00:00.997' AS datetime) AND ([day] < CAST(N'2024-01-05T12:00:00.997' AS datetime) OR [na]]me] < CAST(N'Zoë''s' COLLATE SQL_Latin1_General_CP1_CI_AS AS varchar(8000))) THEN CASE WHEN [day] <= CAST(N'2024-01-09T12:00:00.997' AS datetime) AND ([day] < CAST(N'2024-01-09T12:00:00.997' AS datetime) OR [na]]me] < CAST(N'Zoë''s' COLLATE SQL_Latin1_General_CP1_CI_AS AS varchar(8000))) THEN 3 ELSE 4 END ELSE 5 END END END AS number FROM [dbo].[it's] WHERE ([day] IS NOT NULL AND [na]]me] IS NOT NULL AND [day] >= CAST(N'2024-01-01T12:00:00.997' AS datetime) AND ([day] > CAST(N'2024-01-01T12:00:00.997' AS datetime) OR [na]]me] >= CAST(N'Zoë''s' COLLATE SQL_Latin1_General_CP1_CI_AS AS varchar(8000))) AND [day] <= CAST(N'2024-01-05T12:00:00.997' AS datetime) AND ([day] < CAST(N'2024-01-05T12:00:00.997' AS datetime) OR [na]]me] < CAST(N'Zoë''s' COLLATE SQL_Latin1_General_CP1_CI_AS AS varchar(8000))))) AS numbered
GROUP BY numbered.number;

WITH bounds(number, k1, k2) AS (
    SELECT 0, [day], [na]]me] COLLATE SQL_Latin1_General_CP1_CI_AS FROM [dbo].[it's] WHERE 1 = 0
    UNION ALL SELECT number, k1, k2 FROM (VALUES (1, CAST(N'2024-01-01T12:00:00.997' AS datetime), CAST(N'Zoë''s' COLLATE SQL_Latin1_General_CP1_CI_AS AS varchar(8000))), (2, CAST(N'2024-01-01T12:00:00.997' AS datetime), CAST(N'Zoë''s' COLLATE SQL_Latin1_General_CP1_CI_AS AS varchar(8000))), (3, CAST(N'2024-01-05T12:00:00.997' AS datetime), CAST(N'Zoë''s' COLLATE SQL_Latin1_General_CP1_CI_AS AS varchar(8000))), (4, CAST(N'2024-01-09T12:00:00.997' AS datetime), CAST(N'Zoë''s' COLLATE SQL_Latin1_General_CP1_CI_AS AS varchar(8000))), (5, CAST(N'2024-01-05T12:00:00.997' AS datetime), CAST(N'Zoë''s' COLLATE SQL_Latin1_General_CP1_CI_AS AS varchar(8000))), (6, CAST(N'2024-01-09T12:00:00.997' AS datetime), CAST(N'Zoë''s' COLLATE SQL_Latin1_General_CP1_CI_AS AS varchar(8000)))) AS given(number, k1, k2)
)
SELECT COUNT(*) AS pairs FROM bounds AS low JOIN bounds AS high ON high.number = low.number + 1
WHERE NOT (low.k1 <= high.k1 AND (low.k1 < high.k1 OR low.k2 < high.k2));

SELECT 1 WHERE [day] IS NOT NULL AND [na]]me] IS NOT NULL AND [day] <= CAST(N'2024-01-01T12:00:00.997' AS datetime) AND ([day] < CAST(N'2024-01-01T12:00:00.997' AS datetime) OR [na]]me] < CAST(N'Zoë''s' COLLATE SQL_Latin1_General_CP1_CI_AS AS varchar(8000)));

SELECT 1 WHERE [day] IS NOT NULL AND [na]]me] IS NOT NULL AND [day] >= CAST(N'2024-01-01T12:00:00.997' AS datetime) AND ([day] > CAST(N'2024-01-01T12:00:00.997' AS datetime) OR [na]]me] >= CAST(N'Zoë''s' COLLATE SQL_Latin1_General_CP1_CI_AS AS varchar(8000))) AND [day] <= CAST(N'2024-01-01T12:00:00.997' AS datetime) AND ([day] < CAST(N'2024-01-01T12:00:00.997' AS datetime) OR [na]]me] < CAST(N'Zoë''s' COLLATE SQL_Latin1_General_CP1_CI_AS AS varchar(8000)));

SELECT 1 WHERE [day] IS NOT NULL AND [na]]me] IS NOT NULL AND [day] >= CAST(N'2024-01-01T12:00:00.997' AS datetime) AND ([day] > CAST(N'2024-01-01T12:00:00.997' AS datetime) OR [na]]me] >= CAST(N'Zoë''s' COLLATE SQL_Latin1_General_CP1_CI_AS AS varchar(8000))) AND [day] <= CAST(N'2024-01-05T12:00:00.997' AS datetime) AND ([day] < CAST(N'2024-01-05T12:00:00.997' AS datetime) OR [na]]me] < CAST(N'Zoë''s' COLLATE SQL_Latin1_General_CP1_CI_AS AS varchar(8000)));

SELECT 1 WHERE [day] IS NOT NULL AND [na]]me] IS NOT NULL AND [day] >= CAST(N'2024-01-05T12:00:00.997' AS datetime) AND ([day] > CAST(N'2024-01-05T12:00:00.997' AS datetime) OR [na]]me] >= CAST(N'Zoë''s' COLLATE SQL_Latin1_General_CP1_CI_AS AS varchar(8000))) AND [day] <= CAST(N'2024-01-09T12:00:00.997' AS datetime) AND ([day] < CAST(N'2024-01-09T12:00:00.997' AS datetime) OR [na]]me] < CAST(N'Zoë''s' COLLATE SQL_Latin1_General_CP1_CI_AS AS varchar(8000)));

SELECT 1 WHERE [day] IS NOT NULL AND [na]]me] IS NOT NULL AND [day] >= CAST(N'2024-01-09T12:00:00.997' AS datetime) AND ([day] > CAST(N'2024-01-09T12:00:00.997' AS datetime) OR [na]]me] >= CAST(N'Zoë''s' COLLATE SQL_Latin1_General_CP1_CI_AS AS varchar(8000))) AND [day] <= CAST(N'2024-01-05T12:00:00.997' AS datetime) AND ([day] < CAST(N'2024-01-05T12:00:00.997' AS datetime) OR [na]]me] < CAST(N'Zoë''s' COLLATE SQL_Latin1_General_CP1_CI_AS AS varchar(8000)));

SELECT 1 WHERE [day] IS NOT NULL AND [na]]me] IS NOT NULL AND [day] >= CAST(N'2024-01-05T12:00:00.997' AS datetime) AND ([day] > CAST(N'2024-01-05T12:00:00.997' AS datetime) OR [na]]me] >= CAST(N'Zoë''s' COLLATE SQL_Latin1_General_CP1_CI_AS AS varchar(8000))) AND [day] <= CAST(N'2024-01-09T12:00:00.997' AS datetime) AND ([day] < CAST(N'2024-01-09T12:00:00.997' AS datetime) OR [na]]me] < CAST(N'Zoë''s' COLLATE SQL_Latin1_General_CP1_CI_AS AS varchar(8000)));

SELECT 1 WHERE [day] IS NOT NULL AND [na]]me] IS NOT NULL AND [day] >= CAST(N'2024-01-09T12:00:00.997' AS datetime) AND ([day] > CAST(N'2024-01-09T12:00:00.997' AS datetime) OR [na]]me] >= CAST(N'Zoë''s' COLLATE SQL_Latin1_General_CP1_CI_AS AS varchar(8000)));

SELECT 1 WHERE [day] IS NULL OR [na]]me] IS NULL;

-- ranges of values

SELECT CAST(COLLATIONPROPERTY(N'Latin1_General_100_BIN2_UTF8', 'CodePage') AS int) AS code_page;

SELECT c.object_id AS object_id,
       c.name AS name,
       CASE WHEN o.type = 'U' AND c.is_nullable = 0 AND c.is_computed = 0 THEN 1 ELSE 0 END AS is_not_null,
       CASE WHEN o.type <> 'U' OR OBJECT_ID(N'sys.dm_db_stats_histogram') IS NULL THEN 0 ELSE 1 END AS has_histograms
FROM sys.objects AS o
JOIN sys.schemas AS s ON s.schema_id = o.schema_id
JOIN sys.columns AS c ON c.object_id = o.object_id
WHERE s.name = N'dbo' AND o.name = N'it''s' AND o.parent_object_id = 0;

SELECT i.index_id AS index_id,
       c.name AS name,
       CASE WHEN i.type = 1 THEN 1 ELSE 0 END AS is_clustered
FROM sys.indexes AS i
JOIN sys.objects AS o ON o.object_id = i.object_id
JOIN sys.index_columns AS k ON k.object_id = i.object_id AND k.index_id = i.index_id AND k.key_ordinal > 0
JOIN sys.columns AS c ON c.object_id = k.object_id AND c.column_id = k.column_id
WHERE i.object_id = 7 AND o.type = 'U' AND i.type IN (1, 2)
  AND i.has_filter = 0 AND i.is_disabled = 0 AND i.is_hypothetical = 0
ORDER BY i.index_id, k.key_ordinal;

WITH sample AS (SELECT 0 AS part, LOWER(CONVERT(char(36), [guid])) COLLATE Latin1_General_BIN2 AS k1, CAST(CAST([title] COLLATE Latin1_General_100_BIN2_UTF8 AS varchar(300)) AS varbinary(300)) AS k2 FROM [dbo].[it's] TABLESAMPLE SYSTEM (0.838863 PERCENT) REPEATABLE (42)),
grouped AS (
    SELECT sample.part AS part, parts.pieces AS pieces, k1, k2, COUNT_BIG(*) AS size,
           CASE WHEN k1 IS NULL OR k2 IS NULL THEN 1 ELSE 0 END AS missing
    FROM sample JOIN (VALUES (0, 4)) AS parts(part, pieces) ON parts.part = sample.part
    GROUP BY sample.part, parts.pieces, k1, k2
),
placed AS (
    SELECT part, pieces, k1, k2, size, missing,
           SUM(size) OVER (PARTITION BY part, missing ORDER BY k1, k2 ROWS UNBOUNDED PRECEDING) - size AS before,
           LAG(size) OVER (PARTITION BY part, missing ORDER BY k1, k2) AS size_of_previous,
           SUM(size) OVER (PARTITION BY part, missing) AS total,
           SUM(size) OVER () AS sampled,
           SUM(size * missing) OVER () AS absent,
           ROW_NUMBER() OVER (ORDER BY part, missing, k1, k2) AS place
    FROM grouped
),
numbered AS (
    SELECT part, k1, k2, before, sampled, absent, place,
           CASE WHEN missing = 0 AND (before * pieces / total > (before - size_of_previous) * pieces / total
                                      OR (size * pieces >= total AND size_of_previous IS NOT NULL))
                THEN 1 ELSE 0 END AS begins
    FROM placed
)
SELECT part, before, sampled, absent, begins, k1 AS t1, k2 AS t2 FROM numbered WHERE begins = 1 OR place = 1 ORDER BY place;

WITH bounds(number, k1, k2) AS (
    SELECT 0, LOWER(CONVERT(char(36), [guid])) COLLATE Latin1_General_BIN2, CAST(CAST([title] COLLATE Latin1_General_100_BIN2_UTF8 AS varchar(300)) AS varbinary(300)) FROM [dbo].[it's] WHERE 1 = 0
    UNION ALL SELECT number, k1, k2 FROM (VALUES (1, CAST(N'10000000-0000-4000-8000-000000000000' AS char(36)), 0x61), (2, CAST(N'50000000-0000-4000-8000-000000000000' AS char(36)), 0x61), (3, CAST(N'90000000-0000-4000-8000-000000000000' AS char(36)), 0x61)) AS given(number, k1, k2)
)
SELECT COUNT(*) AS pairs FROM bounds AS low JOIN bounds AS high ON high.number = low.number + 1
WHERE NOT (low.k1 <= high.k1 AND (low.k1 < high.k1 OR low.k2 < high.k2));

SELECT 1 WHERE LOWER(CONVERT(char(36), [guid])) COLLATE Latin1_General_BIN2 <= CAST(N'10000000-0000-4000-8000-000000000000' AS char(36)) AND (LOWER(CONVERT(char(36), [guid])) COLLATE Latin1_General_BIN2 < CAST(N'10000000-0000-4000-8000-000000000000' AS char(36)) OR CAST(CAST([title] COLLATE Latin1_General_100_BIN2_UTF8 AS varchar(300)) AS varbinary(300)) < 0x61);

SELECT 1 WHERE LOWER(CONVERT(char(36), [guid])) COLLATE Latin1_General_BIN2 >= CAST(N'10000000-0000-4000-8000-000000000000' AS char(36)) AND (LOWER(CONVERT(char(36), [guid])) COLLATE Latin1_General_BIN2 > CAST(N'10000000-0000-4000-8000-000000000000' AS char(36)) OR CAST(CAST([title] COLLATE Latin1_General_100_BIN2_UTF8 AS varchar(300)) AS varbinary(300)) >= 0x61) AND LOWER(CONVERT(char(36), [guid])) COLLATE Latin1_General_BIN2 <= CAST(N'50000000-0000-4000-8000-000000000000' AS char(36)) AND (LOWER(CONVERT(char(36), [guid])) COLLATE Latin1_General_BIN2 < CAST(N'50000000-0000-4000-8000-000000000000' AS char(36)) OR CAST(CAST([title] COLLATE Latin1_General_100_BIN2_UTF8 AS varchar(300)) AS varbinary(300)) < 0x61);

SELECT 1 WHERE LOWER(CONVERT(char(36), [guid])) COLLATE Latin1_General_BIN2 >= CAST(N'50000000-0000-4000-8000-000000000000' AS char(36)) AND (LOWER(CONVERT(char(36), [guid])) COLLATE Latin1_General_BIN2 > CAST(N'50000000-0000-4000-8000-000000000000' AS char(36)) OR CAST(CAST([title] COLLATE Latin1_General_100_BIN2_UTF8 AS varchar(300)) AS varbinary(300)) >= 0x61) AND LOWER(CONVERT(char(36), [guid])) COLLATE Latin1_General_BIN2 <= CAST(N'90000000-0000-4000-8000-000000000000' AS char(36)) AND (LOWER(CONVERT(char(36), [guid])) COLLATE Latin1_General_BIN2 < CAST(N'90000000-0000-4000-8000-000000000000' AS char(36)) OR CAST(CAST([title] COLLATE Latin1_General_100_BIN2_UTF8 AS varchar(300)) AS varbinary(300)) < 0x61);

SELECT 1 WHERE LOWER(CONVERT(char(36), [guid])) COLLATE Latin1_General_BIN2 >= CAST(N'90000000-0000-4000-8000-000000000000' AS char(36)) AND (LOWER(CONVERT(char(36), [guid])) COLLATE Latin1_General_BIN2 > CAST(N'90000000-0000-4000-8000-000000000000' AS char(36)) OR CAST(CAST([title] COLLATE Latin1_General_100_BIN2_UTF8 AS varchar(300)) AS varbinary(300)) >= 0x61);

-- a range of values is divided

SELECT c.object_id AS object_id,
       c.name AS name,
       CASE WHEN o.type = 'U' AND c.is_nullable = 0 AND c.is_computed = 0 THEN 1 ELSE 0 END AS is_not_null,
       CASE WHEN o.type <> 'U' OR OBJECT_ID(N'sys.dm_db_stats_histogram') IS NULL THEN 0 ELSE 1 END AS has_histograms
FROM sys.objects AS o
JOIN sys.schemas AS s ON s.schema_id = o.schema_id
JOIN sys.columns AS c ON c.object_id = o.object_id
WHERE s.name = N'dbo' AND o.name = N'it''s' AND o.parent_object_id = 0;

SELECT i.index_id AS index_id,
       c.name AS name,
       CASE WHEN i.type = 1 THEN 1 ELSE 0 END AS is_clustered
FROM sys.indexes AS i
JOIN sys.objects AS o ON o.object_id = i.object_id
JOIN sys.index_columns AS k ON k.object_id = i.object_id AND k.index_id = i.index_id AND k.key_ordinal > 0
JOIN sys.columns AS c ON c.object_id = k.object_id AND c.column_id = k.column_id
WHERE i.object_id = 7 AND o.type = 'U' AND i.type IN (1, 2)
  AND i.has_filter = 0 AND i.is_disabled = 0 AND i.is_hypothetical = 0
ORDER BY i.index_id, k.key_ordinal;

SELECT numbered.number AS number, COUNT_BIG(*) AS rows
FROM (SELECT CASE WHEN CAST(CAST([title] COLLATE Latin1_General_100_BIN2_UTF8 AS varchar(300)) AS varbinary(300)) <= 0xC3BC AND (CAST(CAST([title] COLLATE Latin1_General_100_BIN2_UTF8 AS varchar(300)) AS varbinary(300)) < 0xC3BC OR [price] < CAST(N'2.0000' AS money)) THEN CASE WHEN CAST(CAST([title] COLLATE Latin1_General_100_BIN2_UTF8 AS varchar(300)) AS varbinary(300)) <= 0x61C3A9 AND (CAST(CAST([title] COLLATE Latin1_General_100_BIN2_UTF8 AS varchar(300)) AS varbinary(300)) < 0x61C3A9 OR [price] < CAST(N'1.5000' AS money)) THEN 0 ELSE 1 END ELSE 2 END AS number FROM [dbo].[it's] WHERE (CAST(CAST([title] COLLATE Latin1_General_100_BIN2_UTF8 AS varchar(300)) AS varbinary(300)) >= 0x61C3A9 AND (CAST(CAST([title] COLLATE Latin1_General_100_BIN2_UTF8 AS varchar(300)) AS varbinary(300)) > 0x61C3A9 OR [price] >= CAST(N'1.5000' AS money)) AND CAST(CAST([title] COLLATE Latin1_General_100_BIN2_UTF8 AS varchar(300)) AS varbinary(300)) <= 0xC3BC AND (CAST(CAST([title] COLLATE Latin1_General_100_BIN2_UTF8 AS varchar(300)) AS varbinary(300)) < 0xC3BC OR [price] < CAST(N'2.0000' AS money)))) AS numbered
GROUP BY numbered.number;

WITH sample AS (SELECT CASE WHEN CAST(CAST([title] COLLATE Latin1_General_100_BIN2_UTF8 AS varchar(300)) AS varbinary(300)) <= 0xC3BC AND (CAST(CAST([title] COLLATE Latin1_General_100_BIN2_UTF8 AS varchar(300)) AS varbinary(300)) < 0xC3BC OR [price] < CAST(N'2.0000' AS money)) THEN CASE WHEN CAST(CAST([title] COLLATE Latin1_General_100_BIN2_UTF8 AS varchar(300)) AS varbinary(300)) <= 0x61C3A9 AND (CAST(CAST([title] COLLATE Latin1_General_100_BIN2_UTF8 AS varchar(300)) AS varbinary(300)) < 0x61C3A9 OR [price] < CAST(N'1.5000' AS money)) THEN 0 ELSE 1 END ELSE 2 END AS part, CAST(CAST([title] COLLATE Latin1_General_100_BIN2_UTF8 AS varchar(300)) AS varbinary(300)) AS k1, [price] AS k2 FROM [dbo].[it's] WHERE (CAST(CAST([title] COLLATE Latin1_General_100_BIN2_UTF8 AS varchar(300)) AS varbinary(300)) >= 0x61C3A9 AND (CAST(CAST([title] COLLATE Latin1_General_100_BIN2_UTF8 AS varchar(300)) AS varbinary(300)) > 0x61C3A9 OR [price] >= CAST(N'1.5000' AS money)) AND CAST(CAST([title] COLLATE Latin1_General_100_BIN2_UTF8 AS varchar(300)) AS varbinary(300)) <= 0xC3BC AND (CAST(CAST([title] COLLATE Latin1_General_100_BIN2_UTF8 AS varchar(300)) AS varbinary(300)) < 0xC3BC OR [price] < CAST(N'2.0000' AS money)))),
grouped AS (
    SELECT sample.part AS part, parts.pieces AS pieces, k1, k2, COUNT_BIG(*) AS size,
           CASE WHEN k1 IS NULL OR k2 IS NULL THEN 1 ELSE 0 END AS missing
    FROM sample JOIN (VALUES (1, 2)) AS parts(part, pieces) ON parts.part = sample.part
    GROUP BY sample.part, parts.pieces, k1, k2
),
placed AS (
    SELECT part, pieces, k1, k2, size, missing,
           SUM(size) OVER (PARTITION BY part, missing ORDER BY k1, k2 ROWS UNBOUNDED PRECEDING) - size AS before,
           LAG(size) OVER (PARTITION BY part, missing ORDER BY k1, k2) AS size_of_previous,
           SUM(size) OVER (PARTITION BY part, missing) AS total,
           SUM(size) OVER () AS sampled,
           SUM(size * missing) OVER () AS absent,
           ROW_NUMBER() OVER (ORDER BY part, missing, k1, k2) AS place
    FROM grouped
),
numbered AS (
    SELECT part, k1, k2, before, sampled, absent, place,
           CASE WHEN missing = 0 AND (before * pieces / total > (before - size_of_previous) * pieces / total
                                      OR (size * pieces >= total AND size_of_previous IS NOT NULL))
                THEN 1 ELSE 0 END AS begins
    FROM placed
)
SELECT part, before, sampled, absent, begins, k1 AS t1, CONVERT(varchar(41), CAST(k2 AS decimal(19, 4))) AS t2 FROM numbered WHERE begins = 1 OR place = 1 ORDER BY place;

SELECT numbered.number AS number, COUNT_BIG(*) AS rows
FROM (SELECT CASE WHEN CAST(CAST([title] COLLATE Latin1_General_100_BIN2_UTF8 AS varchar(300)) AS varbinary(300)) <= 0x62C3A9 AND (CAST(CAST([title] COLLATE Latin1_General_100_BIN2_UTF8 AS varchar(300)) AS varbinary(300)) < 0x62C3A9 OR [price] < CAST(N'2' AS money)) THEN CASE WHEN CAST(CAST([title] COLLATE Latin1_General_100_BIN2_UTF8 AS varchar(300)) AS varbinary(300)) <= 0x61C3A9 AND (CAST(CAST([title] COLLATE Latin1_General_100_BIN2_UTF8 AS varchar(300)) AS varbinary(300)) < 0x61C3A9 OR [price] < CAST(N'2' AS money)) THEN CASE WHEN CAST(CAST([title] COLLATE Latin1_General_100_BIN2_UTF8 AS varchar(300)) AS varbinary(300)) <= 0x61C3A9 AND (CAST(CAST([title] COLLATE Latin1_General_100_BIN2_UTF8 AS varchar(300)) AS varbinary(300)) < 0x61C3A9 OR [price] < CAST(N'1.5000' AS money)) THEN 0 ELSE 1 END ELSE 2 END ELSE CASE WHEN CAST(CAST([title] COLLATE Latin1_General_100_BIN2_UTF8 AS varchar(300)) AS varbinary(300)) <= 0xC3BC AND (CAST(CAST([title] COLLATE Latin1_General_100_BIN2_UTF8 AS varchar(300)) AS varbinary(300)) < 0xC3BC OR [price] < CAST(N'2.0000' AS money)) THEN CASE WHEN CAST(CAST([title] COLLATE Latin1_General_100_BIN2_UTF8 AS varchar(300)) AS varbinary(300)) <= 0x63C3A9 AND (CAST(CAST([title] COLLATE Latin1_General_100_BIN2_UTF8 AS varchar(300)) AS varbinary(300)) < 0x63C3A9 OR [price] < CAST(N'2' AS money)) THEN 3 ELSE 4 END ELSE 5 END END AS number FROM [dbo].[it's] WHERE (CAST(CAST([title] COLLATE Latin1_General_100_BIN2_UTF8 AS varchar(300)) AS varbinary(300)) >= 0x61C3A9 AND (CAST(CAST([title] COLLATE Latin1_General_100_BIN2_UTF8 AS varchar(300)) AS varbinary(300)) > 0x61C3A9 OR [price] >= CAST(N'1.5000' AS money)) AND CAST(CAST([title] COLLATE Latin1_General_100_BIN2_UTF8 AS varchar(300)) AS varbinary(300)) <= 0xC3BC AND (CAST(CAST([title] COLLATE Latin1_General_100_BIN2_UTF8 AS varchar(300)) AS varbinary(300)) < 0xC3BC OR [price] < CAST(N'2.0000' AS money)))) AS numbered
GROUP BY numbered.number;

WITH bounds(number, k1, k2) AS (
    SELECT 0, CAST(CAST([title] COLLATE Latin1_General_100_BIN2_UTF8 AS varchar(300)) AS varbinary(300)), [price] FROM [dbo].[it's] WHERE 1 = 0
    UNION ALL SELECT number, k1, k2 FROM (VALUES (1, 0x61C3A9, CAST(N'1.5000' AS money)), (2, 0x61C3A9, CAST(N'2' AS money)), (3, 0x62C3A9, CAST(N'2' AS money)), (4, 0x63C3A9, CAST(N'2' AS money))) AS given(number, k1, k2)
)
SELECT COUNT(*) AS pairs FROM bounds AS low JOIN bounds AS high ON high.number = low.number + 1
WHERE NOT (low.k1 <= high.k1 AND (low.k1 < high.k1 OR low.k2 < high.k2));

-- a partition scheme

SELECT c.object_id AS object_id,
       c.name AS name,
       CASE WHEN o.type = 'U' AND c.is_nullable = 0 AND c.is_computed = 0 THEN 1 ELSE 0 END AS is_not_null,
       CASE WHEN o.type <> 'U' OR OBJECT_ID(N'sys.dm_db_stats_histogram') IS NULL THEN 0 ELSE 1 END AS has_histograms
FROM sys.objects AS o
JOIN sys.schemas AS s ON s.schema_id = o.schema_id
JOIN sys.columns AS c ON c.object_id = o.object_id
WHERE s.name = N'dbo' AND o.name = N'it''s' AND o.parent_object_id = 0;

SELECT i.index_id AS index_id,
       c.name AS name,
       CASE WHEN i.type = 1 THEN 1 ELSE 0 END AS is_clustered
FROM sys.indexes AS i
JOIN sys.objects AS o ON o.object_id = i.object_id
JOIN sys.index_columns AS k ON k.object_id = i.object_id AND k.index_id = i.index_id AND k.key_ordinal > 0
JOIN sys.columns AS c ON c.object_id = k.object_id AND c.column_id = k.column_id
WHERE i.object_id = 7 AND o.type = 'U' AND i.type IN (1, 2)
  AND i.has_filter = 0 AND i.is_disabled = 0 AND i.is_hypothetical = 0
ORDER BY i.index_id, k.key_ordinal;

SELECT c.name AS name, f.function_id AS function_id, CAST(f.boundary_value_on_right AS int) AS on_right
FROM sys.indexes AS i
JOIN sys.partition_schemes AS s ON s.data_space_id = i.data_space_id
JOIN sys.partition_functions AS f ON f.function_id = s.function_id
JOIN sys.index_columns AS k ON k.object_id = i.object_id AND k.index_id = i.index_id AND k.partition_ordinal = 1
JOIN sys.columns AS c ON c.object_id = k.object_id AND c.column_id = k.column_id
WHERE i.object_id = 7 AND i.index_id IN (0, 1);

SELECT p.partition_number AS number, MAX(CONVERT(varchar(23), CAST(r.value AS datetime), 121)) AS bound, SUM(p.rows) AS rows
FROM sys.partitions AS p
LEFT JOIN sys.partition_range_values AS r
       ON r.function_id = 5 AND r.parameter_id = 1 AND r.boundary_id = p.partition_number
WHERE p.object_id = 7 AND p.index_id IN (0, 1)
GROUP BY p.partition_number
ORDER BY p.partition_number;

WITH bounds(number, k1) AS (
    SELECT 0, [day] FROM [dbo].[it's] WHERE 1 = 0
    UNION ALL SELECT number, k1 FROM (VALUES (1, CAST(N'2024-01-01T00:00:00.000' AS datetime)), (2, CAST(N'2024-02-01T00:00:00.000' AS datetime))) AS given(number, k1)
)
SELECT COUNT(*) AS pairs FROM bounds AS low JOIN bounds AS high ON high.number = low.number + 1
WHERE NOT (low.k1 < high.k1);

SELECT 1 WHERE [day] < CAST(N'2024-02-01T00:00:00.000' AS datetime) OR [day] IS NULL;

SELECT 1 WHERE [day] >= CAST(N'2024-02-01T00:00:00.000' AS datetime);

-- a watermark of rowversion

DECLARE @open binary(8) = MIN_ACTIVE_ROWVERSION();
DECLARE @known int = CASE
    WHEN CONVERT(nvarchar(60), DATABASEPROPERTYEX(DB_NAME(), 'Updateability')) = N'READ_WRITE'
      OR EXISTS (SELECT 1 FROM sys.databases WHERE name = DB_NAME() AND is_read_only = 1 AND is_in_standby = 0) THEN 1
    ELSE CAST(N'no watermark: a replica does not know which rowversions are open on its primary; read that one with SOURCE_SQLSERVER_APPLICATION_INTENT=ReadWrite. The database is ' + DB_NAME() AS int) END;
SELECT (SELECT TOP (1) CONVERT(varchar(max), CAST([version] AS varbinary(max)), 1) FROM [dbo].[it's] WHERE ([version] IS NOT NULL) AND ([version] < @open) AND (price > 3) ORDER BY [version] DESC) AS high,
       CAST(0 AS bigint) AS missing;

SELECT 1 WHERE [version] > CAST(0x00000000000007D1 AS binary(8)) AND [version] <= CAST(0x00000000000007D1 AS binary(8));

-- a watermark of datetime

SELECT (SELECT TOP (1) CONVERT(varchar(23), [day], 121) FROM [dbo].[it's] WHERE ([day] IS NOT NULL) AND (price > 3) ORDER BY [day] DESC) AS high,
       (SELECT COUNT_BIG(*) FROM [dbo].[it's] WHERE ([day] IS NULL) AND (price > 3)) AS missing;

SELECT 1 WHERE [day] > CAST(N'2024-02-29T23:59:59.997' AS datetime) AND [day] <= CAST(N'2024-02-29T23:59:59.997' AS datetime);

-- a watermark of varchar(40)

SELECT (SELECT TOP (1) LEFT(CAST([na]]me] AS nvarchar(max)), 1001) FROM [dbo].[it's] WHERE ([na]]me] IS NOT NULL) AND (price > 3) ORDER BY [na]]me] DESC) AS high,
       (SELECT COUNT_BIG(*) FROM [dbo].[it's] WHERE ([na]]me] IS NULL) AND (price > 3)) AS missing;

SELECT 1 WHERE [na]]me] > CAST(N'7' COLLATE SQL_Latin1_General_CP1_CI_AS AS varchar(8000)) AND [na]]me] <= CAST(N'7' COLLATE SQL_Latin1_General_CP1_CI_AS AS varchar(8000));

-- a watermark of bigint

SELECT (SELECT TOP (1) CONVERT(varchar(20), [id]) FROM [dbo].[it's] WHERE ([id] IS NOT NULL) AND (price > 3) ORDER BY [id] DESC) AS high,
       CAST(0 AS bigint) AS missing;

SELECT 1 WHERE [id] > CAST(N'7' AS bigint) AND [id] <= CAST(N'7' AS bigint);

-- literals

SELECT CAST(N'1' AS bit) AS v WHERE CONVERT(varchar(20), [c]) IS NULL;

SELECT CAST(N'255' AS tinyint) AS v WHERE CONVERT(varchar(20), [c]) IS NULL;

SELECT CAST(N'-1234567890123456789012345678.0123456789' AS decimal(38, 10)) AS v WHERE CONVERT(varchar(41), [c]) IS NULL;

SELECT CAST(N'-1.2345' AS smallmoney) AS v WHERE CONVERT(varchar(41), CAST([c] AS decimal(19, 4))) IS NULL;

SELECT CAST(N'1.0000000000000001e-001' AS float) AS v WHERE LTRIM(RTRIM(CONVERT(varchar(32), [c], 3))) IS NULL;

SELECT CAST(N'1.25' AS real) AS v WHERE LTRIM(RTRIM(CONVERT(varchar(32), [c], 3))) IS NULL;

SELECT CAST(N'0001-01-01' AS date) AS v WHERE CONVERT(varchar(10), [c], 23) IS NULL;

SELECT CAST(N'23:59:59.9999999' AS time(7)) AS v WHERE CONVERT(varchar(16), [c], 121) IS NULL;

SELECT CAST(N'2024-02-29T23:59:00' AS smalldatetime) AS v WHERE CONVERT(varchar(19), [c], 120) IS NULL;

SELECT CAST(N'9999-12-31T23:59:59.9999999' AS datetime2(7)) AS v WHERE CONVERT(varchar(27), [c], 121) IS NULL;

SELECT CAST(N'2024-02-29T23:59:59.9999999+00:00' AS datetimeoffset(7)) AS v WHERE CONVERT(varchar(27), CAST(SWITCHOFFSET([c], '+00:00') AS datetime2(7)), 121) + '+00' IS NULL;

SELECT CAST(N'é' COLLATE French_CI_AS AS varchar(8000)) AS v WHERE LEFT(CAST([c] AS nvarchar(max)), 1001) IS NULL;

SELECT (N'it''s\' + N'
so') AS v WHERE LEFT(CAST([c] AS nvarchar(max)), 1001) IS NULL;

SELECT N'漢' AS v WHERE LEFT(CAST([c] AS nvarchar(max)), 1001) IS NULL;

SELECT CAST(0x01020304 AS binary(4)) AS v WHERE CONVERT(varchar(max), CAST([c] AS varbinary(max)), 1) IS NULL;

SELECT 0x AS v WHERE CONVERT(varchar(max), CAST([c] AS varbinary(max)), 1) IS NULL;

SELECT CAST(N'6f9619ff-8b86-d011-b42d-00c04fc964ff' AS uniqueidentifier) AS v WHERE LOWER(CONVERT(char(36), [c])) IS NULL;

SELECT CAST(N'/1/2.1/' AS hierarchyid) AS v WHERE CAST([c] AS nvarchar(4000)) IS NULL;
