ALTER TABLE `asia_ar_sanford_parts` CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci
