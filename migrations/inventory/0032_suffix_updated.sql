DROP TRIGGER IF EXISTS suffix_updated;
CREATE TRIGGER suffix_updated AFTER UPDATE ON inventoryindex FOR EACH ROW
BEGIN
    DECLARE place INT;
    IF NEW.PartNumberKey <> OLD.PartNumberKey OR NEW.IndexId <> OLD.IndexId THEN
        SET place = CHAR_LENGTH(OLD.PartNumberKey);
        WHILE place > 0 DO
            DELETE FROM part_number_suffixes
            WHERE Suffix = SUBSTRING(OLD.PartNumberKey, place) AND Position = place AND IndexId = OLD.IndexId;
            SET place = place - 1;
        END WHILE;
        SET place = CHAR_LENGTH(NEW.PartNumberKey);
        WHILE place > 0 DO
            REPLACE INTO part_number_suffixes (Suffix, Position, IndexId)
            VALUES (SUBSTRING(NEW.PartNumberKey, place), place, NEW.IndexId);
            SET place = place - 1;
        END WHILE;
    END IF;
END
