-- A server that gives its transactions no GTID.
-- server: --gtid-mode=OFF --enforce-gtid-consistency=OFF
CREATE DATABASE app;
USE app;
SET NAMES utf8mb4;
SET time_zone = '+00:00', timestamp = 1767607872;
CREATE TABLE users (id INT NOT NULL PRIMARY KEY, name VARCHAR(40) NOT NULL DEFAULT '', sync_version BIGINT NOT NULL DEFAULT 0, updated_at DATETIME(6)) CHARACTER SET utf8mb4;
CREATE TABLE log_isam (id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, n INT) ENGINE = MyISAM;

INSERT INTO users (id, name) VALUES (1, 'one'), (2, 'two');
BEGIN;
UPDATE users SET name = 'uno', sync_version = 1 WHERE id = 1;
DELETE FROM users WHERE id = 2;
COMMIT;
-- another engine's rows keep what is rolled back in the log
BEGIN;
INSERT INTO users (id, name) VALUES (54, 'before');
SAVEPOINT s;
INSERT INTO users (id, name) VALUES (55, 'rolled back');
INSERT INTO log_isam (n) VALUES (1);
ROLLBACK TO s;
COMMIT;
BEGIN;
INSERT INTO log_isam (n) VALUES (2);
INSERT INTO users (id, name) VALUES (56, 'rolled back, other engine not');
ROLLBACK;
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
SET SESSION binlog_transaction_compression = ON;
UPDATE users SET name = 'compressed' WHERE id = 1;
SET SESSION binlog_transaction_compression = OFF;
ALTER TABLE users ADD COLUMN extra INT;
INSERT INTO users (id, name) VALUES (80, 'one column more');
TRUNCATE users;
