//! Generates sample parts.

use std::collections::{HashMap, HashSet};

use chrono::NaiveDate;
use inventory::model::{IndexId, NewStockTransaction, Table};

use super::{
    StockCounts, TableCounts, transactions,
    vocabulary::{
        AIRBUS, AS_REMOVED, ASIA, BIN_WALLS, BINS, BOEING_727, BOEING_757, BOLIVIA, Conditions, DELTA, Family, HANGAR,
        HARDWARE, HARDWARE_CONDITIONS, Kind, MD80, MD82, NOT_WORTH_REPAIR, QUARANTINE, ROTABLE_CONDITIONS, ROTABLES,
        SANFORD, SPARE_CONDITIONS, SPARES, STOCK_ROOM, TERRA,
    },
};
use crate::seed::generator::Generator;

/// A constant seed, so that every run generates the same parts.
const SEED: u64 = 20_470;

/// How many numbers are generated in search of a new one before a number is used again.
const MAX_ATTEMPTS: usize = 20;

/// A row of one of the eleven tables.
#[derive(Debug, PartialEq)]
pub(super) struct Part {
    pub(super) table: Table,
    pub(super) row_id: i64,
    /// `None` if the index lacks the part.
    pub(super) index_id: Option<IndexId>,
    pub(super) kind: Kind,
    pub(super) number: String,
    pub(super) description: &'static str,
    pub(super) serial: Option<String>,
    pub(super) condition: &'static str,
    pub(super) location: String,
    pub(super) bin: Option<String>,
    pub(super) quantity: i64,
}

/// All parts, table by table, and their transactions, oldest first.
#[derive(Debug, PartialEq)]
pub(super) struct Stock {
    pub(super) parts: Vec<Part>,
    pub(super) transactions: Vec<NewStockTransaction>,
}

/// Generates the parts of all tables and their transactions of the last year.
pub(super) fn stock(today: NaiveDate, counts: StockCounts) -> Stock {
    let mut part_generator =
        PartGenerator { generator: Generator::new(SEED), numbers_of_source: HashMap::new(), numbers: HashSet::new() };
    let workdays = transactions::workdays_before(today);
    let mut index_ids = (1..).map(IndexId);
    let (mut parts, mut transactions) = (Vec::new(), Vec::new());
    for TableCounts { table, rows, unindexed } in counts.tables {
        for (row_id, rows_left) in (1..).zip((0..rows).rev()) {
            let index_id = if rows_left < unindexed { None } else { index_ids.next() };
            let mut part = part_generator.part(table, row_id, index_id);
            if let Some(index_id) = index_id {
                transactions.extend(transactions::last_year(
                    &mut part_generator.generator,
                    &workdays,
                    index_id,
                    &mut part,
                ));
            }
            // A serial number belongs to a single piece.
            if part.kind == Kind::Rotable && part.quantity <= 1 {
                part.serial = Some(part_generator.generator.serial());
            }
            parts.push(part);
        }
    }
    // A stable sort keeps the order of transactions of a part with the same timestamp.
    transactions.sort_by_key(|transaction| transaction.timestamp);
    Stock { parts, transactions }
}

/// A group of part families.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Source {
    Hardware,
    Spares,
    Rotables,
    Md80,
    Boeing727,
    Boeing757,
    Airbus,
}

impl Source {
    fn families(self) -> &'static [Family] {
        match self {
            Self::Hardware => HARDWARE,
            Self::Spares => SPARES,
            Self::Rotables => ROTABLES,
            Self::Md80 => MD80,
            Self::Boeing727 => BOEING_727,
            Self::Boeing757 => BOEING_757,
            Self::Airbus => AIRBUS,
        }
    }
}

/// Returns the sources of a table's parts with their weights, and the patterns of its locations.
fn sources_and_locations(table: Table) -> (&'static [(Source, u32)], &'static [&'static str]) {
    match table {
        Table::StockRoom => (&[(Source::Hardware, 54), (Source::Spares, 28), (Source::Rotables, 18)], STOCK_ROOM),
        Table::BinsInventory => (&[(Source::Hardware, 82), (Source::Spares, 18)], BIN_WALLS),
        Table::Md82Parts => (&[(Source::Md80, 88), (Source::Hardware, 12)], MD82),
        Table::Parts727 => (&[(Source::Boeing727, 90), (Source::Hardware, 10)], HANGAR),
        Table::Terra => (&[(Source::Rotables, 45), (Source::Spares, 55)], TERRA),
        Table::AsiaArParts => (&[(Source::Rotables, 60), (Source::Spares, 40)], ASIA),
        Table::BerRai => (&[(Source::Rotables, 100)], QUARANTINE),
        Table::BoliviaPart => (&[(Source::Boeing727, 65), (Source::Rotables, 20), (Source::Spares, 15)], BOLIVIA),
        Table::DeltaApa => (&[(Source::Md80, 50), (Source::Boeing757, 30), (Source::Rotables, 20)], DELTA),
        Table::AsiaArSanfordParts => (&[(Source::Rotables, 50), (Source::Spares, 50)], SANFORD),
        Table::ApaSanfordAr757 => (&[(Source::Boeing757, 100)], SANFORD),
    }
}

fn conditions(table: Table, kind: Kind) -> Conditions {
    match (table, kind) {
        (Table::BerRai, _) => NOT_WORTH_REPAIR,
        (Table::AsiaArParts | Table::AsiaArSanfordParts | Table::ApaSanfordAr757, _) => AS_REMOVED,
        (_, Kind::Hardware) => HARDWARE_CONDITIONS,
        (_, Kind::Spare) => SPARE_CONDITIONS,
        (_, Kind::Rotable) => ROTABLE_CONDITIONS,
    }
}

/// Generates parts.
struct PartGenerator {
    generator: Generator,
    /// The numbers of each source so far, with their families.
    numbers_of_source: HashMap<Source, Vec<(String, Family)>>,
    numbers: HashSet<String>,
}

impl PartGenerator {
    fn part(&mut self, table: Table, row_id: i64, index_id: Option<IndexId>) -> Part {
        let (sources, shelves) = sources_and_locations(table);
        let source = match index_id {
            Some(_) => self.generator.weighted(sources, |(_, weight)| *weight).0,
            None => Source::Airbus,
        };
        let (number, Family { description, kind, .. }) = self.number(source);
        let (condition, _) = self.generator.weighted(conditions(table, kind), |(_, weight)| *weight);
        Part {
            table,
            row_id,
            index_id,
            kind,
            number,
            description,
            serial: None,
            condition,
            location: self.one_of(shelves),
            bin: (table == Table::BinsInventory).then(|| self.one_of(BINS)),
            quantity: self.quantity(kind),
        }
    }

    /// Returns a new number, or sometimes the number of another lot in any table.
    fn number(&mut self, source: Source) -> (String, Family) {
        let known = self.numbers_of_source.entry(source).or_default();
        if !known.is_empty() && self.generator.chance(8) {
            return known[self.generator.number(0..known.len())].clone();
        }
        let mut generate = || {
            let family = self.generator.any(source.families());
            (self.generator.text(family.number), family)
        };
        let mut new = generate();
        for _ in 0..MAX_ATTEMPTS {
            if self.numbers.insert(new.0.clone()) {
                break;
            }
            new = generate();
        }
        known.push(new.clone());
        new
    }

    fn one_of(&mut self, patterns: &[&str]) -> String {
        let pattern = self.generator.any(patterns);
        self.generator.text(pattern)
    }

    fn quantity(&mut self, kind: Kind) -> i64 {
        let (least, most, _) = self.generator.weighted(quantities(kind), |(.., weight)| *weight);
        self.generator.number(least..=most)
    }
}

/// Returns ranges of quantities (least, most) with their weights.
fn quantities(kind: Kind) -> &'static [(i64, i64, u32)] {
    match kind {
        Kind::Hardware => &[(0, 0, 3), (1, 4, 5), (5, 60, 47), (61, 200, 33), (201, 400, 12)],
        Kind::Spare => &[(0, 0, 3), (1, 4, 12), (5, 12, 55), (13, 30, 30)],
        Kind::Rotable => &[(0, 0, 5), (1, 1, 42), (2, 2, 20), (3, 4, 15), (5, 6, 18)],
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use chrono::{Days, TimeDelta, Timelike};
    use inventory::model::{DEFAULT_THRESHOLD, StockAction, Urgency};

    use super::*;

    fn some_day() -> NaiveDate {
        NaiveDate::from_ymd_opt(2025, 3, 1).unwrap()
    }

    fn samples() -> Stock {
        stock(some_day(), StockCounts::default())
    }

    #[test]
    fn the_stock_depends_on_the_day_in_its_dates_only() {
        let one = samples();
        assert_eq!(one, samples());
        let mut other = stock(some_day() + Days::new(200), StockCounts::default());
        for (transaction, other) in one.transactions.iter().zip(&mut other.transactions) {
            assert!(transaction.timestamp < other.timestamp);
            other.timestamp = transaction.timestamp;
        }
        assert_eq!(one, other);
    }

    #[test]
    fn the_index_lacks_the_last_rows_of_each_table() {
        let Stock { parts, transactions } = samples();
        assert_eq!(parts.len(), 6_500);
        assert!((4_000..=6_000).contains(&transactions.len()), "{}", transactions.len());
        for TableCounts { table, rows, unindexed } in StockCounts::default().tables {
            let (ids, indexed): (Vec<i64>, Vec<bool>) = parts
                .iter()
                .filter(|part| part.table == table)
                .map(|part| (part.row_id, part.index_id.is_some()))
                .unzip();
            assert!(ids.into_iter().eq(1..=i64::try_from(rows).unwrap()), "{table:?}");
            assert!(indexed.iter().enumerate().all(|(row, indexed)| *indexed == (row < rows - unindexed)), "{table:?}");
        }
        let index_ids = parts.iter().filter_map(|part| part.index_id);
        assert!(index_ids.eq((1..=6_400).map(IndexId)));
    }

    #[test]
    fn unindexed_numbers_are_not_part_of_indexed_ones() {
        let parts = samples().parts;
        let (indexed, missed): (Vec<&Part>, Vec<&Part>) = parts.iter().partition(|part| part.index_id.is_some());
        assert_eq!(missed.len(), 100);
        for part in missed {
            let found = indexed.iter().find(|indexed| indexed.number.contains(&part.number));
            assert!(found.is_none(), "{} is in {found:?}", part.number);
        }
    }

    #[test]
    fn rows_are_plausible_and_fit_their_columns() {
        let parts = samples().parts;
        let mut used = BTreeMap::<&str, usize>::new();
        for part in &parts {
            assert!(!part.number.contains(['(', ')', '#', '|']) && part.number.len() <= 100, "{part:?}");
            assert_eq!(part.number, part.number.trim().to_uppercase());
            assert!(!part.description.is_empty() && part.location.len() <= 100, "{part:?}");
            assert_eq!(part.bin.is_some(), part.table == Table::BinsInventory, "{part:?}");
            assert!(part.bin.as_ref().is_none_or(|bin| bin.starts_with("B-") && bin.len() <= 50), "{part:?}");
            assert!(part.serial.is_none() || part.kind == Kind::Rotable, "{part:?}");
            let most = if part.kind == Kind::Rotable { 6 } else { 400 };
            assert!((0..=most).contains(&part.quantity), "{part:?}");
            let conditions: &[&str] =
                if part.table == Table::BerRai { &["BER", "RAI"] } else { &["NE", "NS", "OH", "SV", "AR", "RP"] };
            assert!(conditions.contains(&part.condition), "{part:?}");
            *used.entry(part.condition).or_default() += 1;
        }
        assert_eq!(used.len(), 8);
        let mut by_use: Vec<&str> = used.keys().copied().collect();
        by_use.sort_unstable_by_key(|condition| std::cmp::Reverse(used[condition]));
        assert_eq!(BTreeSet::from_iter(&by_use[..2]), BTreeSet::from([&"AR", &"SV"]));
    }

    #[test]
    fn some_numbers_are_in_several_tables_and_some_twice_in_one() {
        let parts = samples().parts;
        let mut rows = HashMap::<&str, Vec<&Part>>::new();
        for part in &parts {
            rows.entry(&part.number).or_default().push(part);
        }
        let tables = |rows: &[&Part]| rows.iter().map(|part| part.table).collect::<HashSet<Table>>().len();
        let lots = |rows: &[&Part]| {
            rows.iter().map(|part| (part.table, part.condition, &part.location)).collect::<HashSet<_>>().len()
        };
        assert!(rows.values().filter(|rows| tables(rows) > 1).count() > 50);
        assert!(rows.values().filter(|rows| lots(rows) > tables(rows)).count() > 50);
        assert!(rows.values().all(|rows| rows.iter().all(|part| part.description == rows[0].description)));
    }

    #[test]
    fn transactions_add_up_to_every_quantity() {
        let Stock { parts, transactions } = samples();
        let parts: HashMap<i64, &Part> = parts.iter().filter_map(|part| Some((part.index_id?.0, part))).collect();
        let mut quantities = HashMap::<i64, Option<i64>>::new();
        for transaction in &transactions {
            let previous =
                quantities.insert(transaction.index_id.0, transaction.new_qty).unwrap_or(transaction.previous_qty);
            assert_eq!(previous, transaction.previous_qty, "{transaction:?}");
            assert!(transaction.previous_qty >= Some(0) && transaction.new_qty >= Some(0), "{transaction:?}");
            assert_eq!(transaction.part_number, parts[&transaction.index_id.0].number);
            match transaction.action {
                StockAction::Decrement => assert!(transaction.new_qty < transaction.previous_qty, "{transaction:?}"),
                StockAction::Increment => assert!(transaction.new_qty > transaction.previous_qty, "{transaction:?}"),
                StockAction::Adjustment => assert!(transaction.notes.is_some(), "{transaction:?}"),
                StockAction::Reindex | StockAction::Import => panic!("no sample has this action: {transaction:?}"),
            }
            if let Some(number) = &transaction.ro_number {
                assert!(("RO34863"..="RO38462").contains(&number.as_str()) && number.len() == 7, "{transaction:?}");
                assert_eq!(transaction.action, StockAction::Decrement);
            }
        }
        for (index_id, quantity) in quantities {
            assert_eq!(Some(parts[&index_id].quantity), quantity);
        }
        for action in [StockAction::Decrement, StockAction::Increment, StockAction::Adjustment] {
            assert!(transactions.iter().filter(|transaction| transaction.action == action).count() > 100, "{action:?}");
        }
    }

    #[test]
    fn transactions_are_of_one_year_of_working_hours() {
        for weekday in 0..7 {
            let today = some_day() + Days::new(weekday);
            let transactions = stock(today, StockCounts::default()).transactions;
            assert!(transactions.is_sorted_by_key(|transaction| transaction.timestamp));
            assert!(transactions.iter().all(|transaction| (8..17).contains(&transaction.timestamp.hour())));
            let days_back = |transaction: &NewStockTransaction| (today - transaction.timestamp.date_naive()).num_days();
            assert!((360..=364).contains(&days_back(&transactions[0])));
            assert!((1..=3).contains(&days_back(&transactions[transactions.len() - 1])));
        }
    }

    #[test]
    fn every_urgency_has_parts_and_most_parts_are_not_low() {
        for weekday in 0..7 {
            let today = some_day() + Days::new(weekday);
            let Stock { parts, transactions } = stock(today, StockCounts::default());
            let since = today.and_hms_opt(12, 0, 0).unwrap().and_utc() - TimeDelta::days(90);
            let mut used = HashMap::<&str, i64>::new();
            for transaction in transactions
                .iter()
                .filter(|transaction| transaction.action == StockAction::Decrement && transaction.timestamp >= since)
            {
                *used.entry(&transaction.part_number).or_default() -= transaction.delta_qty().unwrap();
            }
            let indexed: Vec<&Part> = parts.iter().filter(|part| part.index_id.is_some()).collect();
            let low: Vec<Urgency> = indexed
                .iter()
                .filter(|part| part.quantity < DEFAULT_THRESHOLD)
                .map(|part| {
                    let days = used.get(&*part.number).map_or(i64::MAX, |used| part.quantity * 90 / used);
                    match (part.quantity, days) {
                        (0, _) => Urgency::Critical,
                        (1, _) | (_, ..30) => Urgency::High,
                        (_, ..60) => Urgency::Medium,
                        _ => Urgency::Low,
                    }
                })
                .collect();
            assert!(low.len() * 2 < indexed.len(), "{}", low.len());
            for urgency in Urgency::ALL {
                let count = low.iter().filter(|found| **found == urgency).count();
                assert!(count >= 10, "{today}, {urgency:?}: {count}");
            }
        }
    }
}
