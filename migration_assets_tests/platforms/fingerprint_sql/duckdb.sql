-- Fingerprint spec v1

-- token of flag
SELECT COALESCE(CASE WHEN "flag" THEN '1' WHEN NOT "flag" THEN '0' END, (CHR(92) || 'N')) FROM t;

-- token of id
SELECT CAST("id" AS VARCHAR) FROM t;

-- token of amount
SELECT COALESCE((CAST("amount" AS VARCHAR) || '00'), (CHR(92) || 'N')) FROM t;

-- token of price
SELECT COALESCE(CASE WHEN RIGHT(CAST("price" AS VARCHAR), 2) = '00' THEN LEFT(CAST("price" AS VARCHAR), LENGTH(CAST("price" AS VARCHAR)) - 2) ELSE RTRIM(CAST("price" AS VARCHAR), '0') END, (CHR(92) || 'N')) FROM t;

-- token of ratio
SELECT COALESCE(CASE WHEN CAST("ratio" AS DOUBLE) = 0 THEN '0' WHEN isnan(CAST("ratio" AS DOUBLE)) THEN 'NaN' WHEN isinf(CAST("ratio" AS DOUBLE)) THEN CASE WHEN CAST("ratio" AS DOUBLE) > 0 THEN 'Infinity' ELSE '-Infinity' END WHEN abs(CAST("ratio" AS DOUBLE)) >= 2.2250738585072014e-308 THEN CASE WHEN CAST("ratio" AS DOUBLE) < 0 THEN '-' ELSE '' END || CAST((CAST(CAST(CAST("ratio" AS DOUBLE) AS BIT) AS BIGINT) & 4503599627370495) | 4503599627370496 AS VARCHAR) || 'p' || CAST(((CAST(CAST(CAST("ratio" AS DOUBLE) AS BIT) AS BIGINT) >> 52) & 2047) - 1075 AS VARCHAR) WHEN CAST("ratio" AS DOUBLE) IS NOT NULL THEN CASE WHEN (CAST("ratio" AS DOUBLE) * 1.6069380442589903e+60) < 0 THEN '-' ELSE '' END || CAST((CAST(CAST((CAST("ratio" AS DOUBLE) * 1.6069380442589903e+60) AS BIT) AS BIGINT) & 4503599627370495) | 4503599627370496 AS VARCHAR) || 'p' || CAST(((CAST(CAST((CAST("ratio" AS DOUBLE) * 1.6069380442589903e+60) AS BIT) AS BIGINT) >> 52) & 2047) - 1275 AS VARCHAR) END, (CHR(92) || 'N')) FROM t;

-- token of code
SELECT COALESCE(REPLACE(REPLACE("code", CHR(92), (CHR(92) || CHR(92))), '|', (CHR(92) || 'p')), (CHR(92) || 'N')) FROM t;

-- token of note
SELECT COALESCE(CASE WHEN strlen("note") > 1000 THEN ((CHR(92) || 'h') || md5("note")) ELSE REPLACE(REPLACE("note", CHR(92), (CHR(92) || CHR(92))), '|', (CHR(92) || 'p')) END, (CHR(92) || 'N')) FROM t;

-- token of blob
SELECT COALESCE(CASE WHEN strlen(lower(hex("blob"))) > 1000 THEN ((CHR(92) || 'h') || md5(lower(hex("blob")))) ELSE lower(hex("blob")) END, (CHR(92) || 'N')) FROM t;

-- token of day
SELECT COALESCE(CASE WHEN "day" < DATE '0001-01-01' AND isfinite("day") THEN replace(CAST("day" AS VARCHAR), ' (BC)', '') || ' BC' ELSE CAST("day" AS VARCHAR) END, (CHR(92) || 'N')) FROM t;

-- token of moment
SELECT COALESCE(CAST("moment" AS VARCHAR), (CHR(92) || 'N')) FROM t;

-- token of stamp
SELECT COALESCE(CASE WHEN "stamp" < TIMESTAMP '0001-01-01 00:00:00' AND isfinite("stamp") THEN replace(CAST("stamp" AS VARCHAR), ' (BC)', '') || ' BC' ELSE CAST("stamp" AS VARCHAR) END, (CHR(92) || 'N')) FROM t;

-- token of instant
SELECT COALESCE(CASE WHEN ("instant" AT TIME ZONE 'UTC') < TIMESTAMP '0001-01-01 00:00:00' AND isfinite(("instant" AT TIME ZONE 'UTC')) THEN replace(CAST(("instant" AT TIME ZONE 'UTC') AS VARCHAR), ' (BC)', '') || ' BC' ELSE CAST(("instant" AT TIME ZONE 'UTC') AS VARCHAR) END, (CHR(92) || 'N')) FROM t;

-- token of token
SELECT COALESCE(CAST("token" AS VARCHAR), (CHR(92) || 'N')) FROM t;

-- fingerprints of ranges
SELECT bucket AS bucket, COUNT(*) AS row_count, SUM(CAST('0x' || SUBSTRING(h, 2, 15) AS BIGINT)) AS high, SUM(CAST('0x' || SUBSTRING(h, 18, 15) AS BIGINT)) AS low
FROM (SELECT ((CAST("id" AS BIGINT) - (-5)) - MOD((CAST("id" AS BIGINT) - (-5)), 1000)) AS bucket, md5(concat_ws('|', COALESCE(CASE WHEN "flag" THEN '1' WHEN NOT "flag" THEN '0' END, (CHR(92) || 'N')), CAST("id" AS VARCHAR), COALESCE((CAST("amount" AS VARCHAR) || '00'), (CHR(92) || 'N')))) AS h FROM t) AS hashed
GROUP BY bucket;

