ALTER TABLE `b_e_r__r_a_i` CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci
