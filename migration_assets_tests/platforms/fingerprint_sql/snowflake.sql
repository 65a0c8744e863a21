-- Fingerprint spec v1

-- token of flag
SELECT COALESCE(CASE WHEN "flag" THEN '1' WHEN NOT "flag" THEN '0' END, (CHR(92) || 'N')) FROM "t";

-- token of id
SELECT TO_CHAR("id") FROM "t";

-- token of amount
SELECT COALESCE((TO_CHAR("amount") || '00'), (CHR(92) || 'N')) FROM "t";

-- token of price
SELECT COALESCE(CASE WHEN RIGHT(TO_CHAR("price"), 2) = '00' THEN LEFT(TO_CHAR("price"), LENGTH(TO_CHAR("price")) - 2) ELSE RTRIM(TO_CHAR("price"), '0') END, (CHR(92) || 'N')) FROM "t";

-- token of ratio
SELECT COALESCE(CASE WHEN CAST("ratio" AS DOUBLE) = 0 THEN '0' WHEN CAST("ratio" AS DOUBLE) = CAST('NaN' AS DOUBLE) THEN 'NaN' WHEN CAST("ratio" AS DOUBLE) = CAST('inf' AS DOUBLE) THEN 'Infinity' WHEN CAST("ratio" AS DOUBLE) = CAST('-inf' AS DOUBLE) THEN '-Infinity' WHEN NOT CAST("ratio" AS DOUBLE) IS NULL THEN CASE WHEN CAST("ratio" AS DOUBLE) < 0 THEN '-' ELSE '' END || TO_CHAR(CAST(((ABS(CAST("ratio" AS DOUBLE)) * CASE WHEN ABS(CAST("ratio" AS DOUBLE)) < CAST('1e-290' AS DOUBLE) THEN POWER(2, 200) ELSE 1 END) / POWER(2, (CASE WHEN (ABS(CAST("ratio" AS DOUBLE)) * CASE WHEN ABS(CAST("ratio" AS DOUBLE)) < CAST('1e-290' AS DOUBLE) THEN POWER(2, 200) ELSE 1 END) / 2 >= POWER(2, LEAST(1023, FLOOR(LN((ABS(CAST("ratio" AS DOUBLE)) * CASE WHEN ABS(CAST("ratio" AS DOUBLE)) < CAST('1e-290' AS DOUBLE) THEN POWER(2, 200) ELSE 1 END)) / LN(2)))) THEN LEAST(1023, FLOOR(LN((ABS(CAST("ratio" AS DOUBLE)) * CASE WHEN ABS(CAST("ratio" AS DOUBLE)) < CAST('1e-290' AS DOUBLE) THEN POWER(2, 200) ELSE 1 END)) / LN(2))) + 1 WHEN (ABS(CAST("ratio" AS DOUBLE)) * CASE WHEN ABS(CAST("ratio" AS DOUBLE)) < CAST('1e-290' AS DOUBLE) THEN POWER(2, 200) ELSE 1 END) < POWER(2, LEAST(1023, FLOOR(LN((ABS(CAST("ratio" AS DOUBLE)) * CASE WHEN ABS(CAST("ratio" AS DOUBLE)) < CAST('1e-290' AS DOUBLE) THEN POWER(2, 200) ELSE 1 END)) / LN(2)))) THEN LEAST(1023, FLOOR(LN((ABS(CAST("ratio" AS DOUBLE)) * CASE WHEN ABS(CAST("ratio" AS DOUBLE)) < CAST('1e-290' AS DOUBLE) THEN POWER(2, 200) ELSE 1 END)) / LN(2))) - 1 ELSE LEAST(1023, FLOOR(LN((ABS(CAST("ratio" AS DOUBLE)) * CASE WHEN ABS(CAST("ratio" AS DOUBLE)) < CAST('1e-290' AS DOUBLE) THEN POWER(2, 200) ELSE 1 END)) / LN(2))) END))) * 4503599627370496 AS DECIMAL(38, 0))) || 'p' || TO_CHAR(CAST((CASE WHEN (ABS(CAST("ratio" AS DOUBLE)) * CASE WHEN ABS(CAST("ratio" AS DOUBLE)) < CAST('1e-290' AS DOUBLE) THEN POWER(2, 200) ELSE 1 END) / 2 >= POWER(2, LEAST(1023, FLOOR(LN((ABS(CAST("ratio" AS DOUBLE)) * CASE WHEN ABS(CAST("ratio" AS DOUBLE)) < CAST('1e-290' AS DOUBLE) THEN POWER(2, 200) ELSE 1 END)) / LN(2)))) THEN LEAST(1023, FLOOR(LN((ABS(CAST("ratio" AS DOUBLE)) * CASE WHEN ABS(CAST("ratio" AS DOUBLE)) < CAST('1e-290' AS DOUBLE) THEN POWER(2, 200) ELSE 1 END)) / LN(2))) + 1 WHEN (ABS(CAST("ratio" AS DOUBLE)) * CASE WHEN ABS(CAST("ratio" AS DOUBLE)) < CAST('1e-290' AS DOUBLE) THEN POWER(2, 200) ELSE 1 END) < POWER(2, LEAST(1023, FLOOR(LN((ABS(CAST("ratio" AS DOUBLE)) * CASE WHEN ABS(CAST("ratio" AS DOUBLE)) < CAST('1e-290' AS DOUBLE) THEN POWER(2, 200) ELSE 1 END)) / LN(2)))) THEN LEAST(1023, FLOOR(LN((ABS(CAST("ratio" AS DOUBLE)) * CASE WHEN ABS(CAST("ratio" AS DOUBLE)) < CAST('1e-290' AS DOUBLE) THEN POWER(2, 200) ELSE 1 END)) / LN(2))) - 1 ELSE LEAST(1023, FLOOR(LN((ABS(CAST("ratio" AS DOUBLE)) * CASE WHEN ABS(CAST("ratio" AS DOUBLE)) < CAST('1e-290' AS DOUBLE) THEN POWER(2, 200) ELSE 1 END)) / LN(2))) END) - 52 - CASE WHEN ABS(CAST("ratio" AS DOUBLE)) < CAST('1e-290' AS DOUBLE) THEN 200 ELSE 0 END AS DECIMAL(38, 0))) END, (CHR(92) || 'N')) FROM "t";

