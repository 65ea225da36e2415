-- An index for searches by a part of a part number: every suffix of every number's key. A key that contains a text has a suffix
-- that begins with it, and those are a range of the primary key. Triggers keep these tables, so that they also hold for rows that
-- other programs write. Suffixes that are left over, after a TRUNCATE for example, do no harm, since searches check the key itself.

CREATE TABLE IF NOT EXISTS inventoryindex_suffixes (
    Suffix VARCHAR(255) NOT NULL,
    Position TINYINT UNSIGNED NOT NULL,
    RowId INT NOT NULL,
    PRIMARY KEY (Suffix, Position, RowId)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;

-- Searches look into two of the eleven tables, too.
CREATE TABLE IF NOT EXISTS stock_room_suffixes LIKE inventoryindex_suffixes;
CREATE TABLE IF NOT EXISTS bins_inventory_suffixes LIKE inventoryindex_suffixes;

DROP TRIGGER IF EXISTS suffix_inserted_inventoryindex;
CREATE TRIGGER suffix_inserted_inventoryindex AFTER INSERT ON inventoryindex FOR EACH ROW
BEGIN
    DECLARE number VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin DEFAULT NEW.PartNumberKey;
    DECLARE place INT DEFAULT CHAR_LENGTH(number);
    WHILE place > 0 DO
        REPLACE INTO inventoryindex_suffixes (Suffix, Position, RowId) VALUES (SUBSTRING(number, place), place, NEW.IndexId);
        SET place = place - 1;
    END WHILE;
END;

-- Declares nothing before the comparison, since it runs at each change of a quantity.
DROP TRIGGER IF EXISTS suffix_updated_inventoryindex;
CREATE TRIGGER suffix_updated_inventoryindex AFTER UPDATE ON inventoryindex FOR EACH ROW
BEGIN
    IF NOT (NEW.PartNumberKey <=> OLD.PartNumberKey AND NEW.IndexId = OLD.IndexId) THEN
    BEGIN
        DECLARE former VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin DEFAULT OLD.PartNumberKey;
        DECLARE number VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin DEFAULT NEW.PartNumberKey;
        DECLARE place INT DEFAULT CHAR_LENGTH(former);
        WHILE place > 0 DO
            DELETE FROM inventoryindex_suffixes WHERE Suffix = SUBSTRING(former, place) AND Position = place AND RowId = OLD.IndexId;
            SET place = place - 1;
        END WHILE;
        SET place = CHAR_LENGTH(number);
        WHILE place > 0 DO
            REPLACE INTO inventoryindex_suffixes (Suffix, Position, RowId) VALUES (SUBSTRING(number, place), place, NEW.IndexId);
            SET place = place - 1;
        END WHILE;
    END;
    END IF;
END;

DROP TRIGGER IF EXISTS suffix_deleted_inventoryindex;
CREATE TRIGGER suffix_deleted_inventoryindex AFTER DELETE ON inventoryindex FOR EACH ROW
BEGIN
    DECLARE former VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin DEFAULT OLD.PartNumberKey;
    DECLARE place INT DEFAULT CHAR_LENGTH(former);
    WHILE place > 0 DO
        DELETE FROM inventoryindex_suffixes WHERE Suffix = SUBSTRING(former, place) AND Position = place AND RowId = OLD.IndexId;
        SET place = place - 1;
    END WHILE;
END;

-- The same for `stock_room`.
DROP TRIGGER IF EXISTS suffix_inserted_stock_room;
CREATE TRIGGER suffix_inserted_stock_room AFTER INSERT ON stock_room FOR EACH ROW
BEGIN
    DECLARE number VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin DEFAULT NEW.PartNumberKey;
    DECLARE place INT DEFAULT CHAR_LENGTH(number);
    WHILE place > 0 DO
        REPLACE INTO stock_room_suffixes (Suffix, Position, RowId) VALUES (SUBSTRING(number, place), place, NEW.id);
        SET place = place - 1;
    END WHILE;
END;

DROP TRIGGER IF EXISTS suffix_updated_stock_room;
CREATE TRIGGER suffix_updated_stock_room AFTER UPDATE ON stock_room FOR EACH ROW
BEGIN
    IF NOT (NEW.PartNumberKey <=> OLD.PartNumberKey AND NEW.id = OLD.id) THEN
    BEGIN
        DECLARE former VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin DEFAULT OLD.PartNumberKey;
        DECLARE number VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin DEFAULT NEW.PartNumberKey;
        DECLARE place INT DEFAULT CHAR_LENGTH(former);
        WHILE place > 0 DO
            DELETE FROM stock_room_suffixes WHERE Suffix = SUBSTRING(former, place) AND Position = place AND RowId = OLD.id;
            SET place = place - 1;
        END WHILE;
        SET place = CHAR_LENGTH(number);
        WHILE place > 0 DO
            REPLACE INTO stock_room_suffixes (Suffix, Position, RowId) VALUES (SUBSTRING(number, place), place, NEW.id);
            SET place = place - 1;
        END WHILE;
    END;
    END IF;
END;

DROP TRIGGER IF EXISTS suffix_deleted_stock_room;
CREATE TRIGGER suffix_deleted_stock_room AFTER DELETE ON stock_room FOR EACH ROW
BEGIN
    DECLARE former VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin DEFAULT OLD.PartNumberKey;
    DECLARE place INT DEFAULT CHAR_LENGTH(former);
    WHILE place > 0 DO
        DELETE FROM stock_room_suffixes WHERE Suffix = SUBSTRING(former, place) AND Position = place AND RowId = OLD.id;
        SET place = place - 1;
    END WHILE;
END;

-- The same for `bins_inventory`.
DROP TRIGGER IF EXISTS suffix_inserted_bins_inventory;
CREATE TRIGGER suffix_inserted_bins_inventory AFTER INSERT ON bins_inventory FOR EACH ROW
BEGIN
    DECLARE number VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin DEFAULT NEW.PartNumberKey;
    DECLARE place INT DEFAULT CHAR_LENGTH(number);
    WHILE place > 0 DO
        REPLACE INTO bins_inventory_suffixes (Suffix, Position, RowId) VALUES (SUBSTRING(number, place), place, NEW.id);
        SET place = place - 1;
    END WHILE;
END;

DROP TRIGGER IF EXISTS suffix_updated_bins_inventory;
CREATE TRIGGER suffix_updated_bins_inventory AFTER UPDATE ON bins_inventory FOR EACH ROW
BEGIN
    IF NOT (NEW.PartNumberKey <=> OLD.PartNumberKey AND NEW.id = OLD.id) THEN
    BEGIN
        DECLARE former VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin DEFAULT OLD.PartNumberKey;
        DECLARE number VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin DEFAULT NEW.PartNumberKey;
        DECLARE place INT DEFAULT CHAR_LENGTH(former);
        WHILE place > 0 DO
            DELETE FROM bins_inventory_suffixes WHERE Suffix = SUBSTRING(former, place) AND Position = place AND RowId = OLD.id;
            SET place = place - 1;
        END WHILE;
        SET place = CHAR_LENGTH(number);
        WHILE place > 0 DO
            REPLACE INTO bins_inventory_suffixes (Suffix, Position, RowId) VALUES (SUBSTRING(number, place), place, NEW.id);
            SET place = place - 1;
        END WHILE;
    END;
    END IF;
END;

DROP TRIGGER IF EXISTS suffix_deleted_bins_inventory;
CREATE TRIGGER suffix_deleted_bins_inventory AFTER DELETE ON bins_inventory FOR EACH ROW
BEGIN
    DECLARE former VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin DEFAULT OLD.PartNumberKey;
    DECLARE place INT DEFAULT CHAR_LENGTH(former);
    WHILE place > 0 DO
        DELETE FROM bins_inventory_suffixes WHERE Suffix = SUBSTRING(former, place) AND Position = place AND RowId = OLD.id;
        SET place = place - 1;
    END WHILE;
END;
