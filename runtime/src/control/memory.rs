//! A control store that lives as long as its process, for a coordinator without a data directory. Clones share what they
//! hold, so that a test can start a second coordinator against the store of the first.

use std::sync::{Arc, Mutex};

use skein_protocol::id::Incarnation;
use skein_protocol::membership::view::ViewRecord;
use skein_protocol::step::Swapped;

use super::Control;
use crate::disk::DiskError;

/// The store.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    record: Option<ViewRecord>,
    incarnation: Incarnation,
}

impl Memory {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Memory::default()
    }
}

impl Control for Memory {
    fn load(&mut self) -> Result<Option<ViewRecord>, DiskError> {
        Ok(self.state.lock().expect("no holder of this lock panics").record.clone())
    }

    fn swap(&mut self, expected: Option<&ViewRecord>, record: &ViewRecord) -> Result<Swapped, DiskError> {
        let mut state = self.state.lock().expect("no holder of this lock panics");
        if state.record.as_ref() != expected {
            return Ok(Swapped::Current(state.record.clone()));
        }
        state.record = Some(record.clone());
        Ok(Swapped::Done)
    }

    fn next_incarnation(&mut self) -> Result<Incarnation, DiskError> {
        let mut state = self.state.lock().expect("no holder of this lock panics");
        state.incarnation = Incarnation(state.incarnation.0 + 1);
        Ok(state.incarnation)
    }
}
