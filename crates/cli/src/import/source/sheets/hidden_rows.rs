//! The rows of a sheet that are hidden, for example by a filter, and its merged cells.

use super::protocol::Area;

/// What `calamine` does not tell about a sheet.
#[derive(Default)]
pub(super) struct HiddenAndMerged {
    pub(super) hidden_rows: HiddenRows,
    pub(super) merged_cells: Vec<Area>,
}

/// Blocks of hidden rows, of which sheets have few.
#[derive(Default)]
pub(super) struct HiddenRows {
    /// The numbers of the first and the last row of each block, in ascending order.
    blocks: Vec<(u32, u32)>,
    /// The first block that does not end before the row that was asked for last.
    next: usize,
}

impl HiddenRows {
    pub(super) fn push(&mut self, first: u32, last: u32) {
        match self.blocks.last_mut() {
            Some((_, before)) if before.checked_add(1) == Some(first) => *before = last,
            _ => self.blocks.push((first, last)),
        }
    }

    /// Returns whether a row is hidden. The numbers must ascend from call to call.
    pub(super) fn contain(&mut self, row: u32) -> bool {
        while self.blocks.get(self.next).is_some_and(|(_, last)| *last < row) {
            self.next += 1;
        }
        self.blocks.get(self.next).is_some_and(|(first, _)| *first <= row)
    }
}
