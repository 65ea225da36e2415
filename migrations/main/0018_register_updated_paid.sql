-- As for `active`.
DROP TRIGGER IF EXISTS register_updated_paid;
CREATE TRIGGER register_updated_paid BEFORE UPDATE ON `paid` FOR EACH ROW
BEGIN
    IF NEW.id <> OLD.id OR CAST(NEW.RO AS BINARY) <> CAST(OLD.RO AS BINARY) THEN
        UPDATE ro_registry SET id = NEW.id, ro_number = TRIM(NEW.RO) WHERE id = OLD.id;
    END IF;
END
