//! What stock is, and the rules that need no database.

use app_core::{
    http::{Actor, ApiError, FieldProblems, Period, Summary},
    openapi::{Digits, NotBlank},
    values::{BoundedInt, LongText, Timestamp, Trimmed, exact_integer},
};
use chrono::{DateTime, Utc};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, Unexpected},
};
use sqlx::FromRow;
use utoipa::ToSchema;

/// The eleven tables (specification, "Valid Tables"). Names from requests become one of these first; nothing else
/// reaches SQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Table {
    StockRoom,
    BinsInventory,
    Md82Parts,
    Parts727,
    Terra,
    AsiaArParts,
    BerRai,
    BoliviaPart,
    DeltaApa,
    AsiaArSanfordParts,
    ApaSanfordAr757,
}

impl Table {
    /// All eleven, in the order in which answers list them.
    pub const ALL: [Self; 11] = [
        Self::StockRoom,
        Self::BinsInventory,
        Self::Md82Parts,
        Self::Parts727,
        Self::Terra,
        Self::AsiaArParts,
        Self::BerRai,
        Self::BoliviaPart,
        Self::DeltaApa,
        Self::AsiaArSanfordParts,
        Self::ApaSanfordAr757,
    ];

    /// The name in the database, which requests and answers use.
    pub fn name(self) -> &'static str {
        match self {
            Self::StockRoom => "stock_room",
            Self::BinsInventory => "bins_inventory",
            Self::Md82Parts => "md82_parts",
            Self::Parts727 => "727_parts",
            Self::Terra => "terra",
            Self::AsiaArParts => "asia_ar_parts",
            Self::BerRai => "b_e_r__r_a_i",
            Self::BoliviaPart => "bolivia_part",
            Self::DeltaApa => "delta_apa",
            Self::AsiaArSanfordParts => "asia_ar_sanford_parts",
            Self::ApaSanfordAr757 => "apa_sanford_ar_757",
        }
    }

    /// The name that people read.
    pub fn display_name(self) -> &'static str {
        match self {
            Self::StockRoom => "Stock Room",
            Self::BinsInventory => "Bins Inventory",
            Self::Md82Parts => "MD-82 Parts",
            Self::Parts727 => "727 Parts",
            Self::Terra => "Terra",
            Self::AsiaArParts => "Asia AR Parts",
            Self::BerRai => "BER / RAI",
            Self::BoliviaPart => "Bolivia Part",
            Self::DeltaApa => "Delta APA",
            Self::AsiaArSanfordParts => "Asia AR Sanford Parts",
            Self::ApaSanfordAr757 => "APA Sanford AR 757",
        }
    }

    /// The table of that name.
    ///
    /// # Errors
    /// What a request should send instead.
    pub fn parse(name: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|table| table.name() == name).ok_or_else(|| {
            let names: Vec<&str> = Self::ALL.into_iter().map(Self::name).collect();
            format!("must be one of {}", names.join(", "))
        })
    }

    /// The table that a row of the index points to, if it is one of the eleven; the database compares names without
    /// regard to case.
    pub fn of_index(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|table| table.name().eq_ignore_ascii_case(name))
    }
}

app_core::described_as_one_of!(Table, "TableName", Table::ALL.map(Table::name));

/// A part number as someone asks for it: trimmed, 1 to 100 characters. Numbers compare in capitals (design, readings 15
/// and 19).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct PartNumber(Trimmed<100>);

impl PartNumber {
    /// Takes a number from a request, or says in half a sentence what is wrong with it.
    pub fn parse(number: &str) -> Result<Self, String> {
        Trimmed::parse(number).map(Self)
    }

    /// The number as it was asked for.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `stored` is the same number.
    pub fn is(&self, stored: &str) -> bool {
        self.0.to_uppercase() == stored.trim().to_uppercase()
    }
}

app_core::described_as!(PartNumber, Trimmed<100>);

/// The id of a row of the index. Requests send a string of digits or a number, answers show a string.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::Type)]
#[sqlx(transparent)]
pub struct IndexId(pub i64);

impl Serialize for IndexId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

app_core::described_as!(IndexId, Digits);

