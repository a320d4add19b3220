-- The customer service's table as it was before any sync: run it on the customer
-- server to try twinlog out. Safe to repeat.

CREATE DATABASE IF NOT EXISTS customer_db CHARACTER SET utf8mb4;

CREATE TABLE IF NOT EXISTS customer_db.customers (
  id                 BIGINT UNSIGNED NOT NULL,
  name               VARCHAR(255) NOT NULL,
  email              VARCHAR(254) NOT NULL,
  stripe_customer_id VARCHAR(64) NULL COMMENT 'not mapped: twinlog never reads it',
  created_at         TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  PRIMARY KEY (id),
  UNIQUE KEY email (email)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4;
