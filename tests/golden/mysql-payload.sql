-- Transactions in one compressed event (binlog_transaction_compression), and beside them some that are not.
CREATE DATABASE twinlog;
USE twinlog;
source @CONTROL_TABLES@
CREATE DATABASE app;
USE app;
SET NAMES utf8mb4;
SET time_zone = '+00:00', timestamp = 1767607872, cte_max_recursion_depth = 10000;
CREATE TABLE users (id INT NOT NULL PRIMARY KEY, name VARCHAR(40) NOT NULL DEFAULT '', own TEXT, doc JSON,
  sync_version BIGINT NOT NULL DEFAULT 0, updated_at DATETIME(6)) CHARACTER SET utf8mb4;
CREATE TABLE pairs (a INT NOT NULL, b VARCHAR(10) NOT NULL, word VARCHAR(40), sync_version BIGINT NOT NULL DEFAULT 0, updated_at DATETIME(6),
  PRIMARY KEY (a, b)) CHARACTER SET utf8mb4;

INSERT INTO users (id, name) VALUES (1, 'plain');
SET SESSION binlog_transaction_compression = ON;
INSERT INTO users (id, name) VALUES (2, 'compressed');
UPDATE users SET name = 'compressed too', sync_version = 1 WHERE id = 2;
BEGIN;
INSERT INTO users (id, name) VALUES (3, 'three'), (4, 'four');
UPDATE users SET id = id + 10 WHERE id > 2;
INSERT INTO pairs (a, b, word) VALUES (1, 'x', 'one');
DELETE FROM users WHERE id = 13;
SAVEPOINT s;
INSERT INTO users (id, name) VALUES (5, 'rolled back');
ROLLBACK TO s;
COMMIT;

-- more than one row event, and as bytes far more than the event in the log
SET SESSION binlog_transaction_compression_level_zstd = 19;
INSERT INTO users (id, name, own) WITH RECURSIVE n (i) AS (SELECT 100 UNION ALL SELECT i + 1 FROM n WHERE i < 180) SELECT i, 'one of many', REPEAT('own ', 50) FROM n;
UPDATE users SET name = 'renamed' WHERE id >= 170;
DELETE FROM users WHERE id >= 100;
SET SESSION binlog_transaction_compression_level_zstd = 1;

-- a large document: its offsets take four bytes
INSERT INTO users (id, doc) VALUES (6, JSON_ARRAY(REPEAT('x', 40000), JSON_OBJECT('a', REPEAT('y', 40000), 'b', JSON_ARRAY(1, 2.5, 100000, NULL, TRUE))));
SET SESSION binlog_row_value_options = PARTIAL_JSON;
UPDATE users SET doc = JSON_SET(doc, '$[1].b[0]', 7) WHERE id = 6;
SET SESSION binlog_row_value_options = '';
DELETE FROM users WHERE id = 6;

-- echoes
INSERT IGNORE INTO twinlog.checkpoint (link, source_side, changed) VALUES ('users', 'right', 1);
BEGIN;
UPDATE twinlog.checkpoint SET changed = changed + 1 WHERE link = 'users' AND source_side = 'right';
UPDATE users SET name = 'echo' WHERE id = 2;
COMMIT;
BEGIN;
INSERT IGNORE INTO twinlog.marker (link, side, id) VALUES ('users', 'left', 41);
UPDATE users SET name = 'reconciled' WHERE id = 2;
COMMIT;

-- XA, statements
XA START 'x';
INSERT INTO users (id, name) VALUES (60, 'both phases');
XA END 'x';
XA PREPARE 'x';
XA COMMIT 'x';
XA START 'y';
INSERT INTO users (id, name) VALUES (61, 'in doubt');
XA END 'y';
XA PREPARE 'y';
XA ROLLBACK 'y';
SET SESSION binlog_format = STATEMENT;
UPDATE users SET name = 'as text' WHERE id = 2;
SET SESSION binlog_format = ROW;
CREATE TABLE copy_of_users AS SELECT id, name FROM users;
ALTER TABLE users ADD COLUMN extra INT;
INSERT INTO users (id, name) VALUES (80, 'one column more');
SET SESSION binlog_transaction_compression = OFF;
INSERT INTO users (id, name) VALUES (81, 'plain again');