impl<'de> Deserialize<'de> for IndexId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl de::Visitor<'_> for Visitor {
            type Value = IndexId;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("a string of decimal digits or a whole number")
            }

            fn visit_u64<E>(self, id: u64) -> Result<IndexId, E> {
                // Too large for any row is no error of form: nothing has that id.
                Ok(IndexId(i64::try_from(id).unwrap_or(i64::MAX)))
            }

            fn visit_i64<E: de::Error>(self, _: i64) -> Result<IndexId, E> {
                Err(E::custom("must not be negative"))
            }

            fn visit_f64<E: de::Error>(self, id: f64) -> Result<IndexId, E> {
                let whole = exact_integer(id).ok_or_else(|| E::invalid_type(Unexpected::Float(id), &self))?;
                match u64::try_from(whole) {
                    Ok(id) => self.visit_u64(id),
                    Err(_) => self.visit_i64(whole),
                }
            }

            fn visit_str<E: de::Error>(self, id: &str) -> Result<IndexId, E> {
                if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_digit()) {
                    return Err(E::custom("must be a string of decimal digits or a whole number"));
                }
                Ok(IndexId(id.parse().unwrap_or(i64::MAX)))
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

/// A part that a search found.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = FoundPart)]
pub struct Found {
    /// Its row of the index; none when only its table has it.
    pub index_id: Option<IndexId>,
    /// The maker's number.
    pub part_number: String,
    /// The table that has it.
    pub table_name: String,
    /// Its row there.
    pub row_id: i64,
    /// Pieces on the shelf.
    pub qty: i64,
    /// `SV`, `AR`, `OH` and the like.
    pub condition: Option<String>,
    /// The shelf.
    pub location: Option<String>,
    /// What the part is, as its table says.
    pub description: Option<String>,
}

/// How a search found what it found: the first of three ways that finds anything (specification, "3-Tier Fallback").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum SearchMethod {
    /// The index has the very number.
    Exact,
    /// The index has numbers that contain it.
    Like,
    /// The stock room or the bins have numbers that contain it, and the index has none.
    Direct,
}

/// The answer to a search.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SearchAnswer {
    /// What was found.
    pub results: Vec<Found>,
    /// How many that are.
    pub total_results: usize,
    /// How.
    pub search_method: SearchMethod,
}

/// A row of one of the eleven tables (design, reading 16).
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = InventoryItem)]
pub struct Item {
    /// Its id in that table.
    #[serde(serialize_with = "as_string")]
    #[schema(value_type = Digits)]
    pub id: i64,
    /// The maker's number.
    pub part_number: Option<String>,
    /// Pieces on the shelf; not every sheet said.
    pub qty: Option<i64>,
    /// The very piece.
    pub serial: Option<String>,
    /// `SV`, `AR`, `OH` and the like.
    pub condition: Option<String>,
    /// The shelf.
    pub location: Option<String>,
    /// What the part is.
    pub description: Option<String>,
    /// The bin's number; only bins have one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, extensions(("x-optional" = json!(true))))]
    pub bin: Option<Option<String>>,
}

fn as_string<S: Serializer>(id: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(id)
}

/// Which rows of a table to list; what is absent does not matter. Texts compare without regard to case and the blanks
/// around them; `search` is looked for in numbers and descriptions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ItemFilter {
    pub location: Option<String>,
    pub condition: Option<String>,
    pub bin: Option<String>,
    pub search: Option<String>,
}

/// How many rows one of the eleven tables has.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TableCount {
    /// The table's name in the database.
    pub name: &'static str,
    /// The name that people read.
    pub display_name: &'static str,
    /// Its rows.
    pub count: i64,
}

/// All eleven tables.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = InventoryTables)]
pub struct Tables {
    tables: Vec<TableCount>,
    total_tables: usize,
    total_items: i64,
}

impl Tables {
    /// Tables and their sums, from the counts in the order of [`Table::ALL`].
    pub fn new(counts: impl IntoIterator<Item = i64>) -> Self {
        let tables: Vec<TableCount> = Table::ALL
            .into_iter()
            .zip(counts)
            .map(|(table, count)| TableCount { name: table.name(), display_name: table.display_name(), count })
            .collect();
        let total_items = tables.iter().map(|table| table.count).sum();
        Self { total_tables: tables.len(), total_items, tables }
    }

    /// Rows of all tables.
    pub fn total_items(&self) -> i64 {
        self.total_items
    }
}

/// What the index says of one table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct TableStock {
    /// The table's name.
    pub table: String,
    /// Rows of the index that point to it.
    pub parts: i64,
    /// Pieces in them.
    pub quantity: i64,
    /// Rows with fewer than [`LOW_STOCK`] pieces, none included.
    #[serde(skip)]
    pub low: i64,
    /// Rows without a piece.
    #[serde(skip)]
    pub out: i64,
}

/// Below this many pieces a part is low, unless a request says otherwise (specification, "low-stock").
pub const LOW_STOCK: i64 = 5;

