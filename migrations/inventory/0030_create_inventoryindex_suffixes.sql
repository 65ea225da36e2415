-- An index for the search by a part of a part number: every suffix of every number in inventoryindex, so that whatever
-- contains a text has a suffix that begins with it, which is a range of the primary key. Triggers keep it, so it also
-- holds for rows that other programs write. Suffixes that are left over (after a TRUNCATE, say) do no harm, since the
-- search checks each against its row. Searches look into two of the eleven tables as well, so these have one, too.
CREATE TABLE IF NOT EXISTS inventoryindex_suffixes (
    Suffix VARCHAR(255) NOT NULL,
    Position TINYINT UNSIGNED NOT NULL,
    RowId INT NOT NULL,
    PRIMARY KEY (Suffix, Position, RowId)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin
