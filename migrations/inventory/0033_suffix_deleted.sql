DROP TRIGGER IF EXISTS suffix_deleted;
CREATE TRIGGER suffix_deleted AFTER DELETE ON inventoryindex FOR EACH ROW
BEGIN
    DECLARE place INT DEFAULT CHAR_LENGTH(OLD.PartNumberKey);
    WHILE place > 0 DO
        DELETE FROM part_number_suffixes
        WHERE Suffix = SUBSTRING(OLD.PartNumberKey, place) AND Position = place AND IndexId = OLD.IndexId;
        SET place = place - 1;
    END WHILE;
END
