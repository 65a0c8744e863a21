-- Fingerprint spec v1

-- token of flag
SELECT COALESCE(CASE WHEN "flag" THEN '1' WHEN NOT "flag" THEN '0' END, (CHR(92) || 'N')) FROM t;

-- token of id
SELECT CAST("id" AS TEXT) FROM t;

-- token of amount
SELECT COALESCE((CAST("amount" AS TEXT) || '00'), (CHR(92) || 'N')) FROM t;

-- token of price
SELECT COALESCE(CASE WHEN RIGHT(CAST("price" AS TEXT), 2) = '00' THEN LEFT(CAST("price" AS TEXT), LENGTH(CAST("price" AS TEXT)) - 2) ELSE RTRIM(CAST("price" AS TEXT), '0') END, (CHR(92) || 'N')) FROM t;

-- token of ratio
SELECT COALESCE(CASE WHEN CAST("ratio" AS DOUBLE) = 0 THEN '0' WHEN ISNAN(CAST("ratio" AS DOUBLE)) THEN 'NaN' WHEN ISINF(CAST("ratio" AS DOUBLE)) THEN CASE WHEN CAST("ratio" AS DOUBLE) > 0 THEN 'Infinity' ELSE '-Infinity' END WHEN ABS(CAST("ratio" AS DOUBLE)) >= 2.2250738585072014e-308 THEN CASE WHEN CAST("ratio" AS DOUBLE) < 0 THEN '-' ELSE '' END || CAST((CAST(CAST(CAST("ratio" AS DOUBLE) AS BIT) AS BIGINT) & 4503599627370495) | 4503599627370496 AS TEXT) || 'p' || CAST(((CAST(CAST(CAST("ratio" AS DOUBLE) AS BIT) AS BIGINT) >> 52) & 2047) - 1075 AS TEXT) WHEN NOT CAST("ratio" AS DOUBLE) IS NULL THEN CASE WHEN (CAST("ratio" AS DOUBLE) * 1.6069380442589903e+60) < 0 THEN '-' ELSE '' END || CAST((CAST(CAST((CAST("ratio" AS DOUBLE) * 1.6069380442589903e+60) AS BIT) AS BIGINT) & 4503599627370495) | 4503599627370496 AS TEXT) || 'p' || CAST(((CAST(CAST((CAST("ratio" AS DOUBLE) * 1.6069380442589903e+60) AS BIT) AS BIGINT) >> 52) & 2047) - 1275 AS TEXT) END, (CHR(92) || 'N')) FROM t;

-- token of code
SELECT COALESCE(REPLACE(REPLACE("code", CHR(92), (CHR(92) || CHR(92))), '|', (CHR(92) || 'p')), (CHR(92) || 'N')) FROM t;

-- token of note
SELECT COALESCE(CASE WHEN STRLEN("note") > 1000 THEN ((CHR(92) || 'h') || MD5("note")) ELSE REPLACE(REPLACE("note", CHR(92), (CHR(92) || CHR(92))), '|', (CHR(92) || 'p')) END, (CHR(92) || 'N')) FROM t;

-- token of blob
SELECT COALESCE(CASE WHEN STRLEN(LOWER(HEX("blob"))) > 1000 THEN ((CHR(92) || 'h') || MD5(LOWER(HEX("blob")))) ELSE LOWER(HEX("blob")) END, (CHR(92) || 'N')) FROM t;

-- token of day
SELECT COALESCE(CASE WHEN "day" < CAST('0001-01-01' AS DATE) AND ISFINITE("day") THEN REPLACE(CAST("day" AS TEXT), ' (BC)', '') || ' BC' ELSE CAST("day" AS TEXT) END, (CHR(92) || 'N')) FROM t;

-- token of moment
SELECT COALESCE(CAST("moment" AS TEXT), (CHR(92) || 'N')) FROM t;

-- token of stamp
SELECT COALESCE(CASE WHEN CAST("stamp" AS TEXT) LIKE '%(BC)%' THEN REPLACE(CAST("stamp" AS TEXT), ' (BC)', '') || ' BC' ELSE CAST("stamp" AS TEXT) END, (CHR(92) || 'N')) FROM t;

