//! Reads workbooks and CSV files in a process of their own.
//!
//! Files come from people, and may be damaged or hostile. The libraries that read them may then panic, take all memory, or never
//! end. So `rotracker read-sheets FILE` reads them under limits of its own, and writes JSON lines, which `rotracker import` reads.
//!
//! | File | What it has |
//! |---|---|
//! | `protocol` | the JSON lines |
//! | `reader` | the side of `rotracker import`: starts the process and turns every failure into one sentence |
//! | `process` | the side of `rotracker read-sheets`: its limits, and which format a file has |
//! | `xlsx`, `ods`, `xls`, `csv` | the formats |
//! | `xml`, `in_memory`, `cells`, `hidden_rows` | what several formats need: XML in zip files, sheets that are read at once, values |
//! | `output` | the lines that are written, with the limits that hold for all formats |

mod cells;
mod csv;
mod hidden_rows;
mod in_memory;
mod ods;
mod output;
mod process;
mod protocol;
mod reader;
mod xls;
mod xlsx;
mod xml;

pub use process::{Options, run};
pub use protocol::{Area, Item, NotRead, Row, Sheet, Table};
pub use reader::SheetReader;