/// Below this many pieces the answer to a change warns (specification, "Low Stock Flag").
const WARN_BELOW: i64 = 2;

/// The index in figures (design, reading 18).
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = InventoryStats)]
pub struct Stats {
    total_parts: i64,
    total_quantity: i64,
    low_stock_items: i64,
    out_of_stock_items: i64,
    table_breakdown: Vec<TableStock>,
}

impl Stats {
    /// Sums of `stock`, which may lack tables without a part. All eleven are listed, and after them those that the index
    /// names beside them, so that the sums are those of what is listed.
    pub fn new(mut stock: Vec<TableStock>) -> Self {
        let sum = |of: fn(&TableStock) -> i64| stock.iter().map(of).sum();
        let (total_parts, total_quantity) = (sum(|table| table.parts), sum(|table| table.quantity));
        let (low_stock_items, out_of_stock_items) = (sum(|table| table.low), sum(|table| table.out));
        let mut table_breakdown = Vec::with_capacity(Table::ALL.len());
        for table in Table::ALL {
            let position = stock.iter().position(|stock| Table::of_index(&stock.table) == Some(table));
            let found = position.map(|position| stock.swap_remove(position));
            let (parts, quantity) = found.map_or((0, 0), |found| (found.parts, found.quantity));
            table_breakdown.push(TableStock { table: table.name().to_owned(), parts, quantity, low: 0, out: 0 });
        }
        stock.sort_by(|one, other| one.table.cmp(&other.table));
        table_breakdown.append(&mut stock);
        Self { total_parts, total_quantity, low_stock_items, out_of_stock_items, table_breakdown }
    }
}

/// How soon a part must be bought. The rule is part of [`crate::sql::LOW_STOCK`], which orders by it (design, reading
/// 17).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Urgency {
    /// There is none.
    Critical,
    /// One piece, or gone within 30 days.
    High,
    /// Gone within 60 days.
    Medium,
    /// Low, and not used much.
    Low,
}

impl Urgency {
    /// All four, in the order in which the statement numbers them.
    pub const ALL: [Self; 4] = [Self::Critical, Self::High, Self::Medium, Self::Low];
}

/// A part of which there is too little.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LowStockItem {
    /// Its row of the index.
    pub index_id: IndexId,
    /// The maker's number.
    pub part_number: String,
    /// The table that has it.
    pub table_name: String,
    /// Pieces on the shelf.
    pub current_qty: i64,
    /// Pieces of that number taken in the last 90 days.
    #[serde(rename = "usage90Days")]
    pub usage_90_days: i64,
    /// Pieces a month, to two decimals.
    pub monthly_usage_rate: f64,
    /// Pieces to buy.
    pub recommended_reorder: i64,
    /// How soon.
    pub urgency: Urgency,
    /// Days until there is none at that rate; none if none is used.
    pub days_until_stockout: Option<i64>,
    /// The shelf.
    pub location: Option<String>,
    /// `SV`, `AR`, `OH` and the like.
    pub condition: Option<String>,
}

/// Pieces a month, to two decimals, of `usage` in 90 days.
#[expect(clippy::cast_precision_loss, reason = "shown to two decimals")]
pub fn monthly_rate(usage: i64) -> f64 {
    (usage as f64 / 3.0 * 100.0).round() / 100.0
}

/// Three months' use and a buffer of five, at least ten: `max(ceil(rate × 3 + 5), 10)`, where the exact rate times three
/// is the usage of 90 days itself.
pub fn recommended_reorder(usage: i64) -> i64 {
    usage.saturating_add(5).max(10)
}

/// The low items by urgency.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LowStockSummary {
    threshold: i64,
    total_low_stock_items: u64,
    critical_items: u64,
    high_urgency_items: u64,
    medium_urgency_items: u64,
    low_urgency_items: u64,
}

impl LowStockSummary {
    /// No items yet.
    pub fn new(threshold: i64) -> Self {
        Self {
            threshold,
            total_low_stock_items: 0,
            critical_items: 0,
            high_urgency_items: 0,
            medium_urgency_items: 0,
            low_urgency_items: 0,
        }
    }
}

impl Summary<LowStockItem> for LowStockSummary {
    fn count(&mut self, item: &LowStockItem) {
        self.total_low_stock_items += 1;
        *match item.urgency {
            Urgency::Critical => &mut self.critical_items,
            Urgency::High => &mut self.high_urgency_items,
            Urgency::Medium => &mut self.medium_urgency_items,
            Urgency::Low => &mut self.low_urgency_items,
        } += 1;
    }
}

