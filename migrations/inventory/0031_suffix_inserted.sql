DROP TRIGGER IF EXISTS suffix_inserted;
CREATE TRIGGER suffix_inserted AFTER INSERT ON inventoryindex FOR EACH ROW
BEGIN
    DECLARE place INT DEFAULT CHAR_LENGTH(NEW.PartNumberKey);
    WHILE place > 0 DO
        REPLACE INTO part_number_suffixes (Suffix, Position, IndexId)
        VALUES (SUBSTRING(NEW.PartNumberKey, place), place, NEW.IndexId);
        SET place = place - 1;
    END WHILE;
END
