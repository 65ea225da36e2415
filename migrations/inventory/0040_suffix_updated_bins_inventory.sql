DROP TRIGGER IF EXISTS suffix_updated_bins_inventory;
CREATE TRIGGER suffix_updated_bins_inventory AFTER UPDATE ON bins_inventory FOR EACH ROW
BEGIN
    DECLARE former VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin DEFAULT UPPER(TRIM(OLD.PN));
    DECLARE number VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin DEFAULT UPPER(TRIM(NEW.PN));
    DECLARE place INT;
    IF NOT (number <=> former AND NEW.id = OLD.id) THEN
        SET place = CHAR_LENGTH(former);
        WHILE place > 0 DO
            DELETE FROM bins_inventory_suffixes WHERE Suffix = SUBSTRING(former, place) AND Position = place AND RowId = OLD.id;
            SET place = place - 1;
        END WHILE;
        SET place = CHAR_LENGTH(number);
        WHILE place > 0 DO
            REPLACE INTO bins_inventory_suffixes (Suffix, Position, RowId) VALUES (SUBSTRING(number, place), place, NEW.id);
            SET place = place - 1;
        END WHILE;
    END IF;
END