-- fingerprints of hashes
SELECT bucket AS bucket, COUNT(*) AS row_count, SUM(CAST('0x' || SUBSTRING(h, 2, 15) AS BIGINT)) AS high, SUM(CAST('0x' || SUBSTRING(h, 18, 15) AS BIGINT)) AS low
FROM (SELECT SUBSTRING(md5(concat_ws('|', CAST("id" AS VARCHAR))), 1, 3) AS bucket, md5(concat_ws('|', COALESCE(CASE WHEN "flag" THEN '1' WHEN NOT "flag" THEN '0' END, (CHR(92) || 'N')), CAST("id" AS VARCHAR), COALESCE((CAST("amount" AS VARCHAR) || '00'), (CHR(92) || 'N')))) AS h FROM t WHERE id > 0) AS hashed
GROUP BY bucket;

-- fingerprints of rows without a key
SELECT bucket AS bucket, COUNT(*) AS row_count, SUM(CAST('0x' || SUBSTRING(h, 2, 15) AS BIGINT)) AS high, SUM(CAST('0x' || SUBSTRING(h, 18, 15) AS BIGINT)) AS low
FROM (SELECT SUBSTRING(md5(concat_ws('|', COALESCE(CASE WHEN "flag" THEN '1' WHEN NOT "flag" THEN '0' END, (CHR(92) || 'N')), CAST("id" AS VARCHAR), COALESCE((CAST("amount" AS VARCHAR) || '00'), (CHR(92) || 'N')))), 1, 3) AS bucket, md5(concat_ws('|', COALESCE(CASE WHEN "flag" THEN '1' WHEN NOT "flag" THEN '0' END, (CHR(92) || 'N')), CAST("id" AS VARCHAR), COALESCE((CAST("amount" AS VARCHAR) || '00'), (CHR(92) || 'N')))) AS h FROM t) AS hashed
GROUP BY bucket;

-- fingerprints of some ranges
SELECT bucket AS bucket, COUNT(*) AS row_count, SUM(CAST('0x' || SUBSTRING(h, 2, 15) AS BIGINT)) AS high, SUM(CAST('0x' || SUBSTRING(h, 18, 15) AS BIGINT)) AS low
FROM (SELECT ((CAST("id" AS BIGINT) - (-5)) - MOD((CAST("id" AS BIGINT) - (-5)), 1000)) AS bucket, md5(concat_ws('|', COALESCE(CASE WHEN "flag" THEN '1' WHEN NOT "flag" THEN '0' END, (CHR(92) || 'N')), CAST("id" AS VARCHAR), COALESCE((CAST("amount" AS VARCHAR) || '00'), (CHR(92) || 'N')))) AS h FROM t WHERE ((CAST("id" AS BIGINT) - (-5)) - MOD((CAST("id" AS BIGINT) - (-5)), 1000)) IS NULL OR ("id" >= (-1004) AND "id" < 1995) OR ("id" >= 4995 AND "id" < 5995)) AS hashed
GROUP BY bucket;

-- fingerprints of some hashes
SELECT bucket AS bucket, COUNT(*) AS row_count, SUM(CAST('0x' || SUBSTRING(h, 2, 15) AS BIGINT)) AS high, SUM(CAST('0x' || SUBSTRING(h, 18, 15) AS BIGINT)) AS low
FROM (SELECT SUBSTRING(md5(concat_ws('|', CAST("id" AS VARCHAR))), 1, 4) AS bucket, md5(concat_ws('|', COALESCE(CASE WHEN "flag" THEN '1' WHEN NOT "flag" THEN '0' END, (CHR(92) || 'N')), CAST("id" AS VARCHAR), COALESCE((CAST("amount" AS VARCHAR) || '00'), (CHR(92) || 'N')))) AS h FROM t WHERE SUBSTRING(md5(concat_ws('|', CAST("id" AS VARCHAR))), 1, 3) IN ('0a3', 'fff')) AS hashed
GROUP BY bucket;

-- fingerprints of columns
SELECT COUNT(*) AS row_count, SUM(CAST('0x' || SUBSTRING(h0, 2, 15) AS BIGINT)) AS high_0, SUM(CAST('0x' || SUBSTRING(h0, 18, 15) AS BIGINT)) AS low_0, SUM(CAST('0x' || SUBSTRING(h1, 2, 15) AS BIGINT)) AS high_1, SUM(CAST('0x' || SUBSTRING(h1, 18, 15) AS BIGINT)) AS low_1
FROM (SELECT md5(concat_ws('|', CAST("id" AS VARCHAR), COALESCE((CAST("amount" AS VARCHAR) || '00'), (CHR(92) || 'N')))) AS h0, md5(concat_ws('|', CAST("id" AS VARCHAR), COALESCE(CASE WHEN RIGHT(CAST("price" AS VARCHAR), 2) = '00' THEN LEFT(CAST("price" AS VARCHAR), LENGTH(CAST("price" AS VARCHAR)) - 2) ELSE RTRIM(CAST("price" AS VARCHAR), '0') END, (CHR(92) || 'N')))) AS h1 FROM t) AS hashed;

-- rows
SELECT ((CAST("id" AS BIGINT) - (-5)) - MOD((CAST("id" AS BIGINT) - (-5)), 1000)) AS bucket, CASE WHEN "flag" THEN '1' WHEN NOT "flag" THEN '0' END AS c0, CAST("id" AS VARCHAR) AS c1 FROM t;

-- bounds
SELECT MIN("id") AS low, MAX("id") AS high FROM t;
