-- A live table may have another character set (MariaDB's default was latin1) or collation. One for all four lets every
-- script be kept and the tables be read together; this one exists on MySQL and MariaDB alike.
ALTER TABLE `active` CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci
