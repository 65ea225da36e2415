-- The responses to requests with an Idempotency-Key, saved for a day. A response is saved in the transaction of its effect, so
-- that there is never one without the other. Times are UTC.

CREATE TABLE IF NOT EXISTS idempotency_keys (
    -- A digest of the key and its owner.
    digest BINARY(16) NOT NULL PRIMARY KEY,
    -- A digest of the method, route, path and body.
    request BINARY(16) NOT NULL,
    created_at DATETIME(3) NOT NULL,
    -- The response; NULL while the request runs.
    status SMALLINT UNSIGNED,
    entity_tag VARCHAR(50),
    body MEDIUMBLOB,
    INDEX idx_created_at (created_at)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_520_ci;
