-- Fingerprint spec v1

-- token of flag
SELECT COALESCE(CASE WHEN "flag" THEN '1' WHEN NOT "flag" THEN '0' END, (CHR(92) || 'N')) FROM t;

-- token of id
SELECT CASE WHEN ("id")::text::numeric = round(("id")::text::numeric, 0) THEN round(("id")::text::numeric, 0)::text ELSE trim_scale(("id")::text::numeric)::text END FROM t;

-- token of amount
SELECT COALESCE((CASE WHEN ("amount")::text::numeric = round(("amount")::text::numeric, 2) THEN round(("amount")::text::numeric, 2)::text ELSE trim_scale(("amount")::text::numeric)::text END || '00'), (CHR(92) || 'N')) FROM t;

-- token of price
SELECT COALESCE(CASE WHEN RIGHT(CASE WHEN ("price")::text::numeric = round(("price")::text::numeric, 4) THEN round(("price")::text::numeric, 4)::text ELSE trim_scale(("price")::text::numeric)::text END, 2) = '00' THEN LEFT(CASE WHEN ("price")::text::numeric = round(("price")::text::numeric, 4) THEN round(("price")::text::numeric, 4)::text ELSE trim_scale(("price")::text::numeric)::text END, LENGTH(CASE WHEN ("price")::text::numeric = round(("price")::text::numeric, 4) THEN round(("price")::text::numeric, 4)::text ELSE trim_scale(("price")::text::numeric)::text END) - 2) ELSE RTRIM(CASE WHEN ("price")::text::numeric = round(("price")::text::numeric, 4) THEN round(("price")::text::numeric, 4)::text ELSE trim_scale(("price")::text::numeric)::text END, '0') END, (CHR(92) || 'N')) FROM t;

-- token of ratio
SELECT COALESCE(CASE WHEN ("ratio")::float8 = 0 THEN '0' WHEN ("ratio")::float8 IN ('NaN', 'Infinity', '-Infinity') THEN ("ratio")::float8::text WHEN abs(("ratio")::float8) >= 2.2250738585072014e-308 THEN CASE WHEN ("ratio")::float8 < 0 THEN '-' ELSE '' END || ((('x' || encode(float8send(("ratio")::float8), 'hex'))::bit(64)::bigint & 4503599627370495) | 4503599627370496)::text || 'p' || (((('x' || encode(float8send(("ratio")::float8), 'hex'))::bit(64)::bigint >> 52) & 2047) - 1075)::text WHEN ("ratio")::float8 IS NOT NULL THEN CASE WHEN (("ratio")::float8 * 1.6069380442589903e+60) < 0 THEN '-' ELSE '' END || ((('x' || encode(float8send((("ratio")::float8 * 1.6069380442589903e+60)), 'hex'))::bit(64)::bigint & 4503599627370495) | 4503599627370496)::text || 'p' || (((('x' || encode(float8send((("ratio")::float8 * 1.6069380442589903e+60)), 'hex'))::bit(64)::bigint >> 52) & 2047) - 1275)::text END, (CHR(92) || 'N')) FROM t;

-- token of code
SELECT COALESCE(REPLACE(REPLACE((CASE WHEN "code" IS NOT NULL THEN concat("code", '') END) COLLATE "C", CHR(92), (CHR(92) || CHR(92))), '|', (CHR(92) || 'p')), (CHR(92) || 'N')) FROM t;

-- token of note
SELECT COALESCE(CASE WHEN octet_length(CASE WHEN "note" IS NOT NULL THEN concat("note", '') END) > 1000 THEN ((CHR(92) || 'h') || md5(CASE WHEN "note" IS NOT NULL THEN concat("note", '') END)) ELSE REPLACE(REPLACE((CASE WHEN "note" IS NOT NULL THEN concat("note", '') END) COLLATE "C", CHR(92), (CHR(92) || CHR(92))), '|', (CHR(92) || 'p')) END, (CHR(92) || 'N')) FROM t;

