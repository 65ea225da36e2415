-- As for `active`.
DROP TRIGGER IF EXISTS register_deleted_returns;
CREATE TRIGGER register_deleted_returns AFTER DELETE ON `returns` FOR EACH ROW
    DELETE FROM ro_registry WHERE id = OLD.id
