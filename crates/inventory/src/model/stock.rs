//! Changes of a quantity.

use app_core::{
    http::{ApiError, FieldProblems},
    openapi::NotBlank,
    values::{BoundedInt, LongText, NormalizedText, blank_as_none},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{IndexId, NewStockTransaction, PartNumber, StockAction};

/// The largest quantity that the columns hold.
pub const MAX_QUANTITY: i64 = i32::MAX as i64;

/// The response to a change has the low stock flag if fewer pieces than this are left.
const LOW_STOCK_FLAG_BELOW: i64 = 2;

/// A number of pieces, at least one.
pub type Quantity = BoundedInt<1, MAX_QUANTITY>;

/// A number of pieces, maybe none.
pub type CountedQuantity = BoundedInt<0, MAX_QUANTITY>;

/// A change of the quantity of one row of the index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StockChange {
    pub index_id: IndexId,
    /// The part number that the row must have.
    pub part_number: PartNumber,
    pub quantity_change: QuantityChange,
    /// The quantity before the change, if the change depends on it.
    pub expected_qty: Option<i64>,
    /// The number of the repair order that the change is made for.
    pub ro_number: Option<NormalizedText<50>>,
    pub notes: Option<LongText>,
}

impl StockChange {
    /// Returns the quantity after the change of `previous` pieces, which is `None` if it is unknown.
    ///
    /// # Errors
    /// [`ApiError::Outdated`] when `previous` is not the expected quantity, and as [`QuantityChange::apply`].
    pub fn apply(&self, previous: Option<i64>) -> Result<i64, ApiError> {
        match self.expected_qty {
            Some(expected) if previous != Some(expected) => Err(ApiError::Outdated {
                message: format!(
                    "The quantity is {} by now, not {expected}. Count the part again.",
                    quantity_text(previous)
                ),
                current: [("qty", previous)].into(),
            }),
            _ => self.quantity_change.apply(previous),
        }
    }
}

/// Returns a quantity as it is written in a sentence.
fn quantity_text(quantity: Option<i64>) -> String {
    quantity.map_or_else(|| "unknown".to_owned(), |quantity| quantity.to_string())
}

/// A change of a quantity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuantityChange {
    /// Takes this many pieces.
    Take(i64),
    /// Adds this many pieces.
    Add(i64),
    /// Sets the quantity to the number that was counted.
    Set(i64),
}

impl QuantityChange {
    /// Returns the kind of its transaction.
    pub fn action(self) -> StockAction {
        match self {
            Self::Take(_) => StockAction::Decrement,
            Self::Add(_) => StockAction::Increment,
            Self::Set(_) => StockAction::Adjustment,
        }
    }

