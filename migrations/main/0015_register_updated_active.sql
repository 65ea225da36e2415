-- Follows a change of number or id. Byte by byte, since the column's collation takes `ro1` for `RO1`.
DROP TRIGGER IF EXISTS register_updated_active;
CREATE TRIGGER register_updated_active BEFORE UPDATE ON `active` FOR EACH ROW
BEGIN
    IF NEW.id <> OLD.id OR CAST(NEW.RO AS BINARY) <> CAST(OLD.RO AS BINARY) THEN
        UPDATE ro_registry SET id = NEW.id, ro_number = TRIM(NEW.RO) WHERE id = OLD.id;
    END IF;
END
