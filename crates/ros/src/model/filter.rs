//! The orders that a list has, and their order.

use app_core::values::{Day, NormalizedText, Text, significant_characters};
use serde::{Deserialize, Serialize};
use sqlx::FromRow;

use super::{ArchiveStatus, StatusClass, StatusText, find_named};

/// The orders that a list has. A filter that is `None` excludes none.
#[derive(Clone, Debug)]
pub struct OrderFilter {
    pub archive: ArchiveSelection,
    /// A text that a number, a name or the description of the order contains.
    pub text: Option<SearchText>,
    pub status: Option<StatusText>,
    pub status_class: Option<StatusClass>,
    /// The name of the shop, as [`significant_characters`] of it.
    pub shop: Option<String>,
    /// Whether the next update date has passed.
    pub is_overdue: Option<bool>,
    /// The day before which the next update date is.
    pub due_before: Option<Day>,
}

impl OrderFilter {
    /// Returns the filter that only looks at the archive status.
    pub fn of_archive(archive: ArchiveSelection) -> Self {
        Self { archive, text: None, status: None, status_class: None, shop: None, is_overdue: None, due_before: None }
    }

    /// Returns whether `status` is one of those that the filter asks for. Other parts of the filter are up to the database.
    pub fn has_status(&self, status: &str) -> bool {
        self.status.as_ref().is_none_or(|text| text.is_same(status))
            && self.status_class.is_none_or(|class| StatusClass::of(status) == Some(class))
    }

    /// Returns whether the filter asks for a status.
    pub fn depends_on_status(&self) -> bool {
        self.status.is_some() || self.status_class.is_some()
    }
}

/// The archive statuses of the orders in a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArchiveSelection {
    One(ArchiveStatus),
    All,
}

impl ArchiveSelection {
    const NAMES: [&str; 5] = ["ACTIVE", "PAID", "NET", "RETURNED", "ALL"];

    /// Reads the name of an archive status, or `ALL`.
    ///
    /// # Errors
    /// The problem, as the rest of a sentence that begins with the parameter's name.
    pub fn parse(name: &str) -> Result<Self, String> {
        let name = find_named(Self::NAMES, |name| name, name)?;
        Ok(ArchiveStatus::parse(name).map_or(Self::All, Self::One))
    }

    /// Returns the archive statuses.
    pub fn statuses(self) -> Vec<ArchiveStatus> {
        match self {
            Self::One(archive) => vec![archive],
            Self::All => ArchiveStatus::ALL.to_vec(),
        }
    }
}

app_core::described_as_one_of!(ArchiveSelection, "ArchiveSelection", ArchiveSelection::NAMES);

/// A text that people look for in orders. They copy it from sheets and mails, where it has other blanks and dashes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SearchText {
    typed: String,
    /// In the form of a [`RoNumber`](super::RoNumber).
    normalized: String,
    /// The part number: see [`significant_characters`].
    compact: String,
}

impl SearchText {
    /// Reads a text of at most 255 characters. One in which nothing can be seen is `None`.
    ///
    /// # Errors
    /// The problem, as the rest of a sentence that begins with the parameter's name.
    pub fn parse(text: &str) -> Result<Option<Self>, String> {
        let text = Text::<255>::parse(text.to_owned())?;
        let compact: String = significant_characters(&text).collect();
        if compact.is_empty() {
            return Ok(None);
        }
        // NFC makes a text at most three times as long.
        let normalized = NormalizedText::<765>::parse(&text)?.into_inner();
        Ok(Some(Self { typed: text.trim().to_owned(), normalized, compact }))
    }

    /// Returns the spellings that a column may contain: as it was typed, and with plain blanks and dashes.
    pub fn spellings(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&*self.typed).chain(Some(&*self.normalized).filter(|normalized| *normalized != self.typed))
    }

    /// Returns the text as a part of the key of an order's number, apart from its case.
    pub fn in_ro_number(&self) -> &str {
        &self.normalized
    }

    /// Returns the text as a part of the key of a part number, apart from its case.
    pub fn in_part_number(&self) -> &str {
        &self.compact
    }
}

/// The order of a list. Orders without a value of the field are last in both directions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OrderSort {
    pub field: SortField,
    pub direction: SortDirection,
}

/// The place of an order in a list: the values by which an [`OrderSort`] sorts it, as the database writes them, since other programs
/// may have left zero dates.
#[derive(Clone, Debug, PartialEq, Eq, FromRow, Serialize, Deserialize)]
pub struct OrderPlace {
    /// The value of the field.
    pub place_value: Option<String>,
    /// The date on which the order was made, if it counts.
    pub place_date_made: Option<String>,
    pub place_id: i64,
}

/// A field by which a list can be sorted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SortField {
    #[default]
    NextDateToUpdate,
    DateMade,
    RoNumber,
    ShopName,
    EstimatedCost,
    CurrentStatus,
    Id,
}

impl SortField {
    const ALL: [Self; 7] = [
        Self::NextDateToUpdate,
        Self::DateMade,
        Self::RoNumber,
        Self::ShopName,
        Self::EstimatedCost,
        Self::CurrentStatus,
        Self::Id,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::NextDateToUpdate => "nextDateToUpdate",
            Self::DateMade => "dateMade",
            Self::RoNumber => "roNumber",
            Self::ShopName => "shopName",
            Self::EstimatedCost => "estimatedCost",
            Self::CurrentStatus => "currentStatus",
            Self::Id => "id",
        }
    }

    /// Returns the name of the column.
    pub fn column(self) -> &'static str {
        match self {
            Self::NextDateToUpdate => "NEXT_DATE_TO_UPDATE",
            Self::DateMade => "DATE_MADE",
            Self::RoNumber => "RO",
            Self::ShopName => "SHOP_NAME",
            Self::EstimatedCost => "ESTIMATED_COST",
            Self::CurrentStatus => "CURENT_STATUS",
            Self::Id => "id",
        }
    }

    /// Reads the name of a field.
    ///
    /// # Errors
    /// The problem, as the rest of a sentence that begins with the parameter's name.
    pub fn parse(name: &str) -> Result<Self, String> {
        find_named(Self::ALL, Self::name, name)
    }
}

app_core::described_as_one_of!(SortField, "OrderSortField", SortField::ALL.map(SortField::name));

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SortDirection {
    #[default]
    Ascending,
    Descending,
}

impl SortDirection {
    const ALL: [Self; 2] = [Self::Ascending, Self::Descending];

    fn name(self) -> &'static str {
        match self {
            Self::Ascending => "asc",
            Self::Descending => "desc",
        }
    }

    /// Reads `asc` or `desc`.
    ///
    /// # Errors
    /// The problem, as the rest of a sentence that begins with the parameter's name.
    pub fn parse(name: &str) -> Result<Self, String> {
        find_named(Self::ALL, Self::name, name)
    }
}

app_core::described_as_one_of!(SortDirection, "SortDirection", SortDirection::ALL.map(SortDirection::name));
