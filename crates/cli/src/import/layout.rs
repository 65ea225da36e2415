//! Which tables and columns of a source are understood, and what they hold.

use inventory::model::Table;
use ros::model::ArchiveStatus;

use super::{
    convert::{Reading, read_text},
    source::{SourceRow, SourceTable, Value},
};

/// What a table of a source holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// Repair orders.
    Orders(ArchiveStatus),
    /// The rows of one of the eleven tables of parts.
    Parts(Table),
    /// The index of all parts.
    PartIndex,
    /// The repair shops.
    Shops,
    /// The log of the AI assistant.
    AiLog,
    /// The ledger of stock.
    Ledger,
}

/// A field of ours, with the headings under which sources have it: in capitals, letters and digits only.
type Field = (&'static str, &'static [&'static str]);

const ORDER_FIELDS: &[Field] = &[
    ("RO", &["RO", "RONUMBER", "RONO"]),
    ("DATE_MADE", &["DATEMADE"]),
    ("SHOP_NAME", &["SHOPNAME", "SHOP"]),
    ("PART", &["PART", "PARTNUMBER", "PN"]),
    ("SERIAL", &["SERIAL", "SERIALNUMBER", "SN"]),
    ("PART_DESCRIPTION", &["PARTDESCRIPTION", "DESCRIPTION"]),
    ("REQ_WORK", &["REQWORK", "REQUIREDWORK"]),
    ("DATE_DROPPED_OFF", &["DATEDROPPEDOFF"]),
    ("ESTIMATED_COST", &["ESTIMATEDCOST"]),
    ("FINAL_COST", &["FINALCOST"]),
    ("TERMS", &["TERMS"]),
    ("SHOP_REF", &["SHOPREF", "SHOPREFERENCE", "SHOPREFERENCENUMBER"]),
    ("ESTIMATED_DELIVERY_DATE", &["ESTIMATEDDELIVERYDATE", "ESTIMATEDDELIVERY"]),
    ("CURENT_STATUS", &["CURENTSTATUS", "CURRENTSTATUS"]),
    ("CURENT_STATUS_DATE", &["CURENTSTATUSDATE", "CURRENTSTATUSDATE"]),
    ("GENTHRUST_STATUS", &["GENTHRUSTSTATUS"]),
    ("SHOP_STATUS", &["SHOPSTATUS"]),
    ("TRACKING_NUMBER_PICKING_UP", &["TRACKINGNUMBERPICKINGUP", "TRACKINGNUMBER"]),
    ("NOTES", &["NOTES"]),
    ("LAST_DATE_UPDATED", &["LASTDATEUPDATED"]),
    ("NEXT_DATE_TO_UPDATE", &["NEXTDATETOUPDATE"]),
];

const PART_FIELDS: &[Field] = &[
    ("PN", &["PN", "PARTNUMBER", "PARTNO", "PART"]),
    ("SERIAL", &["SERIAL", "SERIALNUMBER", "SERIALNO", "SER", "SN"]),
    ("QTY", &["QTY", "QUANTITY"]),
    ("CONDITION", &["CONDITION", "COND"]),
    ("LOCATION", &["LOCATION", "LOC"]),
    ("DESCRIPTION", &["DESCRIPTION", "DESC"]),
    ("BIN", &["BIN"]),
];

const INDEX_FIELDS: &[Field] = &[
    ("PartNumber", &["PARTNUMBER"]),
    ("TableName", &["TABLENAME"]),
    ("RowId", &["ROWID"]),
    ("Qty", &["QTY"]),
    ("SerialNumber", &["SERIALNUMBER"]),
    ("Condition", &["CONDITION"]),
    ("Location", &["LOCATION"]),
    ("Description", &["DESCRIPTION"]),
    ("LastSeen", &["LASTSEEN"]),
];

const SHOP_FIELDS: &[Field] = &[
    ("Customer", &["CUSTOMER"]),
    ("Business_Name", &["BUSINESSNAME"]),
    ("Address_Line_1", &["ADDRESSLINE1"]),
    ("Address_Line_2", &["ADDRESSLINE2"]),
    ("Address_Line_3", &["ADDRESSLINE3"]),
    ("Address_Line_4", &["ADDRESSLINE4"]),
    ("City", &["CITY"]),
    ("State", &["STATE"]),
    ("ZIP", &["ZIP"]),
    ("Country", &["COUNTRY"]),
    ("Phone", &["PHONE"]),
    ("Toll_Free", &["TOLLFREE"]),
    ("Fax", &["FAX"]),
    ("Email", &["EMAIL"]),
    ("Website", &["WEBSITE"]),
    ("Contact", &["CONTACT"]),
    ("Payment_Terms", &["PAYMENTTERMS"]),
    ("ILS_Code", &["ILSCODE"]),
    ("Last_Sale_Date", &["LASTSALEDATE"]),
    ("YTD_Sales", &["YTDSALES"]),
];

const AI_LOG_FIELDS: &[Field] = &[
    ("conversation_id", &["CONVERSATIONID"]),
    ("timestamp", &["TIMESTAMP"]),
    ("date", &["DATE"]),
    ("user", &["USER"]),
    ("user_message", &["USERMESSAGE"]),
    ("ai_response", &["AIRESPONSE"]),
    ("context_ro_count", &["CONTEXT", "CONTEXTROCOUNT"]),
    ("model", &["MODEL"]),
    ("duration_ms", &["DURATIONMS", "DURATION"]),
    ("success", &["SUCCESS"]),
    ("error", &["ERROR"]),
];

const LEDGER_FIELDS: &[Field] = &[
    ("Timestamp", &["TIMESTAMP"]),
    ("Action", &["ACTION"]),
    ("PartNumber", &["PARTNUMBER"]),
    ("DeltaQty", &["DELTAQTY"]),
    ("NewQty", &["NEWQTY"]),
    ("RONumber", &["RONUMBER"]),
    ("Note", &["NOTE", "NOTES"]),
];

/// The names of the live tables of parts, where they differ from ours.
const LIVE_PART_TABLES: [(&str, Table); 9] = [
    ("stock_room_actual", Table::StockRoom),
    ("bins_inventory_actual", Table::BinsInventory),
    ("pn_no_reparadas_727", Table::Parts727),
    ("pn_no_reparadas_md82", Table::Md82Parts),
    ("b_e_r_r_a_i", Table::BerRai),
    ("partes_ar_asia", Table::AsiaArParts),
    ("partes_ar_asia_sanford", Table::AsiaArSanfordParts),
    ("partes_bolivia", Table::BoliviaPart),
    ("delta_apa", Table::DeltaApa),
];

impl Content {
    /// The [`kind`](Self::kind) of orders.
    pub(super) const ORDERS: &'static str = "orders";

    /// Returns the content of the table with that name, if a table of that name is understood.
    pub(super) fn of_table(name: &str) -> Option<Self> {
        let name = name.to_lowercase();
        if let Some(archive) = ArchiveStatus::ALL.into_iter().find(|archive| archive.table() == name) {
            return Some(Self::Orders(archive));
        }
        if let Some(table) = part_table(&name) {
            return Some(Self::Parts(table));
        }
        match name.as_str() {
            "inventoryindex" => Some(Self::PartIndex),
            "shops" => Some(Self::Shops),
            "logs" | "ai_conversation_logs" => Some(Self::AiLog),
            "transactions" => Some(Self::Ledger),
            _ => None,
        }
    }

    fn fields(self) -> &'static [Field] {
        match self {
            Self::Orders(_) => ORDER_FIELDS,
            Self::Parts(_) => PART_FIELDS,
            Self::PartIndex => INDEX_FIELDS,
            Self::Shops => SHOP_FIELDS,
            Self::AiLog => AI_LOG_FIELDS,
            Self::Ledger => LEDGER_FIELDS,
        }
    }

    /// Returns whether a table with this content never has the field.
    fn has_no_column_for(self, field: &str) -> bool {
        matches!(self, Self::Parts(table) if table != Table::BinsInventory && field == "BIN")
    }

    /// The field that a table must have to be understood.
    fn required_field(self) -> &'static str {
        match self {
            Self::Orders(_) => "RO",
            Self::Parts(_) => "PN",
            Self::PartIndex => "RowId",
            Self::Shops => "Business_Name",
            Self::AiLog => "user_message",
            Self::Ledger => "PartNumber",
        }
    }

    /// The fields whose sums are compared with the source's.
    pub(super) fn summed_fields(self) -> &'static [&'static str] {
        match self {
            Self::Orders(_) => &["ESTIMATED_COST", "FINAL_COST"],
            Self::Parts(_) => &["QTY"],
            Self::PartIndex => &["Qty"],
            Self::Shops => &["YTD_Sales"],
            Self::AiLog => &[],
            Self::Ledger => &["DeltaQty"],
        }
    }

    /// The name under which `import_rows` keeps rows that are known by one key. An order that a person moved to another table
    /// of the source is still the same order, so the four tables are one kind.
    pub(super) fn kind(self) -> &'static str {
        match self {
            Self::Orders(_) => Self::ORDERS,
            Self::Parts(table) => table.name(),
            Self::PartIndex => "inventoryindex",
            Self::Shops => "shops",
            Self::AiLog => "ai_log",
            Self::Ledger => "transactions",
        }
    }
}

/// Returns the table of parts that a source calls `name`, which must be in lower case.
pub(super) fn part_table(name: &str) -> Option<Table> {
    let live = LIVE_PART_TABLES.into_iter().find(|(live, _)| *live == name).map(|(_, table)| table);
    live.or_else(|| Table::from_index_name(name))
}

/// Returns a heading in the form in which [`Field`] has it.
pub(super) fn heading(text: &str) -> String {
    text.chars().filter(char::is_ascii_alphanumeric).map(|character| character.to_ascii_uppercase()).collect()
}

/// Columns that the script which loaded the sheets added to every table.
fn is_loader_column(column: &str) -> bool {
    column.eq_ignore_ascii_case("created_at")
}

/// The columns of a table, by field.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    pub(super) content: Content,
    columns: Vec<(&'static str, usize)>,
    /// The positions of the columns that no field takes.
    pub(super) unmapped_columns: Vec<usize>,
}

impl Layout {
    /// Finds out what `table` holds. Returns `None` if it is not understood.
    pub(super) fn of(table: &SourceTable) -> Option<Self> {
        let content = Content::of_table(&table.name)?;
        let mut columns = Vec::new();
        for (field, headings) in content.fields() {
            let of_heading = |wanted: &&str| table.columns.iter().position(|column| heading(&column.name) == **wanted);
            if let Some(position) = headings.iter().find_map(of_heading)
                && !content.has_no_column_for(field)
            {
                columns.push((*field, position));
            }
        }
        // A table with one column is a list of part numbers. Its heading is the title of the sheet.
        let described: Vec<usize> =
            (0..table.columns.len()).filter(|position| !is_loader_column(&table.columns[*position].name)).collect();
        if let (Content::Parts(_), [only]) = (content, described.as_slice()) {
            columns = vec![("PN", *only)];
        }
        if !columns.iter().any(|(field, _)| *field == content.required_field()) {
            return None;
        }
        let taken: Vec<usize> = columns.iter().map(|(_, position)| *position).collect();
        let unmapped_columns = (0..table.columns.len()).filter(|position| !taken.contains(position)).collect();
        Some(Self { content, columns, unmapped_columns })
    }

