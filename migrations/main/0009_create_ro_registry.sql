-- One row for every repair order, whichever of the four tables has it: the sequence of ids that they share, and the
-- numbers that are taken. Triggers keep it, so it also holds for rows that other programs write.
CREATE TABLE IF NOT EXISTS ro_registry (
    id INT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    ro_number VARCHAR(50) NOT NULL,
    UNIQUE KEY ro_number (ro_number)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_520_ci
