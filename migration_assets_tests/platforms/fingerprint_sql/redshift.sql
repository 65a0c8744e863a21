-- Fingerprint spec v1

-- token of flag
SELECT COALESCE(CASE WHEN "flag" THEN '1' WHEN NOT "flag" THEN '0' END, (CHR(92) || 'N')) FROM t;

-- token of id
SELECT CAST("id" AS VARCHAR(64)) FROM t;

-- token of amount
SELECT COALESCE((CAST("amount" AS VARCHAR(64)) || '00'), (CHR(92) || 'N')) FROM t;

-- token of price
SELECT COALESCE(CASE WHEN RIGHT(CAST("price" AS VARCHAR(64)), 2) = '00' THEN LEFT(CAST("price" AS VARCHAR(64)), LENGTH(CAST("price" AS VARCHAR(64))) - 2) ELSE RTRIM(CAST("price" AS VARCHAR(64)), '0') END, (CHR(92) || 'N')) FROM t;

-- token of ratio
SELECT COALESCE(CASE WHEN CAST("ratio" AS FLOAT8) = 0 THEN '0' WHEN CAST("ratio" AS FLOAT8) = CAST('NaN' AS FLOAT8) THEN 'NaN' WHEN CAST("ratio" AS FLOAT8) = CAST('Infinity' AS FLOAT8) THEN 'Infinity' WHEN CAST("ratio" AS FLOAT8) = CAST('-Infinity' AS FLOAT8) THEN '-Infinity' WHEN CAST("ratio" AS FLOAT8) IS NOT NULL THEN CASE WHEN CAST("ratio" AS FLOAT8) < 0 THEN '-' ELSE '' END || CAST(CAST(((ABS(CAST("ratio" AS FLOAT8)) * CASE WHEN ABS(CAST("ratio" AS FLOAT8)) < CAST('1e-290' AS FLOAT8) THEN POWER(CAST(2 AS FLOAT8), 200) ELSE 1 END) / POWER(CAST(2 AS FLOAT8), (CASE WHEN (ABS(CAST("ratio" AS FLOAT8)) * CASE WHEN ABS(CAST("ratio" AS FLOAT8)) < CAST('1e-290' AS FLOAT8) THEN POWER(CAST(2 AS FLOAT8), 200) ELSE 1 END) / 2 >= POWER(CAST(2 AS FLOAT8), LEAST(1023, FLOOR(LN((ABS(CAST("ratio" AS FLOAT8)) * CASE WHEN ABS(CAST("ratio" AS FLOAT8)) < CAST('1e-290' AS FLOAT8) THEN POWER(CAST(2 AS FLOAT8), 200) ELSE 1 END)) / LN(2)))) THEN LEAST(1023, FLOOR(LN((ABS(CAST("ratio" AS FLOAT8)) * CASE WHEN ABS(CAST("ratio" AS FLOAT8)) < CAST('1e-290' AS FLOAT8) THEN POWER(CAST(2 AS FLOAT8), 200) ELSE 1 END)) / LN(2))) + 1 WHEN (ABS(CAST("ratio" AS FLOAT8)) * CASE WHEN ABS(CAST("ratio" AS FLOAT8)) < CAST('1e-290' AS FLOAT8) THEN POWER(CAST(2 AS FLOAT8), 200) ELSE 1 END) < POWER(CAST(2 AS FLOAT8), LEAST(1023, FLOOR(LN((ABS(CAST("ratio" AS FLOAT8)) * CASE WHEN ABS(CAST("ratio" AS FLOAT8)) < CAST('1e-290' AS FLOAT8) THEN POWER(CAST(2 AS FLOAT8), 200) ELSE 1 END)) / LN(2)))) THEN LEAST(1023, FLOOR(LN((ABS(CAST("ratio" AS FLOAT8)) * CASE WHEN ABS(CAST("ratio" AS FLOAT8)) < CAST('1e-290' AS FLOAT8) THEN POWER(CAST(2 AS FLOAT8), 200) ELSE 1 END)) / LN(2))) - 1 ELSE LEAST(1023, FLOOR(LN((ABS(CAST("ratio" AS FLOAT8)) * CASE WHEN ABS(CAST("ratio" AS FLOAT8)) < CAST('1e-290' AS FLOAT8) THEN POWER(CAST(2 AS FLOAT8), 200) ELSE 1 END)) / LN(2))) END))) * 4503599627370496 AS BIGINT) AS VARCHAR(64)) || 'p' || CAST(CAST((CASE WHEN (ABS(CAST("ratio" AS FLOAT8)) * CASE WHEN ABS(CAST("ratio" AS FLOAT8)) < CAST('1e-290' AS FLOAT8) THEN POWER(CAST(2 AS FLOAT8), 200) ELSE 1 END) / 2 >= POWER(CAST(2 AS FLOAT8), LEAST(1023, FLOOR(LN((ABS(CAST("ratio" AS FLOAT8)) * CASE WHEN ABS(CAST("ratio" AS FLOAT8)) < CAST('1e-290' AS FLOAT8) THEN POWER(CAST(2 AS FLOAT8), 200) ELSE 1 END)) / LN(2)))) THEN LEAST(1023, FLOOR(LN((ABS(CAST("ratio" AS FLOAT8)) * CASE WHEN ABS(CAST("ratio" AS FLOAT8)) < CAST('1e-290' AS FLOAT8) THEN POWER(CAST(2 AS FLOAT8), 200) ELSE 1 END)) / LN(2))) + 1 WHEN (ABS(CAST("ratio" AS FLOAT8)) * CASE WHEN ABS(CAST("ratio" AS FLOAT8)) < CAST('1e-290' AS FLOAT8) THEN POWER(CAST(2 AS FLOAT8), 200) ELSE 1 END) < POWER(CAST(2 AS FLOAT8), LEAST(1023, FLOOR(LN((ABS(CAST("ratio" AS FLOAT8)) * CASE WHEN ABS(CAST("ratio" AS FLOAT8)) < CAST('1e-290' AS FLOAT8) THEN POWER(CAST(2 AS FLOAT8), 200) ELSE 1 END)) / LN(2)))) THEN LEAST(1023, FLOOR(LN((ABS(CAST("ratio" AS FLOAT8)) * CASE WHEN ABS(CAST("ratio" AS FLOAT8)) < CAST('1e-290' AS FLOAT8) THEN POWER(CAST(2 AS FLOAT8), 200) ELSE 1 END)) / LN(2))) - 1 ELSE LEAST(1023, FLOOR(LN((ABS(CAST("ratio" AS FLOAT8)) * CASE WHEN ABS(CAST("ratio" AS FLOAT8)) < CAST('1e-290' AS FLOAT8) THEN POWER(CAST(2 AS FLOAT8), 200) ELSE 1 END)) / LN(2))) END) - 52 - CASE WHEN ABS(CAST("ratio" AS FLOAT8)) < CAST('1e-290' AS FLOAT8) THEN 200 ELSE 0 END AS BIGINT) AS VARCHAR(64)) END, (CHR(92) || 'N')) FROM t;

