//! Cursors: a client that sends the cursor of one page gets the page after it.
//!
//! A page by offset skips rows by their number, which reads them all, and which is wrong if rows were inserted or deleted before
//! them meanwhile. A page by cursor begins after a place in the order of the list. So it reads no row before that, and a row whose
//! place stays the same is on exactly one page, whatever happens to other rows. A row whose place changes while a client reads the
//! pages may be on none of them, or on two.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Serialize, de::DeserializeOwned};
use sqlx::FromRow;

use super::ApiError;
use crate::Digest;

/// The bytes of a cursor before the place.
const DIGEST_BYTES: usize = 16;

/// A row of a list and its place there: the values of the columns by which the list is sorted, the id among them, so that no other
/// row has the same place.
#[derive(Clone, Debug, FromRow)]
pub struct Placed<T, P> {
    #[sqlx(flatten)]
    pub item: T,
    #[sqlx(flatten)]
    pub place: P,
}

/// Where a part of a list begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PageStart<P> {
    /// After this many items.
    Offset(i64),
    /// After the item at this place, whether it is still there or not.
    After(P),
}

impl<P> PageStart<P> {
    /// Returns the number of rows to skip, which is 0 after a place.
    pub fn offset(&self) -> i64 {
        match self {
            Self::Offset(offset) => *offset,
            Self::After(_) => 0,
        }
    }

    /// Returns the place after which the part begins.
    pub fn place(&self) -> Option<&P> {
        match self {
            Self::Offset(_) => None,
            Self::After(place) => Some(place),
        }
    }
}

/// Identifies a list to its cursors: its name, and everything that selects and sorts its rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListId(String);

impl ListId {
    /// Identifies the list `name` by the debug text of `selection`, which names every filter with its value.
    pub fn new(name: &str, selection: &impl std::fmt::Debug) -> Self {
        Self(format!("{name} {selection:?}"))
    }

    /// Writes the cursor of the row at `place`.
    ///
    /// # Errors
    /// When the place cannot be written as JSON, which would be a defect.
    pub fn cursor(&self, place: &impl Serialize) -> Result<String, ApiError> {
        let place = serde_json::to_vec(place).map_err(ApiError::internal)?;
        Ok(URL_SAFE_NO_PAD.encode([self.digest(&place).as_bytes(), &place].concat()))
    }

    /// Reads the place in a cursor of this list. The digest finds damage and cursors of other lists; it keeps no secret, and a cursor
    /// shows nothing that the list does not.
    ///
    /// # Errors
    /// The problem, as the rest of a sentence that begins with the parameter's name.
    pub fn place<P: DeserializeOwned>(&self, cursor: &str) -> Result<P, &'static str> {
        let place = URL_SAFE_NO_PAD.decode(cursor).ok().and_then(|bytes| {
            let (digest, place) = bytes.split_at_checked(DIGEST_BYTES)?;
            (digest == self.digest(place).as_bytes()).then(|| serde_json::from_slice(place).ok())?
        });
        place.ok_or("must be the cursor of another page of the same list, with the same filters and order")
    }

    fn digest(&self, place: &[u8]) -> Digest {
        Digest::of_bytes(&[self.0.as_bytes(), place])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_by_its_own_list_only() {
        let list = ListId::new("orders", &("ACTIVE", Some("x")));
        let place = (Some("2024-11-15".to_owned()), 7);
        let cursor = list.cursor(&place).unwrap();
        assert_eq!(list.place(&cursor), Ok(place));
        for other in [ListId::new("logs", &("ACTIVE", Some("x"))), ListId::new("orders", &("ACTIVE", Some("y")))] {
            assert!(other.place::<(Option<String>, i64)>(&cursor).is_err());
        }
    }

    #[test]
    fn no_damaged_cursor_is_read() {
        let list = ListId::new("orders", &());
        let cursor = list.cursor(&(1, "a")).unwrap();
        for index in 0..cursor.len() {
            let mut damaged = cursor.clone().into_bytes();
            damaged[index] = if damaged[index] == b'A' { b'B' } else { b'A' };
            assert!(list.place::<(i64, String)>(std::str::from_utf8(&damaged).unwrap()).is_err(), "{index}");
            assert!(list.place::<(i64, String)>(&cursor[..index]).is_err(), "{index}");
        }
        for text in ["", "x", "!", "é", "AAAAAAAAAAAAAAAAAAAAAAAAAA", &format!("{cursor}="), &format!("{cursor}A")] {
            assert!(list.place::<(i64, String)>(text).is_err(), "{text}");
        }
        assert!(list.place::<i64>(&cursor).is_err(), "a place of another kind");
    }
}
