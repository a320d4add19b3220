-- The auth service's table as it was before any sync: run it on the auth server
-- to try twinlog out. Safe to repeat.

CREATE DATABASE IF NOT EXISTS auth_db CHARACTER SET utf8mb4;

CREATE TABLE IF NOT EXISTS auth_db.client_auth (
  id              BIGINT UNSIGNED NOT NULL,
  name            VARCHAR(255) NOT NULL,
  email_encrypted VARCHAR(512) NOT NULL COMMENT 'AES-256-GCM: base64(nonce, ciphertext, tag)',
  password_hash   VARCHAR(255) NULL COMMENT 'not mapped: twinlog never reads it',
  created_at      TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  PRIMARY KEY (id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4;
