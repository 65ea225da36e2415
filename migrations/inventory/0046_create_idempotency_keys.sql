-- The answers to requests with an Idempotency-Key, kept for a day: written in the transaction of their effect, so that there
-- is never one without the other. `digest` is of the key and of whose it is, `request` of what was asked. UTC.
CREATE TABLE IF NOT EXISTS idempotency_keys (
    digest BINARY(16) NOT NULL PRIMARY KEY,
    request BINARY(16) NOT NULL,
    created_at DATETIME(3) NOT NULL,
    status SMALLINT UNSIGNED,
    entity_tag VARCHAR(50),
    body MEDIUMBLOB,
    INDEX idx_created_at (created_at)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_520_ci