    /// Returns the value of a field; NULL if the table has no such column.
    pub(super) fn value<'row>(&self, row: &'row SourceRow, field: &str) -> &'row Value {
        debug_assert!(self.content.fields().iter().any(|(name, _)| *name == field), "{field} is no field");
        self.position(field).and_then(|position| row.values.get(position)).unwrap_or(&Value::Null)
    }

    /// Returns the position of the column that has the field.
    pub(super) fn position(&self, field: &str) -> Option<usize> {
        self.columns.iter().find(|(name, _)| *name == field).map(|(_, position)| *position)
    }

    /// Returns whether the row says nothing: all its columns are blank, apart from those that scripts fill in by themselves.
    pub(super) fn is_blank(&self, table: &SourceTable, row: &SourceRow) -> bool {
        let mut columns = table.columns.iter().zip(&row.values);
        columns.all(|(column, value)| {
            let is_filled_by_scripts = is_loader_column(&column.name) || column.name.starts_with("erp_");
            is_filled_by_scripts || matches!(read_text(value), Reading::Blank)
        })
    }

    /// Returns whether the row repeats the headings: its essential field has one of the headings of that field as its value.
    pub(super) fn is_heading(&self, row: &SourceRow) -> bool {
        let essential = self.content.required_field();
        let Value::Text(text) = self.value(row, essential) else { return false };
        let found = heading(text);
        let headings = self.content.fields().iter().find(|(field, _)| *field == essential);
        headings.is_some_and(|(_, headings)| headings.contains(&found.as_str()))
    }

    /// Returns the values by which the row is compared with an earlier version of itself: all but those of the loading script.
    pub(super) fn compared<'row>(&self, table: &SourceTable, row: &'row SourceRow) -> Vec<&'row Value> {
        let columns = table.columns.iter().zip(&row.values);
        columns.filter(|(column, _)| !is_loader_column(&column.name)).map(|(_, value)| value).collect()
    }
}
