DROP TRIGGER IF EXISTS suffix_updated_inventoryindex;
CREATE TRIGGER suffix_updated_inventoryindex AFTER UPDATE ON inventoryindex FOR EACH ROW
BEGIN
    DECLARE former VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin DEFAULT UPPER(TRIM(OLD.PartNumber));
    DECLARE number VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin DEFAULT UPPER(TRIM(NEW.PartNumber));
    DECLARE place INT;
    IF NOT (number <=> former AND NEW.IndexId = OLD.IndexId) THEN
        SET place = CHAR_LENGTH(former);
        WHILE place > 0 DO
            DELETE FROM inventoryindex_suffixes WHERE Suffix = SUBSTRING(former, place) AND Position = place AND RowId = OLD.IndexId;
            SET place = place - 1;
        END WHILE;
        SET place = CHAR_LENGTH(number);
        WHILE place > 0 DO
            REPLACE INTO inventoryindex_suffixes (Suffix, Position, RowId) VALUES (SUBSTRING(number, place), place, NEW.IndexId);
            SET place = place - 1;
        END WHILE;
    END IF;
END
