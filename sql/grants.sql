-- An account for twinlog with the least it needs to capture and to apply. Run it
-- on each server, after the seed's tables are there, as an administrator:
--   mariadb -h HOST -u ADMIN -p < sql/grants.sql
-- Safe to repeat. For other tables or another account take the text as a pattern;
-- `twinlog init --print` prints the same grants for the config at hand.

-- The account is made locked and without a password. Give it one, then unlock it:
--   ALTER USER 'twinlog'@'%' IDENTIFIED BY '…' ACCOUNT UNLOCK;
CREATE USER IF NOT EXISTS 'twinlog'@'%' ACCOUNT LOCK;

-- Capture: reads the binary log as a replica does.
GRANT REPLICATION SLAVE ON *.* TO 'twinlog'@'%';
-- File and offset in the log (MariaDB calls it BINLOG MONITOR): MySQL's end of the log, and on both the proof
-- that a log is the one that was read. On a MariaDB twinlog works without, but does not see that a server was
-- reset or restored once it has given as many GTIDs as before.
GRANT REPLICATION CLIENT ON *.* TO 'twinlog'@'%';

-- Apply: its own control tables. CREATE and ALTER are for `twinlog init` only and
-- may be revoked once it has run.
GRANT SELECT, INSERT, UPDATE, DELETE ON `twinlog`.* TO 'twinlog'@'%';
GRANT CREATE, ALTER ON `twinlog`.* TO 'twinlog'@'%';

-- Capture and apply: the linked table. Each server has one of the two, and a grant
-- on a table that is not there is an error, so the statement is made at need.
SELECT IF(COUNT(*) = 0, 'DO 0', 'GRANT SELECT, INSERT, UPDATE, DELETE ON auth_db.client_auth TO ''twinlog''@''%''')
  INTO @twinlog_sql FROM information_schema.TABLES
 WHERE TABLE_SCHEMA = 'auth_db' AND TABLE_NAME = 'client_auth';
PREPARE twinlog_statement FROM @twinlog_sql;
EXECUTE twinlog_statement;

SELECT IF(COUNT(*) = 0, 'DO 0', 'GRANT SELECT, INSERT, UPDATE, DELETE ON customer_db.customers TO ''twinlog''@''%''')
  INTO @twinlog_sql FROM information_schema.TABLES
 WHERE TABLE_SCHEMA = 'customer_db' AND TABLE_NAME = 'customers';
PREPARE twinlog_statement FROM @twinlog_sql;
EXECUTE twinlog_statement;
DEALLOCATE PREPARE twinlog_statement;