-- token of code
SELECT COALESCE(REPLACE(REPLACE("code", CHR(92), (CHR(92) || CHR(92))), '|', (CHR(92) || 'p')), (CHR(92) || 'N')) FROM t;

-- token of note
SELECT COALESCE(CASE WHEN OCTET_LENGTH("note") > 1000 THEN ((CHR(92) || 'h') || MD5("note")) ELSE REPLACE(REPLACE("note", CHR(92), (CHR(92) || CHR(92))), '|', (CHR(92) || 'p')) END, (CHR(92) || 'N')) FROM t;

-- token of blob
SELECT COALESCE(CASE WHEN OCTET_LENGTH(LOWER(TO_HEX("blob"))) > 1000 THEN ((CHR(92) || 'h') || MD5(LOWER(TO_HEX("blob")))) ELSE LOWER(TO_HEX("blob")) END, (CHR(92) || 'N')) FROM t;

-- token of day
SELECT COALESCE(TO_CHAR("day", 'YYYY-MM-DD'), (CHR(92) || 'N')) FROM t;

-- token of moment
SELECT COALESCE(CASE WHEN STRPOS(CAST("moment" AS VARCHAR(32)), '.') > 0 THEN RTRIM(RTRIM(CAST("moment" AS VARCHAR(32)), '0'), '.') ELSE CAST("moment" AS VARCHAR(32)) END, (CHR(92) || 'N')) FROM t;

