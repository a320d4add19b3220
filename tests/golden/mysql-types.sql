-- Every column type, each with its edges. Generated ones stand between them to be stepped over.
CREATE DATABASE types;
USE types;
SET NAMES utf8mb4;
SET time_zone = '+00:00', timestamp = 1767607872.123456, sql_mode = 'NO_ENGINE_SUBSTITUTION';

CREATE TABLE all_types (
  id            BIGINT UNSIGNED NOT NULL,
  tiny_s        TINYINT, tiny_u TINYINT UNSIGNED, flag BOOL,
  small_s       SMALLINT, small_u SMALLINT UNSIGNED,
  medium_s      MEDIUMINT, medium_u MEDIUMINT UNSIGNED,
  int_s         INT, int_u INT UNSIGNED,
  big_s         BIGINT, big_u BIGINT UNSIGNED,
  some_vector   VECTOR(4), hidden INT INVISIBLE,
  dec_money     DECIMAL(10,2), dec_max DECIMAL(65,30), dec_whole DECIMAL(20,0), dec_small DECIMAL(5,5), dec_u DECIMAL(9,3) UNSIGNED,
  float_s       FLOAT, double_s DOUBLE,
  bit1          BIT(1), bit12 BIT(12), bit64 BIT(64),
  year_s        YEAR, date_s DATE,
  time0         TIME, time1 TIME(1), time3 TIME(3), time6 TIME(6),
  datetime0     DATETIME, datetime2 DATETIME(2), datetime4 DATETIME(4), datetime6 DATETIME(6),
  stamp0        TIMESTAMP NULL, stamp3 TIMESTAMP(3) NULL, stamp6 TIMESTAMP(6) NULL,
  char_s        CHAR(10), char_long CHAR(255), char_longest CHAR(255) CHARACTER SET utf8mb3, binary_long BINARY(255), char_latin1 CHAR(20) CHARACTER SET latin1,
  text_s        VARCHAR(50), text_long VARCHAR(2000),
  text_latin1   VARCHAR(50) CHARACTER SET latin1, text_cp1251 VARCHAR(50) CHARACTER SET cp1251,
  text_ucs2     VARCHAR(50) CHARACTER SET ucs2, text_utf16 VARCHAR(50) CHARACTER SET utf16, text_utf32 CHAR(20) CHARACTER SET utf32,
  text_sjis     VARCHAR(50) CHARACTER SET sjis, text_gbk VARCHAR(50) CHARACTER SET gbk, text_ascii VARCHAR(50) CHARACTER SET ascii,
  generated_v   VARCHAR(60) AS (CONCAT(text_ascii, '!')) VIRTUAL, generated_s INT AS (int_s + 1) STORED,
  tiny_text     TINYTEXT, plain_text TEXT, medium_text MEDIUMTEXT, long_text LONGTEXT,
  binary_s      BINARY(8), varbinary_s VARBINARY(300),
  tiny_blob     TINYBLOB, plain_blob BLOB, medium_blob MEDIUMBLOB, long_blob LONGBLOB,
  enum_s        ENUM('red', 'gr''een', 'blü'), enum_latin1 ENUM('a', 'é') CHARACTER SET latin1,
  set_s         SET('a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i'),
  json_s        JSON, shape GEOMETRY, dot POINT,
  sync_version  BIGINT NOT NULL DEFAULT 0, updated_at DATETIME(6),
  PRIMARY KEY (id)
) CHARACTER SET utf8mb4;

CREATE TABLE docs (id INT NOT NULL, doc JSON, sync_version BIGINT NOT NULL DEFAULT 0, updated_at DATETIME(6), PRIMARY KEY (id));

INSERT INTO all_types (id) VALUES (1);
INSERT INTO all_types SET id = 18446744073709551615,
  tiny_s = -128, tiny_u = 255, flag = TRUE, small_s = -32768, small_u = 65535, medium_s = -8388608, medium_u = 16777215,
  int_s = -2147483648, int_u = 4294967295, big_s = -9223372036854775808, big_u = 18446744073709551615,
  some_vector = STRING_TO_VECTOR('[1, 2, 3.5, -4]'), hidden = 42,
  dec_money = -99999999.99, dec_max = -12345678901234567890123456789012345.678901234567890123456789012345,
  dec_whole = 12345678901234567890, dec_small = -0.00010, dec_u = 999999.999,
  float_s = -1.5e-7, double_s = -1.7976931348623157e308, bit1 = b'1', bit12 = b'101010101010', bit64 = 0xffffffffffffffff,
  year_s = 2155, date_s = '9999-12-31', time0 = '-838:59:59', time1 = '-00:00:00.1', time3 = '-12:34:56.789', time6 = '-838:59:59.999999',
  datetime0 = '9999-12-31 23:59:59', datetime2 = '2026-01-05 10:11:12.34', datetime4 = '2026-01-05 10:11:12.3400', datetime6 = '9999-12-31 23:59:59.999999',
  stamp0 = '2038-01-19 03:14:07', stamp3 = '1970-01-01 00:00:01.120', stamp6 = '2038-01-19 03:14:07.999999',
  char_s = 'trailing  ', char_long = REPEAT('ü', 255), char_longest = REPEAT('ж', 200), binary_long = REPEAT(0x00ff, 100), char_latin1 = '€ œuvre', text_s = 'trailing  ', text_long = REPEAT('x', 1500),
  text_latin1 = 'naïve € “quoted”', text_cp1251 = 'Привет', text_ucs2 = 'Ωmega', text_utf16 = '𝄞 clef', text_utf32 = '𝄞', text_sjis = '日本', text_gbk = '中文',
  text_ascii = 'plain', tiny_text = '', plain_text = 'a\nb', medium_text = '🙂', long_text = 'long',
  binary_s = 0x0102000300, varbinary_s = 0x00ff00, tiny_blob = '', plain_blob = 0x8081, medium_blob = 0x00, long_blob = REPEAT('z', 300),
  enum_s = 'blü', enum_latin1 = 'é', set_s = 'a,c,i', json_s = '{"b": [1, 2.50], "a": null}',
  shape = ST_GeomFromText('LINESTRING(0 0, 1 1)', 4326), dot = POINT(1, 2), sync_version = 3, updated_at = '2026-01-05 10:11:12.5';
INSERT INTO all_types SET id = 2,
  tiny_s = 0, dec_money = 0, dec_max = 0, dec_small = 0, float_s = 0, double_s = -0.0, bit12 = 0, year_s = 0, date_s = '0000-00-00',
  time0 = '00:00:00', time6 = '00:00:00.000001', datetime0 = '0000-00-00 00:00:00', datetime6 = '0000-00-00 00:00:00', stamp0 = 0, stamp6 = '1970-01-01 00:00:00.5',
  char_s = '', text_s = '', enum_s = 'no such', set_s = '', binary_s = '', varbinary_s = '', json_s = '[]', updated_at = '2026-01-05 00:00:00';
INSERT INTO all_types SET id = 3,
  tiny_s = 127, small_s = 32767, medium_s = 8388607, int_s = 2147483647, big_s = 9223372036854775807,
  dec_money = 99999999.90, dec_max = 1, dec_small = 0.5, float_s = 3.4e38, double_s = 0.1, time1 = '838:59:58.9', time3 = '00:00:01.500',
  stamp0 = '2026-06-30 23:59:60', enum_s = 'gr''een', set_s = 'b';
UPDATE all_types SET text_s = NULL, int_u = 7, json_s = JSON_ARRAY(1, 'x') WHERE id = 2;
UPDATE all_types SET generated_v = DEFAULT, some_vector = STRING_TO_VECTOR('[9, 9, 9, 9]') WHERE id = 3;
DELETE FROM all_types WHERE id > 100;

-- JSON: each kind of value, in an array, as a member, and alone
INSERT INTO docs (id, doc) VALUES (1, NULL), (2, 'null'), (3, 'true'), (4, 'false'), (5, '{}'), (6, '[]'), (7, '"text"'), (8, '""'),
  (9, '-32768'), (10, '65535'), (11, '-2147483648'), (12, '4294967295'), (13, '-9223372036854775808'), (14, '18446744073709551615'),
  (15, '1.5'), (16, '-0.0'), (17, '1e300'), (18, '[0.1, 100.0, 1e15, 1e16, 123456789012345680000, 1e-5, 2.2250738585072014e-308, 1.7976931348623157e308]');
INSERT INTO docs (id, doc) VALUES (20, JSON_ARRAY(0, 1, -1, 32767, -32769, 65536, 2147483648, 4294967296, -4294967297, 9223372036854775807));
INSERT INTO docs (id, doc) VALUES (21, JSON_ARRAY(CAST('1.50' AS DECIMAL(10,2)), CAST('-12345678901234567890.123456789' AS DECIMAL(65,30)), CAST(0 AS DECIMAL)));
INSERT INTO docs (id, doc) VALUES (22, JSON_OBJECT('date', DATE '2026-01-05', 'time', TIME '-12:34:56.789', 'datetime', TIMESTAMP '2026-01-05 10:11:12.345678',
  'year', CAST(2026 AS YEAR), 'blob', x'00ff8081', 'bit', b'101010101010', 'point', POINT(1, 2)));
INSERT INTO docs (id, doc) VALUES (23, CAST(TIMESTAMP '2026-01-05 10:11:12' AS JSON)), (24, CAST(DATE '0001-01-01' AS JSON)), (25, CAST(TIME '838:59:59' AS JSON)),
  (26, CAST(CAST(1.25 AS DECIMAL(5,3)) AS JSON)), (27, CAST(x'ff' AS JSON));
INSERT INTO docs (id, doc) VALUES (30, '{"b": {"c": [1, [2, [3, {"d": null}]]], "aa": "\\u0000\\b\\f\\n\\r\\t\\"\\\\/\\u001f\\u007f"}, "": 0, "🙂": "é🙂", "a": true, "a\\"b": false}');
INSERT INTO docs (id, doc) VALUES (31, JSON_ARRAY(REPEAT('x', 127), REPEAT('y', 128), REPEAT('z', 300)));
INSERT INTO docs (id, doc) VALUES (32, JSON_OBJECT(REPEAT('k', 300), JSON_OBJECT('b', 1, 'a', 2, 'aa', 3, 'B', 4)));
INSERT INTO docs (id, doc) VALUES (33, CONCAT(REPEAT('[', 100), REPEAT(']', 100)));
UPDATE docs SET doc = JSON_SET(doc, '$.b', 7), sync_version = 2 WHERE id = 30;
DELETE FROM docs WHERE id < 20;
