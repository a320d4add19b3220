-- What stands around rows on MySQL: echoes, key changes, partial images, statements, savepoints, XA, cascades.
-- server: --binlog-rows-query-log-events=ON
CREATE DATABASE twinlog;
USE twinlog;
source @CONTROL_TABLES@
CREATE DATABASE app;
USE app;
SET NAMES utf8mb4;
SET time_zone = '+00:00', timestamp = 1767607872;
CREATE TABLE users (
  id INT NOT NULL PRIMARY KEY, name VARCHAR(40) NOT NULL DEFAULT '', sealed VARCHAR(200) CHARACTER SET ascii,
  own TEXT, sync_version BIGINT NOT NULL DEFAULT 0, updated_at DATETIME(6)
) CHARACTER SET latin1;
CREATE TABLE pairs (a INT NOT NULL, b VARCHAR(10) NOT NULL, word VARCHAR(20), sync_version BIGINT NOT NULL DEFAULT 0, updated_at DATETIME(6),
  PRIMARY KEY (a, b)) CHARACTER SET utf8mb4;
CREATE TABLE parents (id INT NOT NULL PRIMARY KEY, n INT) CHARACTER SET utf8mb4;
CREATE TABLE children (id INT NOT NULL PRIMARY KEY, parent INT, sync_version BIGINT NOT NULL DEFAULT 0, updated_at DATETIME(6),
  FOREIGN KEY (parent) REFERENCES parents (id) ON DELETE CASCADE ON UPDATE CASCADE) CHARACTER SET utf8mb4;
CREATE TABLE log_isam (id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, n INT) ENGINE = MyISAM;

-- plain: three statements, one transaction; the foreign table and the unmapped column are passed over
BEGIN;
INSERT INTO users VALUES (1, 'Zoë', NULL, 'x', 1, '2026-01-05 10:11:12.5'), (2, 'Bob', NULL, NULL, 1, NULL);
INSERT INTO parents VALUES (1, 1);
UPDATE users SET own = 'y';
UPDATE users SET name = 'Rob', sync_version = 2 WHERE id = 2;
COMMIT;

-- sealed values: one that opens, one that does not
UPDATE users SET sealed = '@SEALED@' WHERE id = 1;
UPDATE users SET sealed = 'bm90IHNlYWxlZA==' WHERE id = 2;

-- keys that change: delete and insert, also of one part of a key
UPDATE users SET id = id + 10 ORDER BY id;
INSERT INTO pairs VALUES (1, 'x', 'one', 0, NULL), (1, 'y', 'two', 0, NULL);
UPDATE pairs SET b = 'z' WHERE b = 'y';

-- one statement, two tables: both table maps come first
CREATE TRIGGER users_ai AFTER INSERT ON users FOR EACH ROW INSERT INTO pairs VALUES (NEW.id, 'trigger', NEW.name, 0, NULL);
INSERT INTO users (id, name) VALUES (20, 'triggered'), (21, 'again');
DROP TRIGGER users_ai;

-- cascades
INSERT INTO children (id, parent) VALUES (1, 1), (2, 1), (3, NULL);
UPDATE parents SET id = 9 WHERE id = 1;
DELETE FROM parents WHERE id = 9;

-- echoes (IGNORE: the other columns may be any): a checkpoint, markers, the deletion of a marker, and a link that is none of ours
INSERT IGNORE INTO twinlog.checkpoint (link, source_side, changed) VALUES ('users', 'right', 1);
BEGIN;
UPDATE twinlog.checkpoint SET changed = changed + 1 WHERE link = 'users' AND source_side = 'right';
UPDATE users SET name = 'echo' WHERE id = 20;
COMMIT;
BEGIN;
INSERT IGNORE INTO twinlog.marker (link, side, id) VALUES ('users', 'left', 41), ('users', 'left', 42), ('users', 'right', 43);
UPDATE users SET name = 'reconciled' WHERE id = 20;
COMMIT;
BEGIN;
DELETE FROM twinlog.marker WHERE link = 'users';
UPDATE users SET name = 'purged' WHERE id = 20;
COMMIT;
BEGIN;
INSERT IGNORE INTO twinlog.checkpoint (link, source_side, changed) VALUES ('stranger', 'right', 1);
UPDATE users SET name = 'by a stranger' WHERE id = 20;
COMMIT;
-- not written by the daemon
BEGIN;
UPDATE users SET name = 'first' WHERE id = 20;
UPDATE twinlog.checkpoint SET changed = changed + 1 WHERE link = 'users' AND source_side = 'right';
COMMIT;