-- token of stamp
SELECT COALESCE(RTRIM(RTRIM(TO_CHAR("stamp", 'YYYY-MM-DD HH24:MI:SS.US'), '0'), '.'), (CHR(92) || 'N')) FROM t;

-- token of instant
SELECT COALESCE(RTRIM(RTRIM(TO_CHAR(("instant" AT TIME ZONE 'UTC'), 'YYYY-MM-DD HH24:MI:SS.US'), '0'), '.'), (CHR(92) || 'N')) FROM t;

-- token of token
SELECT COALESCE("token", (CHR(92) || 'N')) FROM t;

-- fingerprints of ranges
SELECT bucket AS bucket, COUNT(*) AS row_count, SUM(STRTOL(SUBSTRING(h, 2, 15), 16)) AS high, SUM(STRTOL(SUBSTRING(h, 18, 15), 16)) AS low
FROM (SELECT ((CAST("id" AS BIGINT) - (-5)) - MOD((CAST("id" AS BIGINT) - (-5)), 1000)) AS bucket, MD5((COALESCE(CASE WHEN "flag" THEN '1' WHEN NOT "flag" THEN '0' END, (CHR(92) || 'N')) || '|' || CAST("id" AS VARCHAR(64)) || '|' || COALESCE((CAST("amount" AS VARCHAR(64)) || '00'), (CHR(92) || 'N')))) AS h FROM t) AS hashed
GROUP BY bucket;

-- fingerprints of hashes
SELECT bucket AS bucket, COUNT(*) AS row_count, SUM(STRTOL(SUBSTRING(h, 2, 15), 16)) AS high, SUM(STRTOL(SUBSTRING(h, 18, 15), 16)) AS low
FROM (SELECT SUBSTRING(MD5(CAST("id" AS VARCHAR(64))), 1, 3) AS bucket, MD5((COALESCE(CASE WHEN "flag" THEN '1' WHEN NOT "flag" THEN '0' END, (CHR(92) || 'N')) || '|' || CAST("id" AS VARCHAR(64)) || '|' || COALESCE((CAST("amount" AS VARCHAR(64)) || '00'), (CHR(92) || 'N')))) AS h FROM t WHERE id > 0) AS hashed
GROUP BY bucket;

-- fingerprints of rows without a key
SELECT bucket AS bucket, COUNT(*) AS row_count, SUM(STRTOL(SUBSTRING(h, 2, 15), 16)) AS high, SUM(STRTOL(SUBSTRING(h, 18, 15), 16)) AS low
FROM (SELECT SUBSTRING(MD5((COALESCE(CASE WHEN "flag" THEN '1' WHEN NOT "flag" THEN '0' END, (CHR(92) || 'N')) || '|' || CAST("id" AS VARCHAR(64)) || '|' || COALESCE((CAST("amount" AS VARCHAR(64)) || '00'), (CHR(92) || 'N')))), 1, 3) AS bucket, MD5((COALESCE(CASE WHEN "flag" THEN '1' WHEN NOT "flag" THEN '0' END, (CHR(92) || 'N')) || '|' || CAST("id" AS VARCHAR(64)) || '|' || COALESCE((CAST("amount" AS VARCHAR(64)) || '00'), (CHR(92) || 'N')))) AS h FROM t) AS hashed
GROUP BY bucket;

-- fingerprints of some ranges
SELECT bucket AS bucket, COUNT(*) AS row_count, SUM(STRTOL(SUBSTRING(h, 2, 15), 16)) AS high, SUM(STRTOL(SUBSTRING(h, 18, 15), 16)) AS low
FROM (SELECT ((CAST("id" AS BIGINT) - (-5)) - MOD((CAST("id" AS BIGINT) - (-5)), 1000)) AS bucket, MD5((COALESCE(CASE WHEN "flag" THEN '1' WHEN NOT "flag" THEN '0' END, (CHR(92) || 'N')) || '|' || CAST("id" AS VARCHAR(64)) || '|' || COALESCE((CAST("amount" AS VARCHAR(64)) || '00'), (CHR(92) || 'N')))) AS h FROM t WHERE ((CAST("id" AS BIGINT) - (-5)) - MOD((CAST("id" AS BIGINT) - (-5)), 1000)) IS NULL OR ("id" >= (-1004) AND "id" < 1995) OR ("id" >= 4995 AND "id" < 5995)) AS hashed
GROUP BY bucket;

-- fingerprints of some hashes
SELECT bucket AS bucket, COUNT(*) AS row_count, SUM(STRTOL(SUBSTRING(h, 2, 15), 16)) AS high, SUM(STRTOL(SUBSTRING(h, 18, 15), 16)) AS low
FROM (SELECT SUBSTRING(MD5(CAST("id" AS VARCHAR(64))), 1, 4) AS bucket, MD5((COALESCE(CASE WHEN "flag" THEN '1' WHEN NOT "flag" THEN '0' END, (CHR(92) || 'N')) || '|' || CAST("id" AS VARCHAR(64)) || '|' || COALESCE((CAST("amount" AS VARCHAR(64)) || '00'), (CHR(92) || 'N')))) AS h FROM t WHERE SUBSTRING(MD5(CAST("id" AS VARCHAR(64))), 1, 3) IN ('0a3', 'fff')) AS hashed
GROUP BY bucket;

-- fingerprints of marked ranges
SELECT bucket AS bucket, marked AS marked, COUNT(*) AS row_count, SUM(STRTOL(SUBSTRING(h, 2, 15), 16)) AS high, SUM(STRTOL(SUBSTRING(h, 18, 15), 16)) AS low
FROM (SELECT ((CAST("id" AS BIGINT) - (-5)) - MOD((CAST("id" AS BIGINT) - (-5)), 1000)) AS bucket, CASE WHEN id > 9 THEN 1 ELSE 0 END AS marked, MD5(CAST("id" AS VARCHAR(64))) AS h FROM t) AS hashed
GROUP BY bucket, marked;

-- fingerprints of columns
SELECT COUNT(*) AS row_count, SUM(STRTOL(SUBSTRING(h0, 2, 15), 16)) AS high_0, SUM(STRTOL(SUBSTRING(h0, 18, 15), 16)) AS low_0, SUM(STRTOL(SUBSTRING(h1, 2, 15), 16)) AS high_1, SUM(STRTOL(SUBSTRING(h1, 18, 15), 16)) AS low_1
FROM (SELECT MD5((CAST("id" AS VARCHAR(64)) || '|' || COALESCE((CAST("amount" AS VARCHAR(64)) || '00'), (CHR(92) || 'N')))) AS h0, MD5((CAST("id" AS VARCHAR(64)) || '|' || COALESCE(CASE WHEN RIGHT(CAST("price" AS VARCHAR(64)), 2) = '00' THEN LEFT(CAST("price" AS VARCHAR(64)), LENGTH(CAST("price" AS VARCHAR(64))) - 2) ELSE RTRIM(CAST("price" AS VARCHAR(64)), '0') END, (CHR(92) || 'N')))) AS h1 FROM t) AS hashed;

-- rows
SELECT ((CAST("id" AS BIGINT) - (-5)) - MOD((CAST("id" AS BIGINT) - (-5)), 1000)) AS bucket, CASE WHEN "flag" THEN '1' WHEN NOT "flag" THEN '0' END AS c0, CAST("id" AS VARCHAR(64)) AS c1 FROM t;

-- keys
SELECT (COALESCE(CASE WHEN "flag" THEN '1' WHEN NOT "flag" THEN '0' END, (CHR(92) || 'N')) || '|' || CAST("id" AS VARCHAR(64))) AS row_text, "flag" AS k0, "id" AS k1 FROM t WHERE id > 0;

-- bounds
SELECT MIN("id") AS low, MAX("id") AS high FROM t;
