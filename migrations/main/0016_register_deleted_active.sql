-- Gives the number back.
DROP TRIGGER IF EXISTS register_deleted_active;
CREATE TRIGGER register_deleted_active AFTER DELETE ON `active` FOR EACH ROW
    DELETE FROM ro_registry WHERE id = OLD.id
