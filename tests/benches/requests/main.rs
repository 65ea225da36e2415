//! `cargo bench -p rotracker-tests --bench requests`: what requests take, and how that grows with the databases.
//!
//! `rotracker serve` is called over HTTP, in turns with `rotracker serve` of an earlier commit, whose release binary `BEFORE` names,
//! and with the bare statements of the store, which this process sends to the same database. Each program has databases that it
//! migrated itself, all with the same rows, on one server: that of `DB_HOST`, or one of its own. The output is the table of
//! `README.md`. Times depend on the machine, but ratios hardly do.
//!
//! It needs `cargo build --release --bin rotracker`. `-- --quick` measures smaller databases for a shorter time, to try the
//! benchmark itself.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, clippy::print_stderr, missing_docs)]

mod bare;
mod data;
mod side;
mod table;

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use bare::Bare;
use data::Size;
use side::Side;
use table::{Figures, Table};

const SIZES: [Size; 3] = [
    Size { archived: 3_000, parts: 10_000, stock_room: 2_350, logs: 2_000 },
    Size { archived: 30_000, parts: 100_000, stock_room: 23_500, logs: 20_000 },
    Size { archived: 100_000, parts: 300_000, stock_room: 100_000, logs: 200_000 },
];

/// The number of active orders, at every size.
const ACTIVE: u32 = 500;

/// The number of active orders in the longest list.
const MANY_ACTIVE: u32 = 50_000;

/// The rounds before those that count: they prepare statements and fill caches. Like all rounds they are an even number, so that the
/// order that is moved there and back ends where it began.
const WARM_UP: u32 = 4;

const LEAST_ROUNDS: u32 = 16;

/// The clients that take pieces of one part at once, and the pieces that each of them takes in a round.
const CLIENTS: u32 = 8;
const PIECES: u32 = 25;

/// The requests that are measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Case {
    Dashboard,
    Order,
    List,
    /// The same list without a network: from the router, called in this process.
    ListOfRouter,
    Page,
    DeepPage,
    Create,
    Status,
    Move,
    SearchExact,
    SearchPart,
    LowStock,
    FewHits,
    ManyHits,
    Stats,
    Tables,
    Ledger,
    DeepLedger,
    Logs,
    DeepLogs,
    Decrement,
    /// [`PIECES`] decrements of one part by each of [`CLIENTS`] clients at once.
    ContendedDecrement,
}

impl Case {
    const ALL: [Self; 22] = [
        Self::Dashboard,
        Self::Order,
        Self::List,
        Self::ListOfRouter,
        Self::Page,
        Self::DeepPage,
        Self::Create,
        Self::Status,
        Self::Move,
        Self::SearchExact,
        Self::SearchPart,
        Self::LowStock,
        Self::FewHits,
        Self::ManyHits,
        Self::Stats,
        Self::Tables,
        Self::Ledger,
        Self::DeepLedger,
        Self::Logs,
        Self::DeepLogs,
        Self::Decrement,
        Self::ContendedDecrement,
    ];

    /// Returns the name of its line, where there are `active` orders.
    fn name(self, active: u32) -> String {
        match self {
            Self::Dashboard => "dashboard".to_owned(),
            Self::Order => "order by id".to_owned(),
            Self::List => format!("list of {active} orders"),
            Self::ListOfRouter => format!("list of {active} orders, by the router alone"),
            Self::Page => "50 paid orders, from the start".to_owned(),
            Self::DeepPage => "50 paid orders, from the middle".to_owned(),
            Self::Create => "create an order".to_owned(),
            Self::Status => "set the status of an order".to_owned(),
            Self::Move => "move an order between archives".to_owned(),
            Self::SearchExact => "search, exact number".to_owned(),
            Self::SearchPart => "search, part of a number".to_owned(),
            Self::LowStock => format!("low stock, {} low parts", data::LOW),
            Self::FewHits => "search in the stock room, few hits".to_owned(),
            Self::ManyHits => "search in the stock room, many hits".to_owned(),
            Self::Stats => "stats".to_owned(),
            Self::Tables => "tables".to_owned(),
            Self::Ledger => "50 entries of the ledger, newest".to_owned(),
            Self::DeepLedger => "50 entries of the ledger, from the middle".to_owned(),
            Self::Logs => "50 entries of the log, newest".to_owned(),
            Self::DeepLogs => "50 entries of the log, from the middle".to_owned(),
            Self::Decrement => "decrement".to_owned(),
            Self::ContendedDecrement => {
                format!("decrements of one part by {CLIENTS} clients at once, **a second (more is better)**")
            }
        }
    }

    /// Returns the figure for the duration of a round: milliseconds, or changes a second.
    fn figure(self, duration: Duration) -> f64 {
        match self {
            Self::ContendedDecrement => f64::from(CLIENTS * PIECES) / duration.as_secs_f64(),
            _ => duration.as_secs_f64() * 1e3,
        }
    }
}