    /// Returns the quantity after the change of `previous` pieces, which is `None` if it is unknown.
    ///
    /// # Errors
    /// [`ApiError::Conflict`] when there are fewer pieces than are to be taken, the result exceeds [`MAX_QUANTITY`], or a quantity
    /// that is unknown is not set.
    pub fn apply(self, previous: Option<i64>) -> Result<i64, ApiError> {
        let previous = match (self, previous) {
            (Self::Set(quantity), _) => return Ok(quantity),
            (_, Some(previous)) => previous,
            (_, None) => {
                return Err(ApiError::Conflict(
                    "The quantity of this part is unknown. Count the part and set its quantity with `adjust` first."
                        .to_owned(),
                ));
            }
        };
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

/// The body of `POST …/decrement` and `…/increment`. Other members are rejected, since one could be a misspelt quantity. A blank
/// optional one counts as absent.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = StockMove)]
pub struct StockMoveRequest {
    /// The row of the index.
    #[schema(value_type = IndexId)]
    index_id: Option<IndexId>,
    /// The part number of this row.
    #[schema(value_type = PartNumber)]
    part_number: Option<PartNumber>,
    /// The number of pieces; 1 by default.
    #[serde(default, deserialize_with = "blank_as_none")]
    quantity: Option<Quantity>,
    /// The number of the repair order that the change is made for.
    #[serde(default, deserialize_with = "blank_as_none")]
    ro_number: Option<NormalizedText<50>>,
    /// Free text.
    #[serde(default, deserialize_with = "blank_as_none")]
    notes: Option<LongText>,
}

impl StockMoveRequest {
    /// Returns the change.
    ///
    /// # Errors
    /// [`ApiError::Invalid`] naming each field that is missing.
    pub fn into_change(self, quantity_change: fn(i64) -> QuantityChange) -> Result<StockChange, ApiError> {
        let mut problems = FieldProblems::default();
        let index_id = problems.require("indexId", self.index_id);
        let part_number = problems.require("partNumber", self.part_number);
        let (index_id, part_number) = problems.finish(index_id.zip(part_number))?;
        let quantity_change = quantity_change(self.quantity.map_or(1, BoundedInt::get));
        let Self { ro_number, notes, .. } = self;
        Ok(StockChange { index_id, part_number, quantity_change, expected_qty: None, ro_number, notes })
    }
}

/// The body of `POST …/adjust`. Other members are rejected. A blank optional one counts as absent.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = StockAdjustment)]
pub struct StockAdjustmentRequest {
    /// The row of the index.
    #[schema(value_type = IndexId)]
    index_id: Option<IndexId>,
    /// The part number of this row.
    #[schema(value_type = PartNumber)]
    part_number: Option<PartNumber>,
    /// The counted number of pieces.
    #[schema(value_type = CountedQuantity)]
    new_qty: Option<CountedQuantity>,
    /// The quantity that was read before the count. If it is another by now, the response is 409, so that a change in between is not
    /// undone.
    #[serde(default, deserialize_with = "blank_as_none")]
    expected_qty: Option<CountedQuantity>,
    /// The number of the repair order that the change is made for.
    #[serde(default, deserialize_with = "blank_as_none")]
    ro_number: Option<NormalizedText<50>>,
    /// The reason for the correction.
    #[serde(default, deserialize_with = "blank_as_none")]
    #[schema(value_type = NotBlank<65_535>, required = true)]
    notes: Option<LongText>,
}

impl StockAdjustmentRequest {
    /// Returns the change. The notes must give a reason.
    ///
    /// # Errors
    /// [`ApiError::Invalid`] naming each field that is missing.
    pub fn into_change(self) -> Result<StockChange, ApiError> {
        let mut problems = FieldProblems::default();
        let index_id = problems.require("indexId", self.index_id);
        let part_number = problems.require("partNumber", self.part_number);
        let new_qty = problems.require("newQty", self.new_qty);
        let notes = problems.require("notes", self.notes);
        let ((index_id, part_number), new_qty) = problems.finish(index_id.zip(part_number).zip(new_qty))?;
        let quantity_change = QuantityChange::Set(new_qty.get());
        let expected_qty = self.expected_qty.map(BoundedInt::get);
        Ok(StockChange { index_id, part_number, quantity_change, expected_qty, ro_number: self.ro_number, notes })
    }
}

/// The response to a change of a quantity.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = StockChanged)]
pub struct StockChangeResponse {
    success: bool,
    index_id: IndexId,
    part_number: String,
    /// The pieces before the change; null if unknown.
    previous_qty: Option<i64>,
    new_qty: i64,
    /// Whether fewer than two pieces are left.
    is_low_stock: bool,
    transaction_id: u64,
    /// A sentence for people.
    message: String,
}

impl StockChangeResponse {
    /// Creates the response for a transaction, which set the quantity to `new_qty` and got the number `transaction_id`.
    pub fn new(transaction: &NewStockTransaction, new_qty: i64, transaction_id: u64) -> Self {
        Self {
            success: true,
            index_id: transaction.index_id,
            part_number: transaction.part_number.clone(),
            previous_qty: transaction.previous_qty,
            new_qty,
            is_low_stock: new_qty < LOW_STOCK_FLAG_BELOW,
            transaction_id,
            message: message(transaction, new_qty),
        }
    }
}

/// Says what `transaction` did, which set the quantity to `new_qty`.
fn message(transaction: &NewStockTransaction, new_qty: i64) -> String {
    let number = transaction.part_number.trim();
    let pieces = match transaction.delta_qty().unwrap_or_default().abs() {
        1 => "1 piece".to_owned(),
        count => format!("{count} pieces"),
    };
    let there = match new_qty {
        0 => "none is".to_owned(),
        1 => "1 is".to_owned(),
        count => format!("{count} are"),
    };
    match transaction.action {
        StockAction::Decrement => format!("{pieces} of {number} taken; {there} left."),
        StockAction::Increment => format!("{pieces} of {number} added; {there} there now."),
        _ => {
            let before = quantity_text(transaction.previous_qty);
            format!("The quantity of {number} is {new_qty} now; it was {before}.")
        }
    }
}