-- token of blob
SELECT COALESCE(CASE WHEN octet_length(encode("blob", 'hex')) > 1000 THEN ((CHR(92) || 'h') || md5(encode("blob", 'hex'))) ELSE encode("blob", 'hex') END, (CHR(92) || 'N')) FROM t;

-- token of day
SELECT COALESCE(("day")::text, (CHR(92) || 'N')) FROM t;

-- token of moment
SELECT COALESCE(("moment")::text, (CHR(92) || 'N')) FROM t;

-- token of stamp
SELECT COALESCE(("stamp")::text, (CHR(92) || 'N')) FROM t;

-- token of instant
SELECT COALESCE(("instant")::text, (CHR(92) || 'N')) FROM t;

-- token of token
SELECT COALESCE(("token")::text, (CHR(92) || 'N')) FROM t;

-- fingerprints of ranges
SELECT bucket AS bucket, COUNT(*) AS row_count, SUM(substring(h FROM 5 FOR 60)::bigint) AS high, SUM(substring(h FROM 69 FOR 60)::bigint) AS low
FROM (SELECT ((CAST("id" AS BIGINT) - (-5)) - MOD((CAST("id" AS BIGINT) - (-5)), 1000)) AS bucket, ('x' || md5(concat_ws('|', COALESCE(CASE WHEN "flag" THEN '1' WHEN NOT "flag" THEN '0' END, (CHR(92) || 'N')), CASE WHEN ("id")::text::numeric = round(("id")::text::numeric, 0) THEN round(("id")::text::numeric, 0)::text ELSE trim_scale(("id")::text::numeric)::text END, COALESCE((CASE WHEN ("amount")::text::numeric = round(("amount")::text::numeric, 2) THEN round(("amount")::text::numeric, 2)::text ELSE trim_scale(("amount")::text::numeric)::text END || '00'), (CHR(92) || 'N')))))::bit(128) AS h, clock_timestamp() AS fence FROM t) AS hashed
GROUP BY bucket;

-- fingerprints of hashes
SELECT bucket AS bucket, COUNT(*) AS row_count, SUM(substring(h FROM 5 FOR 60)::bigint) AS high, SUM(substring(h FROM 69 FOR 60)::bigint) AS low
FROM (SELECT SUBSTRING(md5(concat_ws('|', CASE WHEN ("id")::text::numeric = round(("id")::text::numeric, 0) THEN round(("id")::text::numeric, 0)::text ELSE trim_scale(("id")::text::numeric)::text END)), 1, 3) AS bucket, ('x' || md5(concat_ws('|', COALESCE(CASE WHEN "flag" THEN '1' WHEN NOT "flag" THEN '0' END, (CHR(92) || 'N')), CASE WHEN ("id")::text::numeric = round(("id")::text::numeric, 0) THEN round(("id")::text::numeric, 0)::text ELSE trim_scale(("id")::text::numeric)::text END, COALESCE((CASE WHEN ("amount")::text::numeric = round(("amount")::text::numeric, 2) THEN round(("amount")::text::numeric, 2)::text ELSE trim_scale(("amount")::text::numeric)::text END || '00'), (CHR(92) || 'N')))))::bit(128) AS h, clock_timestamp() AS fence FROM t WHERE id > 0) AS hashed
GROUP BY bucket;

-- fingerprints of rows without a key
SELECT bucket AS bucket, COUNT(*) AS row_count, SUM(substring(h FROM 5 FOR 60)::bigint) AS high, SUM(substring(h FROM 69 FOR 60)::bigint) AS low
FROM (SELECT SUBSTRING(md5(concat_ws('|', COALESCE(CASE WHEN "flag" THEN '1' WHEN NOT "flag" THEN '0' END, (CHR(92) || 'N')), CASE WHEN ("id")::text::numeric = round(("id")::text::numeric, 0) THEN round(("id")::text::numeric, 0)::text ELSE trim_scale(("id")::text::numeric)::text END, COALESCE((CASE WHEN ("amount")::text::numeric = round(("amount")::text::numeric, 2) THEN round(("amount")::text::numeric, 2)::text ELSE trim_scale(("amount")::text::numeric)::text END || '00'), (CHR(92) || 'N')))), 1, 3) AS bucket, ('x' || md5(concat_ws('|', COALESCE(CASE WHEN "flag" THEN '1' WHEN NOT "flag" THEN '0' END, (CHR(92) || 'N')), CASE WHEN ("id")::text::numeric = round(("id")::text::numeric, 0) THEN round(("id")::text::numeric, 0)::text ELSE trim_scale(("id")::text::numeric)::text END, COALESCE((CASE WHEN ("amount")::text::numeric = round(("amount")::text::numeric, 2) THEN round(("amount")::text::numeric, 2)::text ELSE trim_scale(("amount")::text::numeric)::text END || '00'), (CHR(92) || 'N')))))::bit(128) AS h, clock_timestamp() AS fence FROM t) AS hashed
GROUP BY bucket;

-- fingerprints of some ranges
SELECT bucket AS bucket, COUNT(*) AS row_count, SUM(substring(h FROM 5 FOR 60)::bigint) AS high, SUM(substring(h FROM 69 FOR 60)::bigint) AS low
FROM (SELECT ((CAST("id" AS BIGINT) - (-5)) - MOD((CAST("id" AS BIGINT) - (-5)), 1000)) AS bucket, ('x' || md5(concat_ws('|', COALESCE(CASE WHEN "flag" THEN '1' WHEN NOT "flag" THEN '0' END, (CHR(92) || 'N')), CASE WHEN ("id")::text::numeric = round(("id")::text::numeric, 0) THEN round(("id")::text::numeric, 0)::text ELSE trim_scale(("id")::text::numeric)::text END, COALESCE((CASE WHEN ("amount")::text::numeric = round(("amount")::text::numeric, 2) THEN round(("amount")::text::numeric, 2)::text ELSE trim_scale(("amount")::text::numeric)::text END || '00'), (CHR(92) || 'N')))))::bit(128) AS h, clock_timestamp() AS fence FROM t WHERE ((CAST("id" AS BIGINT) - (-5)) - MOD((CAST("id" AS BIGINT) - (-5)), 1000)) IS NULL OR ("id" >= (-1004) AND "id" < 1995) OR ("id" >= 4995 AND "id" < 5995)) AS hashed
GROUP BY bucket;

-- fingerprints of some hashes
SELECT bucket AS bucket, COUNT(*) AS row_count, SUM(substring(h FROM 5 FOR 60)::bigint) AS high, SUM(substring(h FROM 69 FOR 60)::bigint) AS low
FROM (SELECT SUBSTRING(md5(concat_ws('|', CASE WHEN ("id")::text::numeric = round(("id")::text::numeric, 0) THEN round(("id")::text::numeric, 0)::text ELSE trim_scale(("id")::text::numeric)::text END)), 1, 4) AS bucket, ('x' || md5(concat_ws('|', COALESCE(CASE WHEN "flag" THEN '1' WHEN NOT "flag" THEN '0' END, (CHR(92) || 'N')), CASE WHEN ("id")::text::numeric = round(("id")::text::numeric, 0) THEN round(("id")::text::numeric, 0)::text ELSE trim_scale(("id")::text::numeric)::text END, COALESCE((CASE WHEN ("amount")::text::numeric = round(("amount")::text::numeric, 2) THEN round(("amount")::text::numeric, 2)::text ELSE trim_scale(("amount")::text::numeric)::text END || '00'), (CHR(92) || 'N')))))::bit(128) AS h, clock_timestamp() AS fence FROM t WHERE SUBSTRING(md5(concat_ws('|', CASE WHEN ("id")::text::numeric = round(("id")::text::numeric, 0) THEN round(("id")::text::numeric, 0)::text ELSE trim_scale(("id")::text::numeric)::text END)), 1, 3) IN ('0a3', 'fff')) AS hashed
GROUP BY bucket;

-- fingerprints of marked ranges
SELECT bucket AS bucket, marked AS marked, COUNT(*) AS row_count, SUM(substring(h FROM 5 FOR 60)::bigint) AS high, SUM(substring(h FROM 69 FOR 60)::bigint) AS low
FROM (SELECT ((CAST("id" AS BIGINT) - (-5)) - MOD((CAST("id" AS BIGINT) - (-5)), 1000)) AS bucket, CASE WHEN id > 9 THEN 1 ELSE 0 END AS marked, ('x' || md5(concat_ws('|', CASE WHEN ("id")::text::numeric = round(("id")::text::numeric, 0) THEN round(("id")::text::numeric, 0)::text ELSE trim_scale(("id")::text::numeric)::text END)))::bit(128) AS h, clock_timestamp() AS fence FROM t) AS hashed
GROUP BY bucket, marked;

-- fingerprints of columns
SELECT COUNT(*) AS row_count, SUM(substring(h0 FROM 5 FOR 60)::bigint) AS high_0, SUM(substring(h0 FROM 69 FOR 60)::bigint) AS low_0, SUM(substring(h1 FROM 5 FOR 60)::bigint) AS high_1, SUM(substring(h1 FROM 69 FOR 60)::bigint) AS low_1
FROM (SELECT ('x' || md5(concat_ws('|', CASE WHEN ("id")::text::numeric = round(("id")::text::numeric, 0) THEN round(("id")::text::numeric, 0)::text ELSE trim_scale(("id")::text::numeric)::text END, COALESCE((CASE WHEN ("amount")::text::numeric = round(("amount")::text::numeric, 2) THEN round(("amount")::text::numeric, 2)::text ELSE trim_scale(("amount")::text::numeric)::text END || '00'), (CHR(92) || 'N')))))::bit(128) AS h0, ('x' || md5(concat_ws('|', CASE WHEN ("id")::text::numeric = round(("id")::text::numeric, 0) THEN round(("id")::text::numeric, 0)::text ELSE trim_scale(("id")::text::numeric)::text END, COALESCE(CASE WHEN RIGHT(CASE WHEN ("price")::text::numeric = round(("price")::text::numeric, 4) THEN round(("price")::text::numeric, 4)::text ELSE trim_scale(("price")::text::numeric)::text END, 2) = '00' THEN LEFT(CASE WHEN ("price")::text::numeric = round(("price")::text::numeric, 4) THEN round(("price")::text::numeric, 4)::text ELSE trim_scale(("price")::text::numeric)::text END, LENGTH(CASE WHEN ("price")::text::numeric = round(("price")::text::numeric, 4) THEN round(("price")::text::numeric, 4)::text ELSE trim_scale(("price")::text::numeric)::text END) - 2) ELSE RTRIM(CASE WHEN ("price")::text::numeric = round(("price")::text::numeric, 4) THEN round(("price")::text::numeric, 4)::text ELSE trim_scale(("price")::text::numeric)::text END, '0') END, (CHR(92) || 'N')))))::bit(128) AS h1, clock_timestamp() AS fence FROM t) AS hashed;

-- rows
SELECT ((CAST("id" AS BIGINT) - (-5)) - MOD((CAST("id" AS BIGINT) - (-5)), 1000)) AS bucket, CASE WHEN "flag" THEN '1' WHEN NOT "flag" THEN '0' END AS c0, CASE WHEN ("id")::text::numeric = round(("id")::text::numeric, 0) THEN round(("id")::text::numeric, 0)::text ELSE trim_scale(("id")::text::numeric)::text END AS c1 FROM t;

-- keys
SELECT concat_ws('|', COALESCE(CASE WHEN "flag" THEN '1' WHEN NOT "flag" THEN '0' END, (CHR(92) || 'N')), CASE WHEN ("id")::text::numeric = round(("id")::text::numeric, 0) THEN round(("id")::text::numeric, 0)::text ELSE trim_scale(("id")::text::numeric)::text END) AS row_text, "flag" AS k0, "id" AS k1 FROM t WHERE id > 0;

-- bounds
SELECT MIN("id") AS low, MAX("id") AS high FROM t;