/// The kinds of entries in the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Pieces were taken.
    Decrement,
    /// Pieces came in.
    Increment,
    /// Pieces were counted.
    Adjustment,
    /// `rotracker reindex` took the quantity from the part's table, or the row from the index.
    Reindex,
}

impl Action {
    /// All four.
    pub const ALL: [Self; 4] = [Self::Decrement, Self::Increment, Self::Adjustment, Self::Reindex];

    /// The name in the ledger, which requests and answers use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Decrement => "DECREMENT",
            Self::Increment => "INCREMENT",
            Self::Adjustment => "ADJUSTMENT",
            Self::Reindex => "REINDEX",
        }
    }

    /// The action of that name.
    ///
    /// # Errors
    /// What a request should send instead.
    pub fn parse(name: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|action| action.name() == name);
        found.ok_or_else(|| "must be one of DECREMENT, INCREMENT, ADJUSTMENT, REINDEX".to_owned())
    }
}

app_core::described_as_one_of!(Action, "Action", Action::ALL.map(Action::name));

/// The largest quantity: what the columns hold.
pub const MAX_QUANTITY: i64 = i32::MAX as i64;

/// Some pieces.
pub type Quantity = BoundedInt<1, MAX_QUANTITY>;

/// Pieces, or none.
pub type Counted = BoundedInt<0, MAX_QUANTITY>;

/// A change of the quantity of one row of the index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StockChange {
    /// The row.
    pub index_id: IndexId,
    /// The number that the row must have.
    pub part_number: PartNumber,
    /// What happens to the quantity.
    pub effect: Effect,
    /// The repair order for which it happens.
    pub ro_number: Option<Trimmed<50>>,
    /// Free text.
    pub notes: Option<LongText>,
}

/// What happens to a quantity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// So many pieces are taken.
    Take(i64),
    /// So many pieces come in.
    Add(i64),
    /// So many pieces were counted.
    Set(i64),
}

impl Effect {
    /// How the ledger calls it.
    pub fn action(self) -> Action {
        match self {
            Self::Take(_) => Action::Decrement,
            Self::Add(_) => Action::Increment,
            Self::Set(_) => Action::Adjustment,
        }
    }

    /// The quantity afterwards, of `previous` pieces before.
    ///
    /// # Errors
    /// [`ApiError::Conflict`] when there are not as many pieces as are to be taken, or more would be there than can be
    /// counted.
    pub fn apply(self, previous: i64) -> Result<i64, ApiError> {
        match self {
            Self::Take(quantity) if quantity > previous => {
                Err(ApiError::Conflict(format!("Insufficient quantity: {quantity} wanted, {} there.", previous.max(0))))
            }
            Self::Take(quantity) => Ok(previous - quantity),
            Self::Add(quantity) if previous + quantity > MAX_QUANTITY => {
                Err(ApiError::Conflict(format!("The quantity would be more than {MAX_QUANTITY}.")))
            }
            Self::Add(quantity) => Ok(previous + quantity),
            Self::Set(quantity) => Ok(quantity),
        }
    }
}

/// The body of `POST …/decrement` and `…/increment`. Other members are ignored.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = StockMove)]
pub struct MoveRequest {
    /// The row of the index.
    #[schema(value_type = IndexId)]
    index_id: Option<IndexId>,
    /// The number that this row has.
    #[schema(value_type = PartNumber)]
    part_number: Option<PartNumber>,
    /// How many pieces; one unless given.
    quantity: Option<Quantity>,
    /// The repair order for which it happens.
    ro_number: Option<Trimmed<50>>,
    /// Free text.
    notes: Option<LongText>,
}

impl MoveRequest {
    /// The change that is asked for; one piece unless it says how many.
    ///
    /// # Errors
    /// [`ApiError::Invalid`] naming each field that is missing.
    pub fn into_change(self, effect: fn(i64) -> Effect) -> Result<StockChange, ApiError> {
        let mut problems = FieldProblems::default();
        let index_id = problems.require("indexId", self.index_id);
        let part_number = problems.require("partNumber", self.part_number);
        let (index_id, part_number) = problems.finish(index_id.zip(part_number))?;
        let effect = effect(self.quantity.map_or(1, BoundedInt::get));
        Ok(StockChange { index_id, part_number, effect, ro_number: self.ro_number, notes: self.notes })
    }
}

