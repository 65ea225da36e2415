-- A live table may have another character set or collation. One for all lets every script be kept and the tables be
-- read together; this one exists on MySQL and MariaDB alike.
ALTER TABLE `inventoryindex` CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci
