-- All that log_bin_compress compresses: rows of each kind, longer than one event, two tables in one statement, statements.
-- server: --log-bin-compress=ON --log-bin-compress-min-len=10 --binlog-row-event-max-size=1024
CREATE DATABASE app;
USE app;
SET NAMES utf8mb4;
SET time_zone = '+00:00', timestamp = 1767607872;
CREATE TABLE users (
  id INT NOT NULL PRIMARY KEY, name VARCHAR(40) NOT NULL DEFAULT '', own TEXT, packed TEXT COMPRESSED,
  sync_version BIGINT NOT NULL DEFAULT 0, updated_at DATETIME(6)
) CHARACTER SET utf8mb4;
CREATE TABLE log_of_users (id INT NOT NULL PRIMARY KEY, name VARCHAR(40), sync_version BIGINT NOT NULL DEFAULT 0, updated_at DATETIME(6));

INSERT INTO users (id, name) VALUES (1, 'one');
INSERT INTO users SELECT seq + 10, CONCAT('user ', seq), REPEAT('own ', seq), REPEAT('packed ', seq * 10), 1, '2026-01-05 10:11:12.5' FROM seq_1_to_40;
UPDATE users SET name = CONCAT(name, ' again'), sync_version = sync_version + 1 WHERE id > 10;
UPDATE users SET own = REPEAT('long ', 4000) WHERE id = 1;
UPDATE users SET id = id + 1000 WHERE id < 20 ORDER BY id DESC;
DELETE FROM users WHERE id > 30 AND id < 1000;

-- one statement, two tables
CREATE TRIGGER users_ai AFTER INSERT ON users FOR EACH ROW INSERT INTO log_of_users (id, name) VALUES (NEW.id, NEW.name);
INSERT INTO users (id, name) VALUES (2000, 'triggered, and longer than the ten bytes'), (2001, 'again');
DROP TRIGGER users_ai;

BEGIN;
INSERT INTO users (id, name) VALUES (3000, 'in a transaction');
SAVEPOINT s;
INSERT INTO users (id, name) VALUES (3001, 'rolled back');
ROLLBACK TO s;
UPDATE log_of_users SET name = 'of the log' WHERE id = 2000;
COMMIT;
SET SESSION binlog_row_image = MINIMAL;
UPDATE users SET name = 'a name and nothing else' WHERE id = 3000;
SET SESSION binlog_row_image = FULL;

-- statements
SET SESSION binlog_format = STATEMENT;
UPDATE log_of_users SET name = 'as compressed text, of a statement' WHERE id = 2001;
SET SESSION binlog_format = ROW;
ALTER TABLE log_of_users ADD COLUMN a_long_name_for_a_column INT, ADD COLUMN another_long_name_for_a_column INT;
INSERT INTO log_of_users (id, name) VALUES (5, 'behind the alter');
TRUNCATE TABLE log_of_users;