/// The body of `POST …/adjust`. Other members are ignored.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = StockAdjustment)]
pub struct AdjustRequest {
    /// The row of the index.
    #[schema(value_type = IndexId)]
    index_id: Option<IndexId>,
    /// The number that this row has.
    #[schema(value_type = PartNumber)]
    part_number: Option<PartNumber>,
    /// What was counted.
    #[schema(value_type = Counted)]
    new_qty: Option<Counted>,
    /// The repair order for which it happens.
    ro_number: Option<Trimmed<50>>,
    /// Why the quantity is another one.
    #[schema(value_type = NotBlank<65_535>)]
    notes: Option<LongText>,
}

impl AdjustRequest {
    /// The change that is asked for. The notes say why, so they must say something.
    ///
    /// # Errors
    /// [`ApiError::Invalid`] naming each field that is missing.
    pub fn into_change(self) -> Result<StockChange, ApiError> {
        let mut problems = FieldProblems::default();
        let index_id = problems.require("indexId", self.index_id);
        let part_number = problems.require("partNumber", self.part_number);
        let new_qty = problems.require("newQty", self.new_qty);
        let notes = problems.require("notes", self.notes);
        if notes.as_ref().is_some_and(|notes| notes.trim().is_empty()) {
            problems.add("notes", "must not be empty");
        }
        let ((index_id, part_number), new_qty) = problems.finish(index_id.zip(part_number).zip(new_qty))?;
        let effect = Effect::Set(new_qty.get());
        Ok(StockChange { index_id, part_number, effect, ro_number: self.ro_number, notes })
    }
}

/// The answer to a change.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = StockChanged)]
pub struct Changed {
    success: bool,
    index_id: IndexId,
    part_number: String,
    previous_qty: i64,
    new_qty: i64,
    is_low_stock: bool,
    transaction_id: u64,
}

impl Changed {
    /// What `entry` says that happened, under the number `transaction_id` of the ledger.
    pub fn new(entry: &Entry, transaction_id: u64) -> Self {
        Self {
            success: true,
            index_id: entry.index_id,
            part_number: entry.part_number.clone(),
            previous_qty: entry.previous_qty,
            new_qty: entry.new_qty,
            is_low_stock: entry.new_qty < WARN_BELOW,
            transaction_id,
        }
    }
}

/// What the ledger is told of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// When.
    pub at: DateTime<Utc>,
    /// What.
    pub action: Action,
    /// The row of the index.
    pub index_id: IndexId,
    /// Its number, as the index has it.
    pub part_number: String,
    /// Pieces before.
    pub previous_qty: i64,
    /// Pieces after.
    pub new_qty: i64,
    /// The repair order for which it happened.
    pub ro_number: Option<String>,
    /// Free text.
    pub notes: Option<String>,
    /// Who.
    pub actor: Actor,
}

/// An entry as the ledger shows it.
#[derive(Clone, Debug, PartialEq, Eq, FromRow, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LedgerEntry {
    /// Its number in the ledger.
    #[sqlx(rename = "TxnId")]
    pub transaction_id: i64,
    /// When.
    #[sqlx(rename = "Timestamp")]
    pub timestamp: Option<Timestamp>,
    /// One of [`Action`], or what another program wrote.
    #[sqlx(rename = "Action")]
    pub action: String,
    /// The row of the index; unknown of entries that the Node service wrote.
    #[sqlx(rename = "IndexId")]
    pub index_id: Option<IndexId>,
    /// The maker's number.
    #[sqlx(rename = "PartNumber")]
    pub part_number: String,
    /// Pieces before.
    #[sqlx(rename = "PreviousQty")]
    pub previous_qty: i64,
    /// Pieces that came (or went, if negative).
    #[sqlx(rename = "DeltaQty")]
    pub delta_qty: i64,
    /// Pieces after.
    #[sqlx(rename = "NewQty")]
    pub new_qty: i64,
    /// The repair order for which it happened.
    #[sqlx(rename = "RONumber")]
    pub ro_number: Option<String>,
    /// Free text.
    #[sqlx(rename = "Note")]
    pub notes: Option<String>,
    /// Who: the subject of the verified token; none where authentication was off, and of the Node service's entries.
    #[sqlx(rename = "ChangedBy")]
    pub user: Option<String>,
    /// The program, of changes that no request asked for.
    #[sqlx(rename = "ChangedByProgram")]
    pub program: Option<String>,
    /// The request's id, which is in its log lines.
    #[sqlx(rename = "RequestId")]
    pub request_id: Option<String>,
}

/// Which entries of the ledger to show; what is absent does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LedgerFilter {
    pub part_number: Option<PartNumber>,
    pub ro_number: Option<Trimmed<50>>,
    pub action: Option<Action>,
    /// When they came.
    pub period: Period,
}
