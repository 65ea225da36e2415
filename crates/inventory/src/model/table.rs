//! The eleven tables of parts and their rows.

use app_core::{
    http::{Cell, Record},
    openapi::Digits,
};
use serde::{Serialize, Serializer};
use sqlx::FromRow;
use utoipa::ToSchema;

/// One of the eleven tables of parts. A table's name from a request becomes one of these before it reaches SQL.
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
    /// All tables, in the order in which responses list them.
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

    /// Returns the name in the database, which requests and responses use, too.
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

    /// Returns the columns for the condition and the bin. Only the bins have a bin, and spell CONDITION out.
    pub fn condition_and_bin_columns(self) -> (&'static str, &'static str) {
        match self {
            Self::BinsInventory => ("`CONDITION`", "`BIN`"),
            _ => ("COND", "NULL"),
        }
    }

    /// Returns the name that people read.
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

    /// Returns the table with that name.
    ///
    /// # Errors
    /// The problem, as the rest of a sentence that begins with the field's name.
    pub fn parse(name: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|table| table.name() == name)
            .ok_or_else(|| format!("must be one of {}", Self::ALL.map(Self::name).join(", ")))
    }

    /// Returns the table that a row of the index names, if it is one of the eleven. Case does not matter, as in the database.
    pub fn from_index_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|table| table.name().eq_ignore_ascii_case(name))
    }
}

app_core::described_as_one_of!(Table, "TableName", Table::ALL.map(Table::name));

/// A table that can be exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportedTable {
    /// The index of all parts.
    Index,
    Parts(Table),
}

impl ExportedTable {
    /// Returns all of them, the index first.
    pub fn all() -> impl Iterator<Item = Self> {
        std::iter::once(Self::Index).chain(Table::ALL.map(Self::Parts))
    }

    /// Returns the name in the database, which requests and responses use, too.
    pub fn name(self) -> &'static str {
        match self {
            Self::Index => "inventoryindex",
            Self::Parts(table) => table.name(),
        }
    }

    /// Returns the table with that name.
    ///
    /// # Errors
    /// The problem, as the rest of a sentence that begins with the field's name.
    pub fn parse(name: &str) -> Result<Self, String> {
        let names = || Self::all().map(Self::name).collect::<Vec<_>>().join(", ");
        Self::all().find(|table| table.name() == name).ok_or_else(|| format!("must be one of {}", names()))
    }
}

app_core::described_as_one_of!(ExportedTable, "ExportedTableName", ExportedTable::all().map(ExportedTable::name));

/// A row of one of the eleven tables.
#[derive(Clone, Debug, Default, PartialEq, FromRow, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct InventoryItem {
    /// The id of the row in that table.
    #[serde(serialize_with = "as_string")]
    #[schema(value_type = Digits)]
    pub id: i64,
    /// The manufacturer's part number.
    pub part_number: Option<String>,
    /// The pieces on the shelf; null if the sheet did not say.
    pub qty: Option<i64>,
    /// The serial number.
    pub serial: Option<String>,
    /// The condition, such as `SV`, `AR` or `OH`.
    pub condition: Option<String>,
    /// The shelf.
    pub location: Option<String>,
    /// A description of the part.
    pub description: Option<String>,
    /// The number of the bin. Only items of `bins_inventory` have this member.
    #[sqlx(skip)]
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, extensions(("x-optional" = json!(true))))]
    pub bin: Option<Option<String>>,
}

impl InventoryItem {
    /// Returns a row of `table` without values.
    pub fn blank(table: Table) -> Self {
        Self { bin: (table == Table::BinsInventory).then_some(None), ..Self::default() }
    }
}

/// A row in a file. The headings are the names that its JSON has.
impl Record for InventoryItem {
    fn cells(&self) -> Vec<(&'static str, Cell<'_>)> {
        use Cell::{Identifier, Integer, Text};
        let Self { id, part_number, qty, serial, condition, location, description, bin } = self;
        let mut cells = vec![
            ("partNumber", Identifier(part_number.as_deref())),
            ("qty", Integer(*qty)),
            ("serial", Identifier(serial.as_deref())),
            ("condition", Text(condition.as_deref())),
            ("location", Identifier(location.as_deref())),
            ("description", Text(description.as_deref())),
        ];
        cells.extend(bin.as_ref().map(|bin| ("bin", Identifier(bin.as_deref()))));
        cells.push(("id", Integer(Some(*id))));
        cells
    }
}

fn as_string<S: Serializer>(id: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(id)
}

/// The rows of a table to list; `None` filters nothing. Texts are compared without case and without the white space around
/// them. `search` is contained in the part number or the description.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ItemFilter {
    pub location: Option<String>,
    pub condition: Option<String>,
    pub bin: Option<String>,
    pub search: Option<String>,
}
