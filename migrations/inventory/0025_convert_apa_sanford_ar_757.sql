ALTER TABLE `apa_sanford_ar_757` CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci
