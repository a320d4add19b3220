-- Updates of JSON that log the difference alone (binlog_row_value_options = PARTIAL_JSON).
CREATE DATABASE app;
USE app;
SET NAMES utf8mb4;
SET time_zone = '+00:00', timestamp = 1767607872;
CREATE TABLE docs (id INT NOT NULL PRIMARY KEY, doc JSON, name VARCHAR(40), other JSON, sync_version BIGINT NOT NULL DEFAULT 0, updated_at DATETIME(6))
  CHARACTER SET utf8mb4;

INSERT INTO docs (id, doc, name, other) VALUES (1, '{"a": 1, "b": "some text that is long enough", "c": [1, 2, 3]}', 'one', '{"x": [true, false]}'),
  (2, '[1, 2, 3, {"k": "v"}]', 'two', NULL), (3, NULL, 'three', '{}');
SET SESSION binlog_row_value_options = PARTIAL_JSON;
UPDATE docs SET doc = JSON_SET(doc, '$.a', 2) WHERE id = 1;
UPDATE docs SET doc = JSON_REPLACE(doc, '$.b', 'short') WHERE id = 1;
UPDATE docs SET doc = JSON_REMOVE(doc, '$.c[0]') WHERE id = 1;
UPDATE docs SET doc = JSON_SET(doc, '$[3].k', 'w', '$[0]', 9) WHERE id = 2;
UPDATE docs SET doc = JSON_SET(doc, '$.new', 'member'), other = JSON_SET(other, '$.x[0]', false), name = 'both' WHERE id = 1;
UPDATE docs SET doc = '{"whole": true}' WHERE id = 2;
UPDATE docs SET name = 'no document changes' WHERE id = 1;
UPDATE docs SET doc = JSON_SET(doc, '$.a', 3) WHERE id < 4;
UPDATE docs SET id = 11, doc = JSON_SET(doc, '$.a', 4) WHERE id = 1;
UPDATE docs SET doc = NULL WHERE id = 11;
UPDATE docs SET doc = '{"a": 1}' WHERE id = 11;
INSERT INTO docs (id, doc) VALUES (4, '{"a": {"b": {"c": 1}}}');
SET SESSION binlog_row_image = MINIMAL;
UPDATE docs SET doc = JSON_SET(doc, '$.a.b.c', 2) WHERE id = 4;
SET SESSION binlog_row_image = NOBLOB;
UPDATE docs SET doc = JSON_SET(doc, '$.a.b.c', 3) WHERE id = 4;
UPDATE docs SET name = 'four' WHERE id = 4;
SET SESSION binlog_row_image = FULL;
DELETE FROM docs WHERE id = 4;
SET SESSION binlog_row_value_options = '';
UPDATE docs SET doc = JSON_SET(doc, '$.a', 5) WHERE id = 11;
