//! Stock transactions: the ledger of every change of a quantity.

use app_core::{
    http::{Actor, Period},
    values::{NormalizedText, Timestamp},
};
use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::FromRow;
use utoipa::ToSchema;

use super::{IndexId, PartNumber};

/// The kind of a stock transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StockAction {
    /// Pieces were taken.
    Decrement,
    /// Pieces came in.
    Increment,
    /// Pieces were counted.
    Adjustment,
    /// `rotracker reindex` set the quantity to that of the part's table, or added or removed the row of the index.
    Reindex,
    /// `rotracker import` set the quantity to that of its source, or added the row of the index.
    Import,
}

impl StockAction {
    pub const ALL: [Self; 5] = [Self::Decrement, Self::Increment, Self::Adjustment, Self::Reindex, Self::Import];

    /// Returns the name that the table, requests and responses use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Decrement => "DECREMENT",
            Self::Increment => "INCREMENT",
            Self::Adjustment => "ADJUSTMENT",
            Self::Reindex => "REINDEX",
            Self::Import => "IMPORT",
        }
    }

    /// Returns the action with that name.
    ///
    /// # Errors
    /// The problem, as the rest of a sentence that begins with the field's name.
    pub fn parse(name: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|action| action.name() == name);
        found.ok_or_else(|| "must be one of DECREMENT, INCREMENT, ADJUSTMENT, REINDEX, IMPORT".to_owned())
    }
}

app_core::described_as_one_of!(StockAction, "Action", StockAction::ALL.map(StockAction::name));

/// A stock transaction to be inserted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewStockTransaction {
    pub timestamp: DateTime<Utc>,
    pub action: StockAction,
    pub index_id: IndexId,
    /// The part number, as the index has it.
    pub part_number: String,
    /// `None` if unknown.
    pub previous_qty: Option<i64>,
    /// `None` if unknown.
    pub new_qty: Option<i64>,
    /// The number of the repair order that the change was made for.
    pub ro_number: Option<String>,
    pub notes: Option<String>,
    pub actor: Actor,
}

impl NewStockTransaction {
    /// Returns the pieces that were added; negative if they were taken, and `None` if that is not known.
    pub fn delta_qty(&self) -> Option<i64> {
        Some(self.new_qty? - self.previous_qty?)
    }
}

/// A stock transaction: a change of a quantity, as responses show it.
#[derive(Clone, Debug, PartialEq, Eq, FromRow, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = LedgerEntry)]
pub struct StockTransaction {
    /// The number of the transaction.
    #[sqlx(rename = "TxnId")]
    pub transaction_id: i64,
    /// The time of the change.
    #[sqlx(rename = "Timestamp")]
    pub timestamp: Option<Timestamp>,
    /// The kind of the change; other programs may have written other kinds.
    #[sqlx(rename = "Action")]
    pub action: String,
    /// The row of the index; null for transactions of other programs.
    #[sqlx(rename = "IndexId")]
    pub index_id: Option<IndexId>,
    /// The manufacturer's part number.
    #[sqlx(rename = "PartNumber")]
    pub part_number: String,
    /// The pieces before the change; null if unknown.
    #[sqlx(rename = "PreviousQty")]
    pub previous_qty: Option<i64>,
    /// The pieces that were added; negative if they were taken. Null if the number before or after the change is not known.
    #[sqlx(rename = "DeltaQty")]
    pub delta_qty: Option<i64>,
    /// The pieces after the change; null if unknown.
    #[sqlx(rename = "NewQty")]
    pub new_qty: Option<i64>,
    /// The number of the repair order that the change was made for.
    #[sqlx(rename = "RONumber")]
    pub ro_number: Option<String>,
    /// Free text.
    #[sqlx(rename = "Note")]
    pub notes: Option<String>,
    /// The subject of the token of the person who made the change; null without authentication, and for transactions of other
    /// programs.
    #[sqlx(rename = "ChangedBy")]
    pub user: Option<String>,
    /// The program that made the change, if no request asked for it.
    #[sqlx(rename = "ChangedByProgram")]
    pub program: Option<String>,
    /// The id of the request, which its log lines carry, too.
    #[sqlx(rename = "RequestId")]
    pub request_id: Option<String>,
}

/// The transactions to list; `None` filters nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TransactionFilter {
    pub part_number: Option<PartNumber>,
    pub ro_number: Option<NormalizedText<50>>,
    pub action: Option<StockAction>,
    pub period: Period,
}
