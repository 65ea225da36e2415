//! Lets the changes of a part run one after another in this process.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{Mutex, MutexGuard},
    time::timeout,
};

use crate::model::IndexId;

/// The number of turns that are taken independently.
const COUNT: usize = 64;

/// The longest wait for a turn: that of the database for a lock.
const LONGEST_WAIT: Duration = Duration::from_secs(3);

/// The turns of the parts. Parts whose ids have the same remainder share one. Clones share all of them.
///
/// The database lets the changes of a part run one after another anyway, whichever process they come from. But each change that waits
/// there holds a connection, so that many changes of one part would stop all other requests.
#[derive(Clone, Debug)]
pub struct Turns(Arc<[Mutex<()>; COUNT]>);

impl Turns {
    /// Waits until no other change of the part runs in this process. The turn ends when the result is dropped. `None` after a wait of
    /// 3 s: the change may go on, and waits for its lock in the database.
    pub async fn wait(&self, part: IndexId) -> Option<MutexGuard<'_, ()>> {
        let turn = part.0.unsigned_abs() % COUNT as u64;
        timeout(LONGEST_WAIT, self.0[turn as usize].lock()).await.ok()
    }
}

impl Default for Turns {
    fn default() -> Self {
        Self(Arc::new([const { Mutex::const_new(()) }; COUNT]))
    }
}
