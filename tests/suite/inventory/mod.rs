//! Tests of the `inventory` function: one file per route, and files for rules that several routes share.

mod adjust;
mod bins;
mod concurrency;
mod decrement;
mod export;
mod history;
mod increment;
mod inserts;
mod low_stock;
mod part_numbers;
mod plans;
mod reindex;
mod search;
mod stats;
mod stock_room;
mod table;
mod tables;
mod transactions;
mod unknown_quantities;

/// All inventory tables.
const TABLES: [&str; 11] = [
    "stock_room",
    "bins_inventory",
    "md82_parts",
    "727_parts",
    "terra",
    "asia_ar_parts",
    "b_e_r__r_a_i",
    "bolivia_part",
    "delta_apa",
    "asia_ar_sanford_parts",
    "apa_sanford_ar_757",
];
