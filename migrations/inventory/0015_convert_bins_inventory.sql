ALTER TABLE `bins_inventory` CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci
