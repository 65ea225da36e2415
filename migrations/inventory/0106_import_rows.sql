-- One row for each version of a source row that an import has read, with its original values. A changed row is stored again, and
-- `replaced_by` of the old version points to it. `key_digest` and `content_digest` recognize a row in later imports. The other
-- database has the same table. Times are UTC.

CREATE TABLE IF NOT EXISTS import_rows (
    id BIGINT AUTO_INCREMENT PRIMARY KEY,
    -- The address of the database or the name of the file, the table, and the row: its key, if that is a whole number, or else its place.
    source VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    source_table VARCHAR(255) NOT NULL,
    source_row BIGINT NOT NULL,
    -- The kind of row. An order that was moved to another table of the source is known again, so the four tables are one kind.
    kind VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    -- A digest of the values by which the source knows the row, and one of the whole row as the source has it.
    key_digest BINARY(16) NOT NULL,
    content_digest BINARY(16) NOT NULL,
    -- A JSON object of the columns as they were found.
    original LONGTEXT NOT NULL,
    -- The converted values of the row when it was last imported, as JSON: the base of the next merge. NULL if it never was.
    imported MEDIUMTEXT,
    -- What became of the row when it last changed: imported, corrected, updated, rejected or skipped; mended if a person has
    -- corrected the row, which was rejected, and that was imported.
    class VARCHAR(10) NOT NULL,
    -- A JSON object with the corrections, and the reason for which it was rejected or skipped.
    reasons MEDIUMTEXT,
    -- The table and the id of the row that it became.
    target_table VARCHAR(64),
    target_id BIGINT,
    read_at DATETIME(3) NOT NULL,
    -- The later version of the same row of the source.
    replaced_by BIGINT,
    INDEX idx_group (source(100), kind, replaced_by),
    INDEX idx_target (target_table, target_id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_520_ci;