-- token of code
SELECT COALESCE(REPLACE(REPLACE("code", CHR(92), (CHR(92) || CHR(92))), '|', (CHR(92) || 'p')), (CHR(92) || 'N')) FROM "t";

-- token of note
SELECT COALESCE(CASE WHEN OCTET_LENGTH("note") > 1000 THEN ((CHR(92) || 'h') || MD5("note")) ELSE REPLACE(REPLACE("note", CHR(92), (CHR(92) || CHR(92))), '|', (CHR(92) || 'p')) END, (CHR(92) || 'N')) FROM "t";

-- token of blob
SELECT COALESCE(CASE WHEN OCTET_LENGTH(HEX_ENCODE("blob", 0)) > 1000 THEN ((CHR(92) || 'h') || MD5(HEX_ENCODE("blob", 0))) ELSE HEX_ENCODE("blob", 0) END, (CHR(92) || 'N')) FROM "t";

-- token of day
SELECT COALESCE(TO_CHAR("day", 'YYYY-MM-DD'), (CHR(92) || 'N')) FROM "t";

-- token of moment
SELECT COALESCE(RTRIM(RTRIM(TO_CHAR("moment", 'HH24:MI:SS.FF9'), '0'), '.'), (CHR(92) || 'N')) FROM "t";

-- token of stamp
SELECT COALESCE(RTRIM(RTRIM(TO_CHAR("stamp", 'YYYY-MM-DD HH24:MI:SS.FF9'), '0'), '.'), (CHR(92) || 'N')) FROM "t";

