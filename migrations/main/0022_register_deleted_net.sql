-- As for `active`.
DROP TRIGGER IF EXISTS register_deleted_net;
CREATE TRIGGER register_deleted_net AFTER DELETE ON `net` FOR EACH ROW
    DELETE FROM ro_registry WHERE id = OLD.id
