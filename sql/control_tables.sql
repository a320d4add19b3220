-- Control tables of twinlog, one set on every server of a link. Safe to repeat.
-- The state database is the connection's default database.

-- How far each direction that writes into this server has read its source. The
-- row moves in the same transaction as the rows it stands for.
CREATE TABLE IF NOT EXISTS checkpoint (
  link         VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  source_side  ENUM('left', 'right') NOT NULL COMMENT 'the side that is read',
  changed      BIGINT UNSIGNED NOT NULL COMMENT 'grows with every write, so that each one is logged',
  gtid         LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL COMMENT 'read up to here',
  binlog_file  VARCHAR(512) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  binlog_offset BIGINT UNSIGNED NOT NULL,
  binlog_server VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL COMMENT 'whose file and offset: server_uuid, or server_id of a MariaDB',
  rows_done    BIGINT UNSIGNED NOT NULL COMMENT 'row images of the next transaction that are done',
  marker       BIGINT UNSIGNED NOT NULL COMMENT 'last marker of the source that was passed',
  batch        BIGINT UNSIGNED NOT NULL DEFAULT 0 COMMENT 'rows of table lane with this number count',
  written_at   TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6),
  PRIMARY KEY (link, source_side)
) ENGINE = InnoDB;

-- A large batch is written over several connections at once, its keys shared out among them. Each such lane
-- says here, in the same transaction as its rows, that its share is done up to a place beyond the checkpoint,
-- which moves last. A row counts as long as it names the checkpoint's batch.
CREATE TABLE IF NOT EXISTS lane (
  link         VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  source_side  ENUM('left', 'right') NOT NULL COMMENT 'the side that is read',
  lane         BIGINT UNSIGNED NOT NULL,
  lanes        BIGINT UNSIGNED NOT NULL COMMENT 'among so many; 0: it has done nothing yet',
  batch        BIGINT UNSIGNED NOT NULL,
  gtid         LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL COMMENT 'done up to here',
  binlog_file  VARCHAR(512) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  binlog_offset BIGINT UNSIGNED NOT NULL,
  binlog_server VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  rows_done    BIGINT UNSIGNED NOT NULL COMMENT 'row images of the next transaction that are done',
  written_at   TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6),
  PRIMARY KEY (link, source_side, lane)
) ENGINE = InnoDB;

-- A reconcile writes the same marker on both sides: changes of its keys that
-- stand before it in either log are superseded.
CREATE TABLE IF NOT EXISTS marker (
  link       VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  side       ENUM('left', 'right') NOT NULL COMMENT 'the side whose log this row stands in',
  id         BIGINT UNSIGNED NOT NULL,
  key_from   LONGBLOB NOT NULL,
  key_to     LONGBLOB NOT NULL COMMENT 'the same as key_from for a single key',
  written_at TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  PRIMARY KEY (link, side, id)
) ENGINE = InnoDB;

-- Keys whose winner the peer refuses; never the row.
CREATE TABLE IF NOT EXISTS quarantine (
  link        VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  side        ENUM('left', 'right') NOT NULL COMMENT 'the side whose server this is: both, if it is one',
  key_hash    BINARY(32) NOT NULL COMMENT 'SHA-256 of row_key',
  row_key     LONGBLOB NOT NULL,
  source_side ENUM('left', 'right') NOT NULL,
  error_code  INT UNSIGNED NOT NULL,
  error       VARCHAR(512) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  since       TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  tries       INT UNSIGNED NOT NULL DEFAULT 0,
  PRIMARY KEY (link, side, key_hash)
) ENGINE = InnoDB;

-- What met and who won, beside the row that lost; never a row value. The newest are kept.
CREATE TABLE IF NOT EXISTS conflict (
  link          VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  side          ENUM('left', 'right') NOT NULL COMMENT 'the side that lost: whose server this is',
  id            BIGINT UNSIGNED NOT NULL,
  row_key       LONGBLOB NOT NULL,
  met           ENUM('left_to_right', 'right_to_left', 'resync') NOT NULL COMMENT 'who met it',
  decided_by    ENUM('version', 'updated_at', 'authority', 'delete_vs_update', 'force') NOT NULL,
  winner        ENUM('left', 'right') NOT NULL,
  left_present  BOOLEAN NOT NULL,
  left_version  DECIMAL(20,0) NULL COMMENT 'BIGINT or BIGINT UNSIGNED',
  left_updated  BIGINT NULL COMMENT 'microseconds since 1970, UTC',
  right_present BOOLEAN NOT NULL,
  right_version DECIMAL(20,0) NULL,
  right_updated BIGINT NULL,
  differing     VARCHAR(600) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL COMMENT 'left names of columns',
  written_at    TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  PRIMARY KEY (link, side, id)
) ENGINE = InnoDB;

-- The resync job of each link and how far it has come; on the left side's server.
CREATE TABLE IF NOT EXISTS resync (
  link           VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  job            BIGINT UNSIGNED NOT NULL,
  state          ENUM('running', 'done', 'failed') NOT NULL,
  cause          ENUM('trigger', 'first_start', 'lost_position', 'unlogged') NOT NULL,
  from_side      ENUM('both', 'left', 'right') NOT NULL,
  forced         BOOLEAN NOT NULL,
  delete_missing BOOLEAN NOT NULL,
  done_to        LONGBLOB NULL COMMENT 'keys up to this one are done',
  rows_scanned   BIGINT UNSIGNED NOT NULL,
  rows_written   BIGINT UNSIGNED NOT NULL,
  conflicts      BIGINT UNSIGNED NOT NULL,
  quarantined    BIGINT UNSIGNED NOT NULL,
  rows_expected  BIGINT UNSIGNED NOT NULL,
  reason         VARCHAR(256) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  error          VARCHAR(256) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  again          VARCHAR(256) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL DEFAULT '' COMMENT 'why another one has to follow',
  started_at     TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  ended_at       TIMESTAMP(6) NULL DEFAULT NULL,
  written_at     TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6),
  PRIMARY KEY (link)
) ENGINE = InnoDB;