-- token of instant
SELECT COALESCE(RTRIM(RTRIM(TO_CHAR(CAST(CONVERT_TIMEZONE('UTC', "instant") AS TIMESTAMPNTZ), 'yyyy-mm-DD hh24:mi:ss.ff9'), '0'), '.'), (CHR(92) || 'N')) FROM "t";

-- token of token
SELECT COALESCE(LOWER("token"), (CHR(92) || 'N')) FROM "t";

-- fingerprints of ranges
SELECT "bucket" AS "bucket", COUNT(*) AS "row_count", SUM(MD5_NUMBER_UPPER64("h") % 1152921504606846976) AS "high", SUM(MD5_NUMBER_LOWER64("h") % 1152921504606846976) AS "low" FROM (SELECT ((CAST("id" AS DECIMAL(38, 0)) - (-5)) - (CAST("id" AS DECIMAL(38, 0)) - (-5)) % 1000) AS "bucket", (COALESCE(CASE WHEN "flag" THEN '1' WHEN NOT "flag" THEN '0' END, (CHR(92) || 'N')) || '|' || TO_CHAR("id") || '|' || COALESCE((TO_CHAR("amount") || '00'), (CHR(92) || 'N'))) AS "h" FROM "t") AS "hashed" GROUP BY "bucket";

-- fingerprints of hashes
SELECT "bucket" AS "bucket", COUNT(*) AS "row_count", SUM(MD5_NUMBER_UPPER64("h") % 1152921504606846976) AS "high", SUM(MD5_NUMBER_LOWER64("h") % 1152921504606846976) AS "low" FROM (SELECT SUBSTRING(MD5(TO_CHAR("id")), 1, 3) AS "bucket", (COALESCE(CASE WHEN "flag" THEN '1' WHEN NOT "flag" THEN '0' END, (CHR(92) || 'N')) || '|' || TO_CHAR("id") || '|' || COALESCE((TO_CHAR("amount") || '00'), (CHR(92) || 'N'))) AS "h" FROM "t" WHERE "id" > 0) AS "hashed" GROUP BY "bucket";

-- fingerprints of rows without a key
SELECT "bucket" AS "bucket", COUNT(*) AS "row_count", SUM(MD5_NUMBER_UPPER64("h") % 1152921504606846976) AS "high", SUM(MD5_NUMBER_LOWER64("h") % 1152921504606846976) AS "low" FROM (SELECT SUBSTRING(MD5((COALESCE(CASE WHEN "flag" THEN '1' WHEN NOT "flag" THEN '0' END, (CHR(92) || 'N')) || '|' || TO_CHAR("id") || '|' || COALESCE((TO_CHAR("amount") || '00'), (CHR(92) || 'N')))), 1, 3) AS "bucket", (COALESCE(CASE WHEN "flag" THEN '1' WHEN NOT "flag" THEN '0' END, (CHR(92) || 'N')) || '|' || TO_CHAR("id") || '|' || COALESCE((TO_CHAR("amount") || '00'), (CHR(92) || 'N'))) AS "h" FROM "t") AS "hashed" GROUP BY "bucket";

-- fingerprints of some ranges
SELECT "bucket" AS "bucket", COUNT(*) AS "row_count", SUM(MD5_NUMBER_UPPER64("h") % 1152921504606846976) AS "high", SUM(MD5_NUMBER_LOWER64("h") % 1152921504606846976) AS "low" FROM (SELECT ((CAST("id" AS DECIMAL(38, 0)) - (-5)) - (CAST("id" AS DECIMAL(38, 0)) - (-5)) % 1000) AS "bucket", (COALESCE(CASE WHEN "flag" THEN '1' WHEN NOT "flag" THEN '0' END, (CHR(92) || 'N')) || '|' || TO_CHAR("id") || '|' || COALESCE((TO_CHAR("amount") || '00'), (CHR(92) || 'N'))) AS "h" FROM "t" WHERE ((CAST("id" AS DECIMAL(38, 0)) - (-5)) - (CAST("id" AS DECIMAL(38, 0)) - (-5)) % 1000) IS NULL OR ("id" >= (-1004) AND "id" < 1995) OR ("id" >= 4995 AND "id" < 5995)) AS "hashed" GROUP BY "bucket";

