-- GTIDs with tags, from their first appearance on, between those without.
CREATE DATABASE app;
USE app;
SET NAMES utf8mb4;
SET time_zone = '+00:00', timestamp = 1767607872;
CREATE TABLE users (id INT NOT NULL PRIMARY KEY, name VARCHAR(40) NOT NULL DEFAULT '', sync_version BIGINT NOT NULL DEFAULT 0, updated_at DATETIME(6)) CHARACTER SET utf8mb4;

INSERT INTO users (id, name) VALUES (1, 'no tag');
SET SESSION gtid_next = 'AUTOMATIC:blue';
INSERT INTO users (id, name) VALUES (2, 'blue');
INSERT INTO users (id, name) VALUES (3, 'blue');
BEGIN;
UPDATE users SET name = 'blue too' WHERE id = 1;
UPDATE users SET name = 'blue three' WHERE id = 2;
COMMIT;
SET SESSION gtid_next = 'AUTOMATIC:a_tag_of_thirty_two_characters_x';
INSERT INTO users (id, name) VALUES (4, 'the longest tag');
SET SESSION gtid_next = 'AUTOMATIC';
INSERT INTO users (id, name) VALUES (5, 'no tag');
-- of another server, and out of order
SET SESSION gtid_next = 'aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee:red:7';
INSERT INTO users (id, name) VALUES (6, 'red');
SET SESSION gtid_next = 'aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee:3';
INSERT INTO users (id, name) VALUES (7, 'of another server');
SET SESSION gtid_next = 'aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee:red:9223372036854775806';
INSERT INTO users (id, name) VALUES (8, 'the largest number');
-- a group with nothing in it
SET SESSION gtid_next = 'aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee:4';
BEGIN;
COMMIT;
SET SESSION gtid_next = 'AUTOMATIC:blue';
ALTER TABLE users ADD COLUMN extra INT;
SET SESSION binlog_transaction_compression = ON;
UPDATE users SET name = 'compressed' WHERE id = 5;
SET SESSION gtid_next = 'AUTOMATIC';
DELETE FROM users WHERE id = 2;