-- partial images
SET SESSION binlog_row_image = MINIMAL;
INSERT INTO users (id, name) VALUES (30, 'minimal');
UPDATE users SET name = 'less' WHERE id = 30;
UPDATE users SET own = 'unmapped' WHERE id = 30;
UPDATE users SET id = 31 WHERE id = 30;
DELETE FROM users WHERE id = 31;
SET SESSION binlog_row_image = NOBLOB;
INSERT INTO users (id, name, own) VALUES (32, 'noblob', 'text');
UPDATE users SET name = 'noblob 2' WHERE id = 32;
SET SESSION binlog_row_image = FULL;

-- savepoints and rollback
BEGIN;
INSERT INTO users (id, name) VALUES (50, 'before');
SAVEPOINT s;
INSERT INTO users (id, name) VALUES (51, 'rolled back');
ROLLBACK TO s;
INSERT INTO users (id, name) VALUES (52, 'behind');
COMMIT;
BEGIN;
INSERT INTO users (id, name) VALUES (53, 'nothing of this');
ROLLBACK;
INSERT INTO log_isam (n) VALUES (1);

-- XA
XA START 'x';
INSERT INTO parents VALUES (2, 2);
XA END 'x';
XA PREPARE 'x';
XA COMMIT 'x';
XA START 'y';
INSERT INTO users (id, name) VALUES (60, 'in doubt');
XA END 'y';
XA PREPARE 'y';
XA ROLLBACK 'y';
XA START 'z', 'branch', 7;
INSERT INTO users (id, name) VALUES (61, 'one phase');
XA END 'z', 'branch', 7;
XA COMMIT 'z', 'branch', 7 ONE PHASE;
XA START 'w';
INSERT INTO users (id, name) VALUES (62, 'both phases');
UPDATE users SET name = 'both phases, twice' WHERE id = 62;
XA END 'w';
XA PREPARE 'w';
XA COMMIT 'w';

-- metadata in the table map
SET GLOBAL binlog_row_metadata = FULL;
FLUSH TABLES;
INSERT INTO users (id, name) VALUES (70, 'full metadata');
ALTER TABLE users RENAME COLUMN name TO nick;
INSERT INTO users (id, nick) VALUES (71, 'renamed');
ALTER TABLE users RENAME COLUMN nick TO name;
SET GLOBAL binlog_row_metadata = MINIMAL;
FLUSH TABLES;
INSERT INTO users (id, name) VALUES (72, 'back');

-- statements
CREATE TABLE copy_of_users AS SELECT id, name FROM users;
SET SESSION binlog_format = STATEMENT;
INSERT INTO parents SELECT id, 1 FROM users WHERE id > 70;
UPDATE users SET name = 'as text' WHERE id = 70;
SET @word = 'a variable';
INSERT INTO pairs (a, b, word) VALUES (LAST_INSERT_ID() + 70, 'x', @word);
SET SESSION binlog_format = ROW;
CREATE TEMPORARY TABLE passing (id INT NOT NULL PRIMARY KEY);
INSERT INTO passing VALUES (1);
DROP TEMPORARY TABLE passing;
ALTER TABLE users ADD COLUMN extra INT;
INSERT INTO users (id, name) VALUES (80, 'one column more');
ALTER TABLE users DROP COLUMN extra;
INSERT INTO users (id, name) VALUES (81, 'as before');
ALTER TABLE users ADD COLUMN hidden INT INVISIBLE AFTER id;
INSERT INTO users (id, name, hidden) VALUES (82, 'beside an invisible one', 1);
ALTER TABLE users DROP COLUMN hidden;
CREATE INDEX by_name ON users (name);
TRUNCATE TABLE copy_of_users;
RENAME TABLE copy_of_users TO users_2;
TRUNCATE users;
INSERT INTO users (id, name) VALUES (90, 'behind truncate');
DROP TABLE users;