/// The measured durations of one side.
#[derive(Default)]
struct Samples(Vec<Duration>);

impl Samples {
    async fn time(&mut self, work: impl Future<Output = ()>) {
        let started = Instant::now();
        work.await;
        self.0.push(started.elapsed());
    }

    /// Returns the median without the warm-up, if anything was measured.
    fn median(&mut self) -> Option<Duration> {
        let counted = self.0.get_mut(WARM_UP as usize..)?;
        counted.sort_unstable();
        counted.get(counted.len() / 2).copied()
    }
}

/// The sides that are compared, with databases of one size.
struct Comparison {
    before: Option<Side>,
    after: Side,
    bare: Bare,
    /// How long a case is measured at least.
    time: Duration,
}

impl Comparison {
    async fn start(programs: &Programs, size: &Size, time: Duration) -> Self {
        let before = async {
            match &programs.before {
                Some(program) => Some(Side::start(program, size).await),
                None => None,
            }
        };
        let (before, after) = tokio::join!(before, Side::start(&programs.after, size));
        let bare = Bare::new(&after, size).await;
        Self { before, after, bare, time }
    }

    /// Measures `case` on each side in turns.
    async fn measure(&self, case: Case) -> Figures {
        let [mut bare, mut before, mut after] = <[Samples; 3]>::default();
        let mut started = Instant::now();
        for round in 0.. {
            if round == WARM_UP {
                started = Instant::now();
            }
            if round >= WARM_UP + LEAST_ROUNDS && round % 2 == 0 && started.elapsed() > self.time {
                break;
            }
            if case == Case::ListOfRouter {
                bare.time(self.bare.run(Case::List, round)).await;
                after.time(self.bare.list_of_router()).await;
                continue;
            }
            if let Some(side) = &self.before {
                before.time(side.run(case, round)).await;
            }
            after.time(self.after.run(case, round)).await;
            bare.time(self.bare.run(case, round)).await;
        }
        if case == Case::Create {
            for side in self.before.iter().chain([&self.after]) {
                data::delete_created(&side.main).await;
            }
        }
        let [bare, before, after] =
            [bare, before, after].map(|mut samples| samples.median().map(|median| case.figure(median)));
        Figures { bare, before, after }
    }

    /// Adds active orders until there are `count`, and measures their list, and the memory that it takes.
    async fn measure_long_list(&self, programs: &Programs, count: u32, table: &mut Table) {
        for side in self.before.iter().chain([&self.after]) {
            data::fill_active(&side.main, ACTIVE, count).await;
        }
        for case in [Case::List, Case::ListOfRouter] {
            table.add(&case.name(count), self.measure(case).await);
        }
        let before = match (&self.before, &programs.before) {
            (Some(side), Some(program)) => Some(side.memory_of_list(program).await),
            _ => None,
        };
        let after = Some(self.after.memory_of_list(&programs.after).await);
        table.add(
            &format!("list of {count} orders, **memory at its peak in MB**"),
            Figures { bare: None, before, after },
        );
    }
}

/// The release binaries of `rotracker`.
struct Programs {
    before: Option<PathBuf>,
    after: PathBuf,
}

impl Programs {
    fn find() -> Self {
        let bench = std::env::current_exe().unwrap();
        // …/target/release/deps/requests-…
        let after = bench.ancestors().nth(2).unwrap().join("rotracker");
        assert!(after.exists(), "{} is not there; `cargo build --release --bin rotracker` makes it", after.display());
        let before = std::env::var_os("BEFORE").map(PathBuf::from);
        if let Some(program) = &before {
            assert!(program.exists(), "BEFORE: {} is not there", program.display());
        }
        Self { before, after }
    }
}

async fn compare(is_quick: bool) {
    let (programs, started) = (Programs::find(), Instant::now());
    let (divisor, time) = if is_quick { (10, Duration::from_millis(50)) } else { (1, Duration::from_millis(1_500)) };
    let mut table = Table::default();
    for (index, size) in SIZES.iter().map(|size| size.divided_by(divisor)).enumerate() {
        eprintln!("Filling the databases, {} of {}: {size:?}", index + 1, SIZES.len());
        let comparison = Comparison::start(&programs, &size, time).await;
        eprintln!("Measuring, after {:.0} s", started.elapsed().as_secs_f64());
        for case in Case::ALL {
            table.add(&case.name(ACTIVE), comparison.measure(case).await);
        }
        if index + 1 == SIZES.len() {
            comparison.measure_long_list(&programs, MANY_ACTIVE / divisor, &mut table).await;
        }
    }
    eprintln!("Done, after {:.0} s", started.elapsed().as_secs_f64());
    println!("{table}\n{}", table::machine().await);
}

fn main() {
    let is_quick = std::env::args().any(|argument| argument == "--quick");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(compare(is_quick));
}
