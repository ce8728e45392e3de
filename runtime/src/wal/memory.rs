//! A log without a disk: it keeps what its records add up to in memory, and outlives the driver that wrote it, so that
//! a test can stop a worker and start it again from what was synced. A worker that runs without a data directory has no log
//! at all: its driver counts records as persisted at once, which costs nothing.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use skein_protocol::id::NodeId;
use skein_protocol::record::{Record, Snapshot};

use super::{Opened, Recovery, Salvage, Wal};
use crate::disk::DiskError;

/// What a memory log has taken in; clones share it.
#[derive(Clone, Debug)]
pub struct Memory {
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    /// What all synced records add up to.
    synced: Snapshot,
    /// Appended and not synced yet.
    tail: Vec<Record>,
    /// Whether it was closed in order.
    clean: bool,
}

impl Memory {
    /// An empty log with a new identity.
    #[must_use]
    pub fn new() -> Self {
        let synced = Snapshot::new(NodeId(uuid::Uuid::new_v4().as_u128()));
        Memory { state: Arc::new(Mutex::new(State { synced, tail: Vec::new(), clean: false })) }
    }

    /// Opens the log as after a crash: what was not synced is gone.
    #[must_use]
    pub fn open(&self) -> Opened {
        self.open_with(Salvage::default())
    }

    /// The same, where a person may have decided to go back to the copy that a learner keeps.
    #[must_use]
    pub fn open_with(&self, salvage: Salvage) -> Opened {
        let mut state = self.state.lock().expect("no holder of this lock panics");
        state.tail.clear();
        let mut gone_back = None;
        if salvage.accept_incomplete {
            gone_back = state.synced.go_back();
            state.synced.salvaged = true;
        }
        let keeps = state.synced.kept.as_ref().map(|kept| kept.view);
        let snapshot = Snapshot { kept: None, ..state.synced.clone() };
        let mut recovery = Recovery { gone_back, keeps, ..Recovery::of(&snapshot, Duration::ZERO) };
        recovery.clean = std::mem::take(&mut state.clean);
        recovery.accepted = salvage.accept_incomplete;
        Opened { engine: Box::new(self.clone()), snapshot, recovery }
    }

    /// A log of its own with all that this one has synced.
    #[cfg(test)]
    fn fork(&self) -> Memory {
        let state = self.state.lock().expect("no holder of this lock panics");
        Memory { state: Arc::new(Mutex::new(State { synced: state.synced.clone(), tail: Vec::new(), clean: false })) }
    }
}

impl Default for Memory {
    fn default() -> Self {
        Memory::new()
    }
}

/// The start of a worker without a log: a new identity and an empty store. There is no engine; give the driver none.
#[must_use]
pub fn empty() -> Snapshot {
    Snapshot::new(NodeId(uuid::Uuid::new_v4().as_u128()))
}

impl Wal for Memory {
    fn append(&mut self, records: &[Record]) -> Result<u64, DiskError> {
        let mut state = self.state.lock().expect("no holder of this lock panics");
        state.tail.extend_from_slice(records);
        Ok(0)
    }

    fn sync(&mut self) -> Result<(), DiskError> {
        let mut state = self.state.lock().expect("no holder of this lock panics");
        let State { synced, tail, .. } = &mut *state;
        tail.drain(..).for_each(|record| synced.fold(&record));
        Ok(())
    }

    fn close(&mut self) -> Result<(), DiskError> {
        self.sync()?;
        self.state.lock().expect("no holder of this lock panics").clean = true;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::conformance::{self, ACCEPT};
    use super::*;

    #[test]
    fn it_conforms() {
        let log = Memory::new();
        conformance::suite(|| log.open());
        assert_ne!(conformance::identity(|| log.open()), Memory::new().open().snapshot.node);
    }

    #[test]
    fn it_keeps_what_a_member_held() {
        let log = Memory::new();
        conformance::keeps_what_a_member_held(|| log.open(), || log.fork().open_with(ACCEPT));
    }
}