-- token of instant
SELECT COALESCE(CASE WHEN CAST(("instant" AT TIME ZONE 'UTC') AS TEXT) LIKE '%(BC)%' THEN REPLACE(CAST(("instant" AT TIME ZONE 'UTC') AS TEXT), ' (BC)', '') || ' BC' ELSE CAST(("instant" AT TIME ZONE 'UTC') AS TEXT) END, (CHR(92) || 'N')) FROM t;

-- token of token
SELECT COALESCE(CAST("token" AS TEXT), (CHR(92) || 'N')) FROM t;

-- fingerprints of ranges
SELECT bucket AS bucket, COUNT(*) AS row_count, SUM(CAST('0x' || SUBSTRING(h, 2, 15) AS BIGINT)) AS high, SUM(CAST('0x' || SUBSTRING(h, 18, 15) AS BIGINT)) AS low FROM (SELECT ((CAST("id" AS BIGINT) - (-5)) - (CAST("id" AS BIGINT) - (-5)) % 1000) AS bucket, MD5(CONCAT_WS('|', COALESCE(CASE WHEN "flag" THEN '1' WHEN NOT "flag" THEN '0' END, (CHR(92) || 'N')), CAST("id" AS TEXT), COALESCE((CAST("amount" AS TEXT) || '00'), (CHR(92) || 'N')))) AS h FROM t) AS hashed GROUP BY bucket;

-- fingerprints of hashes
SELECT bucket AS bucket, COUNT(*) AS row_count, SUM(CAST('0x' || SUBSTRING(h, 2, 15) AS BIGINT)) AS high, SUM(CAST('0x' || SUBSTRING(h, 18, 15) AS BIGINT)) AS low FROM (SELECT SUBSTRING(MD5(CONCAT_WS('|', CAST("id" AS TEXT))), 1, 3) AS bucket, MD5(CONCAT_WS('|', COALESCE(CASE WHEN "flag" THEN '1' WHEN NOT "flag" THEN '0' END, (CHR(92) || 'N')), CAST("id" AS TEXT), COALESCE((CAST("amount" AS TEXT) || '00'), (CHR(92) || 'N')))) AS h FROM t WHERE id > 0) AS hashed GROUP BY bucket;

-- fingerprints of rows without a key
SELECT bucket AS bucket, COUNT(*) AS row_count, SUM(CAST('0x' || SUBSTRING(h, 2, 15) AS BIGINT)) AS high, SUM(CAST('0x' || SUBSTRING(h, 18, 15) AS BIGINT)) AS low FROM (SELECT SUBSTRING(MD5(CONCAT_WS('|', COALESCE(CASE WHEN "flag" THEN '1' WHEN NOT "flag" THEN '0' END, (CHR(92) || 'N')), CAST("id" AS TEXT), COALESCE((CAST("amount" AS TEXT) || '00'), (CHR(92) || 'N')))), 1, 3) AS bucket, MD5(CONCAT_WS('|', COALESCE(CASE WHEN "flag" THEN '1' WHEN NOT "flag" THEN '0' END, (CHR(92) || 'N')), CAST("id" AS TEXT), COALESCE((CAST("amount" AS TEXT) || '00'), (CHR(92) || 'N')))) AS h FROM t) AS hashed GROUP BY bucket;

-- fingerprints of some ranges
SELECT bucket AS bucket, COUNT(*) AS row_count, SUM(CAST('0x' || SUBSTRING(h, 2, 15) AS BIGINT)) AS high, SUM(CAST('0x' || SUBSTRING(h, 18, 15) AS BIGINT)) AS low FROM (SELECT ((CAST("id" AS BIGINT) - (-5)) - (CAST("id" AS BIGINT) - (-5)) % 1000) AS bucket, MD5(CONCAT_WS('|', COALESCE(CASE WHEN "flag" THEN '1' WHEN NOT "flag" THEN '0' END, (CHR(92) || 'N')), CAST("id" AS TEXT), COALESCE((CAST("amount" AS TEXT) || '00'), (CHR(92) || 'N')))) AS h FROM t WHERE ((CAST("id" AS BIGINT) - (-5)) - (CAST("id" AS BIGINT) - (-5)) % 1000) IS NULL OR ("id" >= (-1004) AND "id" < 1995) OR ("id" >= 4995 AND "id" < 5995)) AS hashed GROUP BY bucket;