-- fingerprints of some hashes
SELECT "bucket" AS "bucket", COUNT(*) AS "row_count", SUM(MD5_NUMBER_UPPER64("h") % 1152921504606846976) AS "high", SUM(MD5_NUMBER_LOWER64("h") % 1152921504606846976) AS "low" FROM (SELECT SUBSTRING(MD5(TO_CHAR("id")), 1, 4) AS "bucket", (COALESCE(CASE WHEN "flag" THEN '1' WHEN NOT "flag" THEN '0' END, (CHR(92) || 'N')) || '|' || TO_CHAR("id") || '|' || COALESCE((TO_CHAR("amount") || '00'), (CHR(92) || 'N'))) AS "h" FROM "t" WHERE SUBSTRING(MD5(TO_CHAR("id")), 1, 3) IN ('0a3', 'fff')) AS "hashed" GROUP BY "bucket";

-- fingerprints of marked ranges
SELECT "bucket" AS "bucket", "marked" AS "marked", COUNT(*) AS "row_count", SUM(MD5_NUMBER_UPPER64("h") % 1152921504606846976) AS "high", SUM(MD5_NUMBER_LOWER64("h") % 1152921504606846976) AS "low" FROM (SELECT ((CAST("id" AS DECIMAL(38, 0)) - (-5)) - (CAST("id" AS DECIMAL(38, 0)) - (-5)) % 1000) AS "bucket", CASE WHEN "id" > 9 THEN 1 ELSE 0 END AS "marked", TO_CHAR("id") AS "h" FROM "t") AS "hashed" GROUP BY "bucket", "marked";

-- fingerprints of columns
SELECT COUNT(*) AS "row_count", SUM(MD5_NUMBER_UPPER64("h0") % 1152921504606846976) AS "high_0", SUM(MD5_NUMBER_LOWER64("h0") % 1152921504606846976) AS "low_0", SUM(MD5_NUMBER_UPPER64("h1") % 1152921504606846976) AS "high_1", SUM(MD5_NUMBER_LOWER64("h1") % 1152921504606846976) AS "low_1" FROM (SELECT (TO_CHAR("id") || '|' || COALESCE((TO_CHAR("amount") || '00'), (CHR(92) || 'N'))) AS "h0", (TO_CHAR("id") || '|' || COALESCE(CASE WHEN RIGHT(TO_CHAR("price"), 2) = '00' THEN LEFT(TO_CHAR("price"), LENGTH(TO_CHAR("price")) - 2) ELSE RTRIM(TO_CHAR("price"), '0') END, (CHR(92) || 'N'))) AS "h1" FROM "t") AS "hashed";

-- rows
SELECT ((CAST("id" AS DECIMAL(38, 0)) - (-5)) - (CAST("id" AS DECIMAL(38, 0)) - (-5)) % 1000) AS "bucket", CASE WHEN "flag" THEN '1' WHEN NOT "flag" THEN '0' END AS "c0", TO_CHAR("id") AS "c1" FROM "t";

-- keys
SELECT (COALESCE(CASE WHEN "flag" THEN '1' WHEN NOT "flag" THEN '0' END, (CHR(92) || 'N')) || '|' || TO_CHAR("id")) AS "row_text", "flag" AS "k0", "id" AS "k1" FROM "t" WHERE "id" > 0;

-- bounds
SELECT MIN("id") AS "low", MAX("id") AS "high" FROM "t";
