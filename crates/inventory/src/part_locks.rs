//! Locks of parts in this process.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{Mutex, MutexGuard},
    time::timeout,
};

use crate::model::IndexId;

/// The number of locks.
const LOCKS: usize = 256;

/// The longest wait for a lock, as in the database.
const LONGEST_WAIT: Duration = Duration::from_secs(3);

/// Locks in this process, one for all parts whose ids have the same remainder. Clones share them.
///
/// A change of a part takes its lock before a connection to the database. The lock of the row in the database makes the changes of a
/// part run one after another anyway, in whatever process they are. But a change that waits there holds a connection, and many changes
/// of one part would hold all of them. On Lambda, with one request at a time, the lock is always free.
#[derive(Clone, Debug)]
pub struct PartLocks(Arc<[Mutex<()>; LOCKS]>);

impl PartLocks {
    /// Takes the lock of the part, until the result is dropped. `None` after 3 s: the change goes on, and waits for the lock of the row.
    pub async fn lock(&self, part: IndexId) -> Option<MutexGuard<'_, ()>> {
        let lock = part.0.unsigned_abs() % LOCKS as u64;
        timeout(LONGEST_WAIT, self.0[lock as usize].lock()).await.ok()
    }
}

impl Default for PartLocks {
    fn default() -> Self {
        Self(Arc::new([const { Mutex::const_new(()) }; LOCKS]))
    }
}