-- fingerprints of some hashes
SELECT bucket AS bucket, COUNT(*) AS row_count, SUM(CAST('0x' || SUBSTRING(h, 2, 15) AS BIGINT)) AS high, SUM(CAST('0x' || SUBSTRING(h, 18, 15) AS BIGINT)) AS low FROM (SELECT SUBSTRING(MD5(CONCAT_WS('|', CAST("id" AS TEXT))), 1, 4) AS bucket, MD5(CONCAT_WS('|', COALESCE(CASE WHEN "flag" THEN '1' WHEN NOT "flag" THEN '0' END, (CHR(92) || 'N')), CAST("id" AS TEXT), COALESCE((CAST("amount" AS TEXT) || '00'), (CHR(92) || 'N')))) AS h FROM t WHERE SUBSTRING(MD5(CONCAT_WS('|', CAST("id" AS TEXT))), 1, 3) IN ('0a3', 'fff')) AS hashed GROUP BY bucket;

-- fingerprints of marked ranges
SELECT bucket AS bucket, marked AS marked, COUNT(*) AS row_count, SUM(CAST('0x' || SUBSTRING(h, 2, 15) AS BIGINT)) AS high, SUM(CAST('0x' || SUBSTRING(h, 18, 15) AS BIGINT)) AS low FROM (SELECT ((CAST("id" AS BIGINT) - (-5)) - (CAST("id" AS BIGINT) - (-5)) % 1000) AS bucket, CASE WHEN id > 9 THEN 1 ELSE 0 END AS marked, MD5(CONCAT_WS('|', CAST("id" AS TEXT))) AS h FROM t) AS hashed GROUP BY bucket, marked;

-- fingerprints of columns
SELECT COUNT(*) AS row_count, SUM(CAST('0x' || SUBSTRING(h0, 2, 15) AS BIGINT)) AS high_0, SUM(CAST('0x' || SUBSTRING(h0, 18, 15) AS BIGINT)) AS low_0, SUM(CAST('0x' || SUBSTRING(h1, 2, 15) AS BIGINT)) AS high_1, SUM(CAST('0x' || SUBSTRING(h1, 18, 15) AS BIGINT)) AS low_1 FROM (SELECT MD5(CONCAT_WS('|', CAST("id" AS TEXT), COALESCE((CAST("amount" AS TEXT) || '00'), (CHR(92) || 'N')))) AS h0, MD5(CONCAT_WS('|', CAST("id" AS TEXT), COALESCE(CASE WHEN RIGHT(CAST("price" AS TEXT), 2) = '00' THEN LEFT(CAST("price" AS TEXT), LENGTH(CAST("price" AS TEXT)) - 2) ELSE RTRIM(CAST("price" AS TEXT), '0') END, (CHR(92) || 'N')))) AS h1 FROM t) AS hashed;

-- rows
SELECT ((CAST("id" AS BIGINT) - (-5)) - (CAST("id" AS BIGINT) - (-5)) % 1000) AS bucket, CASE WHEN "flag" THEN '1' WHEN NOT "flag" THEN '0' END AS c0, CAST("id" AS TEXT) AS c1 FROM t;

-- keys
SELECT CONCAT_WS('|', COALESCE(CASE WHEN "flag" THEN '1' WHEN NOT "flag" THEN '0' END, (CHR(92) || 'N')), CAST("id" AS TEXT)) AS row_text, "flag" AS k0, "id" AS k1 FROM t WHERE id > 0;

-- bounds
SELECT MIN("id") AS low, MAX("id") AS high FROM t;
