-- As for `active`.
DROP TRIGGER IF EXISTS register_deleted_paid;
CREATE TRIGGER register_deleted_paid AFTER DELETE ON `paid` FOR EACH ROW
    DELETE FROM ro_registry WHERE id = OLD.id
