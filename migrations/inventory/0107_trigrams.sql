-- An index for searches in the stock room and the bins: the trigrams, which are the runs of three characters, of every part number and
-- description. A text that contains another one has all its trigrams, so a search looks only at the rows that have them. They
-- compare as the texts do in LIKE, without case and accents. Triggers keep these tables, so that they also hold for rows that other
-- programs write. Trigrams that are left over, after a TRUNCATE for example, do no harm, since searches check the texts themselves.

CREATE TABLE IF NOT EXISTS stock_room_trigrams (
    Trigram VARCHAR(3) NOT NULL,
    RowId INT NOT NULL,
    PRIMARY KEY (Trigram, RowId)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_520_ci;

CREATE TABLE IF NOT EXISTS bins_inventory_trigrams LIKE stock_room_trigrams;

-- The places of the characters come from a list of JSON with one item for each trigram. It needs no loop, and has no limit.
DROP TRIGGER IF EXISTS trigrams_inserted_stock_room;
CREATE TRIGGER trigrams_inserted_stock_room AFTER INSERT ON stock_room FOR EACH ROW
BEGIN
    DECLARE texts MEDIUMTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci DEFAULT CONCAT_WS(' ', NEW.PN, NEW.DESCRIPTION);
    IF CHAR_LENGTH(texts) > 2 THEN
        REPLACE INTO stock_room_trigrams (Trigram, RowId)
        SELECT DISTINCT SUBSTRING(texts, place, 3), NEW.id
        FROM JSON_TABLE(CONCAT('[0', REPEAT(',0', CHAR_LENGTH(texts) - 3), ']'), '$[*]' COLUMNS (place FOR ORDINALITY)) places;
    END IF;
END;

DROP TRIGGER IF EXISTS trigrams_updated_stock_room;
CREATE TRIGGER trigrams_updated_stock_room AFTER UPDATE ON stock_room FOR EACH ROW
BEGIN
    IF NOT (CAST(NEW.PN AS BINARY) <=> CAST(OLD.PN AS BINARY)
        AND CAST(NEW.DESCRIPTION AS BINARY) <=> CAST(OLD.DESCRIPTION AS BINARY)
        AND NEW.id = OLD.id) THEN
    BEGIN
        DECLARE former MEDIUMTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci DEFAULT CONCAT_WS(' ', OLD.PN, OLD.DESCRIPTION);
        DECLARE texts MEDIUMTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci DEFAULT CONCAT_WS(' ', NEW.PN, NEW.DESCRIPTION);
        IF CHAR_LENGTH(former) > 2 THEN
            DELETE trigram
            FROM JSON_TABLE(CONCAT('[0', REPEAT(',0', CHAR_LENGTH(former) - 3), ']'), '$[*]' COLUMNS (place FOR ORDINALITY)) places
            STRAIGHT_JOIN stock_room_trigrams trigram ON trigram.Trigram = SUBSTRING(former, place, 3) AND trigram.RowId = OLD.id;
        END IF;
        IF CHAR_LENGTH(texts) > 2 THEN
            REPLACE INTO stock_room_trigrams (Trigram, RowId)
            SELECT DISTINCT SUBSTRING(texts, place, 3), NEW.id
            FROM JSON_TABLE(CONCAT('[0', REPEAT(',0', CHAR_LENGTH(texts) - 3), ']'), '$[*]' COLUMNS (place FOR ORDINALITY)) places;
        END IF;
    END;
    END IF;
END;

DROP TRIGGER IF EXISTS trigrams_deleted_stock_room;
CREATE TRIGGER trigrams_deleted_stock_room AFTER DELETE ON stock_room FOR EACH ROW
BEGIN
    DECLARE former MEDIUMTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci DEFAULT CONCAT_WS(' ', OLD.PN, OLD.DESCRIPTION);
    IF CHAR_LENGTH(former) > 2 THEN
        DELETE trigram
        FROM JSON_TABLE(CONCAT('[0', REPEAT(',0', CHAR_LENGTH(former) - 3), ']'), '$[*]' COLUMNS (place FOR ORDINALITY)) places
        STRAIGHT_JOIN stock_room_trigrams trigram ON trigram.Trigram = SUBSTRING(former, place, 3) AND trigram.RowId = OLD.id;
    END IF;
END;

-- The same for `bins_inventory`.
DROP TRIGGER IF EXISTS trigrams_inserted_bins_inventory;
CREATE TRIGGER trigrams_inserted_bins_inventory AFTER INSERT ON bins_inventory FOR EACH ROW
BEGIN
    DECLARE texts MEDIUMTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci DEFAULT CONCAT_WS(' ', NEW.PN, NEW.DESCRIPTION);
    IF CHAR_LENGTH(texts) > 2 THEN
        REPLACE INTO bins_inventory_trigrams (Trigram, RowId)
        SELECT DISTINCT SUBSTRING(texts, place, 3), NEW.id
        FROM JSON_TABLE(CONCAT('[0', REPEAT(',0', CHAR_LENGTH(texts) - 3), ']'), '$[*]' COLUMNS (place FOR ORDINALITY)) places;
    END IF;
END;

DROP TRIGGER IF EXISTS trigrams_updated_bins_inventory;
CREATE TRIGGER trigrams_updated_bins_inventory AFTER UPDATE ON bins_inventory FOR EACH ROW
BEGIN
    IF NOT (CAST(NEW.PN AS BINARY) <=> CAST(OLD.PN AS BINARY)
        AND CAST(NEW.DESCRIPTION AS BINARY) <=> CAST(OLD.DESCRIPTION AS BINARY)
        AND NEW.id = OLD.id) THEN
    BEGIN
        DECLARE former MEDIUMTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci DEFAULT CONCAT_WS(' ', OLD.PN, OLD.DESCRIPTION);
        DECLARE texts MEDIUMTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci DEFAULT CONCAT_WS(' ', NEW.PN, NEW.DESCRIPTION);
        IF CHAR_LENGTH(former) > 2 THEN
            DELETE trigram
            FROM JSON_TABLE(CONCAT('[0', REPEAT(',0', CHAR_LENGTH(former) - 3), ']'), '$[*]' COLUMNS (place FOR ORDINALITY)) places
            STRAIGHT_JOIN bins_inventory_trigrams trigram ON trigram.Trigram = SUBSTRING(former, place, 3) AND trigram.RowId = OLD.id;
        END IF;
        IF CHAR_LENGTH(texts) > 2 THEN
            REPLACE INTO bins_inventory_trigrams (Trigram, RowId)
            SELECT DISTINCT SUBSTRING(texts, place, 3), NEW.id
            FROM JSON_TABLE(CONCAT('[0', REPEAT(',0', CHAR_LENGTH(texts) - 3), ']'), '$[*]' COLUMNS (place FOR ORDINALITY)) places;
        END IF;
    END;
    END IF;
END;

DROP TRIGGER IF EXISTS trigrams_deleted_bins_inventory;
CREATE TRIGGER trigrams_deleted_bins_inventory AFTER DELETE ON bins_inventory FOR EACH ROW
BEGIN
    DECLARE former MEDIUMTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci DEFAULT CONCAT_WS(' ', OLD.PN, OLD.DESCRIPTION);
    IF CHAR_LENGTH(former) > 2 THEN
        DELETE trigram
        FROM JSON_TABLE(CONCAT('[0', REPEAT(',0', CHAR_LENGTH(former) - 3), ']'), '$[*]' COLUMNS (place FOR ORDINALITY)) places
        STRAIGHT_JOIN bins_inventory_trigrams trigram ON trigram.Trigram = SUBSTRING(former, place, 3) AND trigram.RowId = OLD.id;
    END IF;
END;
