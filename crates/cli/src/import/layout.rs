//! Which tables and columns of a source are understood, and what they hold.

use chrono::NaiveDate;
use inventory::model::Table;
use ros::model::ArchiveStatus;

use super::{
    convert::{Reading, read_text},
    mapping::{Mapping, TableMapping},
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
    ("DATE_DROPPED_OFF", &["DATEDROPPEDOFF", "DROPPEDOFF"]),
    ("ESTIMATED_COST", &["ESTIMATEDCOST", "ESTCOST"]),
    ("FINAL_COST", &["FINALCOST"]),
    ("TERMS", &["TERMS"]),
    ("SHOP_REF", &["SHOPREF", "SHOPREFERENCE", "SHOPREFERENCENUMBER"]),
    ("ESTIMATED_DELIVERY_DATE", &["ESTIMATEDDELIVERYDATE", "ESTIMATEDDELIVERY", "ESTDELIVERY"]),
    ("CURENT_STATUS", &["CURENTSTATUS", "CURRENTSTATUS"]),
    ("CURENT_STATUS_DATE", &["CURENTSTATUSDATE", "CURRENTSTATUSDATE", "STATUSDATE"]),
    ("GENTHRUST_STATUS", &["GENTHRUSTSTATUS"]),
    ("SHOP_STATUS", &["SHOPSTATUS"]),
    ("TRACKING_NUMBER_PICKING_UP", &["TRACKINGNUMBERPICKINGUP", "TRACKINGNUMBER"]),
    ("NOTES", &["NOTES"]),
    ("LAST_DATE_UPDATED", &["LASTDATEUPDATED", "LASTUPDATED"]),
    ("NEXT_DATE_TO_UPDATE", &["NEXTDATETOUPDATE", "NEXTUPDATE"]),
    (ARCHIVE_STATUS, &["ARCHIVESTATUS", "ARCHIVE"]),
];

/// The field of an order that says in which of our tables it belongs. Most sources have a table for each archive instead.
const ARCHIVE_STATUS: &str = "ARCHIVE_STATUS";

/// The columns A to U of the sheets of orders are the first fields of [`ORDER_FIELDS`], in this order.
const ORDER_SHEET_COLUMNS: usize = 21;

const PART_FIELDS: &[Field] = &[
    ("PN", &["PN", "PARTNUMBER", "PARTNO", "PART"]),
    ("SERIAL", &["SERIAL", "SERIALNUMBER", "SERIALNO", "SER", "SN"]),
    ("QTY", &["QTY", "QUANTITY"]),
    ("CONDITION", &["CONDITION", "COND"]),
    // Before the location, which is the bin where a table has no column for bins.
    ("BIN", &["BIN"]),
    ("LOCATION", &["LOCATION", "LOC"]),
    ("DESCRIPTION", &["DESCRIPTION", "DESC", "PARTDESCRIPTION"]),
];

