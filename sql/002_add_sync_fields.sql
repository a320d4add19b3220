-- Adds the sync columns to auth_db.client_auth: sync_version, updated_at and last_sync_at.
-- Safe to repeat: columns that are there stay as they are. Rows are kept; those
-- that exist get their created_at as updated_at, as on the other side, so that
-- both sides start alike and a row that was never edited does not look newer.
-- Run it on the auth server, before `twinlog run`:
--   mariadb -h HOST -u ADMIN -p < sql/002_add_sync_fields.sql
--
-- "ADD COLUMN IF NOT EXISTS" is MariaDB's alone, so information_schema is asked
-- which columns are missing and the statement is made of those.

SET @twinlog_time_zone = @@session.time_zone, time_zone = '+00:00';

-- 1. The columns. For now updated_at has a moment of the past as its default: it
--    marks the rows that step 3 has to look at, also when this script was cut off.
SELECT CONCAT_WS(', ',
         IF(SUM(COLUMN_NAME = 'sync_version') > 0, NULL,
            'ADD COLUMN sync_version BIGINT UNSIGNED NOT NULL DEFAULT 1'),
         IF(SUM(COLUMN_NAME = 'updated_at') > 0, NULL,
            'ADD COLUMN updated_at TIMESTAMP(6) NOT NULL DEFAULT ''1970-01-02 00:00:00'''),
         IF(SUM(COLUMN_NAME = 'last_sync_at') > 0, NULL,
            'ADD COLUMN last_sync_at TIMESTAMP(6) NULL DEFAULT NULL'))
  INTO @twinlog_columns FROM information_schema.COLUMNS
 WHERE TABLE_SCHEMA = 'auth_db' AND TABLE_NAME = 'client_auth';
SET @twinlog_sql = IF(@twinlog_columns = '', 'DO 0', CONCAT('ALTER TABLE auth_db.client_auth ', @twinlog_columns));
PREPARE twinlog_statement FROM @twinlog_sql;
EXECUTE twinlog_statement;

-- 2. From here on a write sets updated_at.
SELECT IF(COUNT(*) = 0, 'DO 0',
          CONCAT('ALTER TABLE auth_db.client_auth MODIFY updated_at TIMESTAMP(6) NOT NULL ',
                 'DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6)'))
  INTO @twinlog_sql FROM information_schema.COLUMNS
 WHERE TABLE_SCHEMA = 'auth_db' AND TABLE_NAME = 'client_auth' AND COLUMN_NAME = 'updated_at'
   AND COLUMN_DEFAULT LIKE '%1970-01-02 00:00:00%';
PREPARE twinlog_statement FROM @twinlog_sql;
EXECUTE twinlog_statement;
DEALLOCATE PREPARE twinlog_statement;

-- 3. The rows that were there before.
UPDATE auth_db.client_auth SET updated_at = created_at WHERE updated_at = '1970-01-02 00:00:00';

SET time_zone = @twinlog_time_zone;
