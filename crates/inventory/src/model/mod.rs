//! The domain: parts, stock, transactions, and the rules that need no database.

mod low_stock;
mod part;
mod search;
mod statistics;
mod stock;
mod table;
mod transaction;

pub use low_stock::{DEFAULT_THRESHOLD, LowStockItem, LowStockSummary, Urgency};
pub use part::{IndexId, PartNumber, part_number_key};
pub use search::{FoundPart, SearchMethod, SearchResponse};
pub use statistics::{IndexedTable, Stats, TableCount, TableStock, Tables, Totals};
pub use stock::{
    CountedQuantity, MAX_QUANTITY, Quantity, QuantityChange, StockAdjustmentRequest, StockChange, StockChangeResponse,
    StockMoveRequest,
};
pub use table::{ExportedTable, InventoryItem, ItemFilter, Table};
pub use transaction::{NewStockTransaction, StockAction, StockTransaction, TransactionFilter};