/// Words by which the headings of sheets are known that are none of those above: `PART #`, `QTY ON HAND`. A heading need only contain
/// one of them. `P/N` and `S/N` are read as `PN` and `SN`.
const HEADING_WORDS: &[(&str, &[&str])] = &[
    ("PN", &["PART", "PN"]),
    ("SERIAL", &["SERIAL", "SER", "SN"]),
    ("QTY", &["QTY", "QUANTITY"]),
    ("CONDITION", &["CONDITION", "COND"]),
    ("LOCATION", &["LOCATION", "LOC", "BIN", "STOCK ROOM"]),
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

/// The names of the live tables of parts and of the sheets that they were loaded from, where they differ from ours.
const LIVE_PART_TABLES: [(&str, Table); 20] = [
    ("stock_room_actual", Table::StockRoom),
    ("bins_inventory_actual", Table::BinsInventory),
    ("pn_no_reparadas_727", Table::Parts727),
    ("pn_no_reparadas_md82", Table::Md82Parts),
    ("b_e_r_r_a_i", Table::BerRai),
    ("partes_ar_asia", Table::AsiaArParts),
    ("partes_ar_asia_sanford", Table::AsiaArSanfordParts),
    ("partes_bolivia", Table::BoliviaPart),
    ("delta_apa", Table::DeltaApa),
    ("StockRoomInventoryTable", Table::StockRoom),
    ("BinsInventoryTable", Table::BinsInventory),
    ("Inventory_727PartsTable", Table::Parts727),
    ("MD82PartsTable", Table::Md82Parts),
    ("TERRAInventoryTable", Table::Terra),
    ("BER_RAI_Table", Table::BerRai),
    ("ASIS_AR_PARTS_Table", Table::AsiaArParts),
    ("PARTS_AR_ASIA_SANFORD_Table", Table::AsiaArSanfordParts),
    ("BOLIVIA_PART_TABLE", Table::BoliviaPart),
    ("DELTA_APA_TABLE", Table::DeltaApa),
    ("APA_SANFORD_757_TABLE", Table::ApaSanfordAr757),
];

/// The names of the tables within the sheets of orders.
const ORDER_SHEET_TABLES: [(&str, ArchiveStatus); 4] = [
    ("Repairs", ArchiveStatus::Active),
    ("Approved_Paid", ArchiveStatus::Paid),
    ("Approved_Net", ArchiveStatus::Net),
    ("Approved_Cancel", ArchiveStatus::Returned),
];

impl Content {
    /// The [`kind`](Self::kind) of orders.
    pub(super) const ORDERS: &'static str = "orders";

    /// Returns the content of the table or sheet with that name, if a table of that name is understood. Only letters and digits
    /// count, in any case. The files of `rotracker export` have the date after the name.
    pub(super) fn of_table(name: &str) -> Option<Self> {
        let name = heading(without_date(name));
        let archives =
            ArchiveStatus::ALL.into_iter().map(|archive| (archive.table(), archive)).chain(ORDER_SHEET_TABLES);
        if let Some((_, archive)) = archives.into_iter().find(|(known, _)| heading(known) == name) {
            return Some(Self::Orders(archive));
        }
        if let Some(table) = part_table(&name) {
            return Some(Self::Parts(table));
        }
        match name.as_str() {
            // Our own exports name the archive of each order.
            "ORDERS" => Some(Self::Orders(ArchiveStatus::Active)),
            "INVENTORYINDEX" => Some(Self::PartIndex),
            "SHOPS" => Some(Self::Shops),
            "LOGS" | "AILOG" | "AICONVERSATIONLOGS" => Some(Self::AiLog),
            "TRANSACTIONS" => Some(Self::Ledger),
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

    /// Returns the names of all contents.
    pub(super) fn names() -> Vec<&'static str> {
        let archives = ArchiveStatus::ALL.into_iter().map(ArchiveStatus::table);
        let parts = Table::ALL.into_iter().map(Table::name);
        let others = [Self::PartIndex, Self::Shops, Self::AiLog, Self::Ledger].into_iter().map(Self::kind);
        archives.chain(parts).chain(others).collect()
    }

    /// Returns the names of the fields that a table with this content may have.
    pub(super) fn field_names(self) -> Vec<&'static str> {
        self.fields().iter().map(|(name, _)| *name).filter(|name| !self.has_no_column_for(name)).collect()
    }

    /// Returns whether a table with this content never has the field.
    fn has_no_column_for(self, field: &str) -> bool {
        matches!(self, Self::Parts(table) if table != Table::BinsInventory && field == "BIN")
    }

    /// The field that a table must have to be understood.
    pub(super) fn required_field(self) -> &'static str {
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

    /// The fields that are dates.
    pub(super) fn date_fields(self) -> &'static [&'static str] {
        match self {
            Self::Orders(_) => &[
                "DATE_MADE",
                "DATE_DROPPED_OFF",
                "ESTIMATED_DELIVERY_DATE",
                "CURENT_STATUS_DATE",
                "LAST_DATE_UPDATED",
                "NEXT_DATE_TO_UPDATE",
            ],
            Self::PartIndex => &["LastSeen"],
            Self::AiLog => &["timestamp", "date"],
            Self::Ledger => &["Timestamp"],
            Self::Parts(_) | Self::Shops => &[],
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

/// Returns the name without a date such as `-2026-11-28` at its end.
fn without_date(name: &str) -> &str {
    const LENGTH: usize = "-2026-11-28".len();
    let Some((start, date)) = name.len().checked_sub(LENGTH).and_then(|start| name.split_at_checked(start)) else {
        return name;
    };
    let is_date = date.strip_prefix('-').is_some_and(|date| date.parse::<NaiveDate>().is_ok());
    if is_date { start } else { name }
}

/// Returns the table of parts that a source calls `name`.
pub(super) fn part_table(name: &str) -> Option<Table> {
    let ours = Table::ALL.into_iter().map(|table| (table.name(), table));
    let mut names = LIVE_PART_TABLES.into_iter().chain(ours);
    names.find(|(known, _)| heading_characters(known).eq(heading_characters(name))).map(|(_, table)| table)
}

/// Returns a heading in the form in which [`Field`] has it.
pub(super) fn heading(text: &str) -> String {
    heading_characters(text).collect()
}

/// Returns the letters and digits of a heading, in capitals.
fn heading_characters(text: &str) -> impl Iterator<Item = char> {
    text.chars().filter(char::is_ascii_alphanumeric).map(|character| character.to_ascii_uppercase())
}

/// Returns the words of a heading in capitals, each with a blank before and after it.
fn words(text: &str) -> String {
    let text: String = text.chars().filter(|character| *character != '/').collect();
    let words = text.split(|character: char| !character.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.fold(" ".to_owned(), |words, word| words + &word.to_ascii_uppercase() + " ")
}

/// How well a heading fits a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fit {
    /// It is one of the field's headings.
    Exact,
    /// One of the field's words is a word of it.
    Word,
    /// A word of it begins with one of the field's words.
    BeginningOfWord,
}

/// Columns that the script which loaded the sheets added to every table.
pub(super) fn is_loader_column(column: &str) -> bool {
    column.eq_ignore_ascii_case("created_at")
}

/// The columns of a table, by field.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    pub(super) content: Content,
    columns: Vec<(&'static str, usize)>,
    /// The positions of the columns that no field takes.
    pub(super) unmapped_columns: Vec<usize>,
    /// The fields that a person has mapped.
    mapped: Vec<&'static str>,
    /// The fields that are known by a heading, and whether it is exactly one of theirs.
    pub(super) recognized_headings: Vec<(&'static str, bool)>,
    /// How columns were understood, where that is not plain from their headings. Sentences for the report.
    pub(super) remarks: Vec<String>,
}

/// Finds the columns of a table that hold the fields of its content.
struct ColumnSearch<'table> {
    table: &'table SourceTable,
    mapping: Option<&'table TableMapping>,
    fields: Vec<&'static Field>,
    columns: Vec<(&'static str, usize)>,
    remarks: Vec<String>,
    recognized_headings: Vec<(&'static str, bool)>,
}

impl<'table> ColumnSearch<'table> {
    fn new(table: &'table SourceTable, content: Content, mapping: Option<&'table TableMapping>) -> Self {
        let fields = content.fields().iter().filter(|(name, _)| !content.has_no_column_for(name)).collect();
        Self { table, mapping, fields, columns: Vec::new(), remarks: Vec::new(), recognized_headings: Vec::new() }
    }

    fn has(&self, field: &str) -> bool {
        self.columns.iter().any(|(mapped, _)| *mapped == field)
    }

    fn is_free(&self, position: usize) -> bool {
        let is_ignored = self.mapping.is_some_and(|mapping| mapping.ignores(self.name(position)));
        !is_ignored && !self.columns.iter().any(|(_, taken)| *taken == position)
    }

    fn name(&self, position: usize) -> &'table str {
        &self.table.columns[position].name
    }

    /// Takes the columns that a person has mapped.
    fn take_mapped_columns(&mut self) {
        for position in 0..self.table.columns.len() {
            let mapped = self.mapping.and_then(|mapping| mapping.field_of(self.name(position)));
            if let Some((field, _)) = self.fields.iter().find(|(field, _)| Some(*field) == mapped) {
                self.columns.push((*field, position));
                self.recognized_headings.push((*field, true));
            }
        }
    }

    /// Takes for each field the column whose heading fits best.
    fn take_columns_by_heading(&mut self) {
        for fit in [Fit::Exact, Fit::Word, Fit::BeginningOfWord] {
            for field in self.fields.clone() {
                if self.has(field.0) {
                    continue;
                }
                let free = (0..self.table.columns.len()).filter(|position| self.is_free(*position));
                let best = free.filter_map(|position| Some((rank(field, self.name(position), fit)?, position))).min();
                let Some((_, position)) = best else { continue };
                self.columns.push((field.0, position));
                self.recognized_headings.push((field.0, fit == Fit::Exact));
                if fit != Fit::Exact {
                    self.remarks.push(format!("the column {} is read as {}", self.name(position), field.0));
                }
            }
        }
    }

    /// Takes columns of a sheet of orders whose headings are not known, if most of the others stand where they usually do.
    fn take_columns_by_place(&mut self) {
        let fields = &ORDER_FIELDS[..ORDER_SHEET_COLUMNS.min(self.table.columns.len())];
        let in_place = fields.iter().enumerate().filter(|(place, field)| self.columns.contains(&(field.0, *place)));
        if in_place.count() * 2 <= ORDER_SHEET_COLUMNS {
            return;
        }
        let mut taken = Vec::new();
        for (place, (field, _)) in fields.iter().enumerate() {
            if !self.has(field) && self.is_free(place) {
                self.columns.push((field, place));
                taken.push(format!("{} as {field}", self.name(place)));
            }
        }
        if !taken.is_empty() {
            self.remarks.push(format!("columns that were read by their place: {}", taken.join(", ")));
        }
    }

    /// A table with one column is a list of part numbers. Its heading is the title of the sheet.
    fn take_only_column(&mut self) {
        let mut described = (0..self.table.columns.len()).filter(|position| !is_loader_column(self.name(*position)));
        if let (Some(only), None) = (described.next(), described.next()) {
            self.columns = vec![("PN", only)];
        }
    }

    fn unmapped_columns(&self) -> Vec<usize> {
        let is_unmapped = |position: &usize| !self.columns.iter().any(|(_, taken)| taken == position);
        (0..self.table.columns.len()).filter(is_unmapped).collect()
    }

    /// Names columns that fit a field, for which another column was chosen.
    fn name_second_choices(&mut self, unmapped_columns: &[usize]) {
        for position in unmapped_columns {
            let column = self.name(*position);
            let fits = |field: &&&Field| [Fit::Exact, Fit::Word].iter().any(|fit| rank(field, column, *fit).is_some());
            if let Some((field, _)) = self.fields.iter().find(fits)
                && let Some((_, used)) = self.columns.iter().find(|(mapped, _)| mapped == field)
            {
                let used = self.name(*used);
                self.remarks.push(format!("{column} is not used: {used} was chosen for {field}"));
            }
        }
    }
}

impl Layout {
    /// Finds out what `table` holds. Returns `None` if it is not understood.
    pub(super) fn of(table: &SourceTable, mapping: &Mapping) -> Option<Self> {
        let mapping = mapping.of_table(&table.name);
        let content = mapping.and_then(|mapping| mapping.content).or_else(|| Content::of_table(&table.name))?;
        let mut search = ColumnSearch::new(table, content, mapping);
        search.take_mapped_columns();
        let mapped = search.columns.iter().map(|(field, _)| *field).collect();
        search.take_columns_by_heading();
        match content {
            Content::Orders(_) => search.take_columns_by_place(),
            Content::Parts(_) => search.take_only_column(),
            _ => {}
        }
        if !search.has(content.required_field()) {
            return None;
        }
        let unmapped_columns = search.unmapped_columns();
        search.name_second_choices(&unmapped_columns);
        let ColumnSearch { columns, remarks, recognized_headings, .. } = search;
        Some(Self { content, columns, unmapped_columns, mapped, recognized_headings, remarks })
    }

    /// Returns the archive status of an order: that of the table, unless the row names another.
    ///
    /// # Errors
    /// When the row names no archive status.
    pub(super) fn archive_status(&self, row: &SourceRow, table: ArchiveStatus) -> Result<ArchiveStatus, String> {
        match read_text(self.value(row, ARCHIVE_STATUS)) {
            Reading::Same(name) | Reading::Corrected(name, _) => {
                let name = name.to_uppercase();
                let known = ArchiveStatus::ALL.into_iter().find(|known| known.name() == name);
                known.or_else(|| (name == "RETURNS").then_some(ArchiveStatus::Returned)).ok_or_else(|| {
                    format!("the archive status is {name}, which is none of ACTIVE, PAID, NET, RETURNED")
                })
            }
            Reading::Blank | Reading::Unreadable(_) => Ok(table),
        }
    }

    /// Returns the fields for which the table has no column.
    pub(super) fn missing_fields(&self) -> impl Iterator<Item = &'static str> {
        self.content.fields().iter().map(|(field, _)| *field).filter(|field| self.position(field).is_none())
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

    /// Returns whether the row adds up those above it, as the last row of a sheet may do.
    pub(super) fn is_total(&self, row: &SourceRow) -> bool {
        let Value::Text(text) = self.value(row, self.content.required_field()) else { return false };
        let words = words(text);
        matches!(self.content, Content::Orders(_) | Content::Parts(_))
            && [" TOTAL ", " TOTALS ", " SUBTOTAL ", " GRAND TOTAL "].iter().any(|total| words.starts_with(total))
    }

    /// Returns whether the row has nothing but a few words where a number should be: a note that a person has typed between the rows.
    pub(super) fn is_note(&self, row: &SourceRow) -> bool {
        let position = self.position(self.content.required_field());
        let mut others = row.values.iter().enumerate().filter(|(other, _)| Some(*other) != position);
        let has_other_values = others.any(|(_, value)| !value.is_null());
        let Value::Text(text) = self.value(row, self.content.required_field()) else { return false };
        let text = text.trim();
        let has_words =
            text.contains(char::is_whitespace) || !text.contains(|character: char| character.is_ascii_digit());
        matches!(self.content, Content::Orders(_) | Content::Parts(_))
            && row.values.len() > 1
            && !has_other_values
            && has_words
    }

    /// Returns the fields that a person has mapped, with their columns. Another mapping makes a row another one.
    pub(super) fn mapped_columns<'table>(&self, table: &'table SourceTable) -> Vec<(&'static str, &'table str)> {
        let is_mapped = |field: &str| self.mapped.contains(&field);
        let mapped = self.columns.iter().filter(|(field, _)| is_mapped(field));
        mapped.map(|(field, position)| (*field, table.columns[*position].name.as_str())).collect()
    }

    /// Returns the values by which the row is compared with an earlier version of itself: all but those of the loading script.
    pub(super) fn compared<'row>(&self, table: &SourceTable, row: &'row SourceRow) -> Vec<&'row Value> {
        let columns = table.columns.iter().zip(&row.values);
        columns.filter(|(column, _)| !is_loader_column(&column.name)).map(|(_, value)| value).collect()
    }
}

/// Returns the place of the matching heading or word in the field's list; a lower place fits better. `None` if nothing matches.
fn rank((name, headings): &Field, column: &str, fit: Fit) -> Option<usize> {
    if fit == Fit::Exact {
        let column = heading(column);
        return headings.iter().position(|heading| *heading == column);
    }
    let (_, known) = HEADING_WORDS.iter().find(|(field, _)| field == name)?;
    let words = words(column);
    known.iter().position(|word| match fit {
        Fit::Word => words.contains(&format!(" {word} ")),
        _ => words.contains(&format!(" {word}")),
    })
}
