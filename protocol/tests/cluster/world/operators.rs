//! What operators ask for, and what the coordinator says to them.

use skein_protocol::step::{Event, RosterChange};

use super::*;

/// What the coordinator has said to operators.
#[derive(Default)]
pub struct Said {
    /// Workers that were left out or not taken, and where they were reached.
    pub outsiders: Vec<(NodeId, String)>,
    /// The view that began empty.
    pub emptied: Option<ViewNumber>,
    /// How often: no worker can start over, since no copy is trusted.
    pub untrusted: usize,
    /// How often: a member's log was put back.
    pub rolled_back: usize,
}

impl Said {
    pub(super) fn take(&mut self, event: Event) {
        match event {
            Event::StartedEmpty { view } => self.emptied = Some(view),
            Event::NoDonor { .. } => self.untrusted += 1,
            Event::RolledBack { .. } => self.rolled_back += 1,
            Event::LeftOut { node, address } | Event::NotTaken { node, address, .. } => self.outsiders.push((node, address)),
            _ => {}
        }
    }
}

impl World {
    /// An operator asks for a worker to be added. Gives the number of the request.
    pub fn add_worker(&mut self, address: &str) -> u64 {
        self.ask(Request::Roster(RosterChange::Add(address.to_owned())))
    }

    /// An operator asks for a worker to be removed. Gives the number of the request.
    pub fn remove_worker(&mut self, address: &str) -> u64 {
        self.ask(Request::Roster(RosterChange::Remove(address.to_owned())))
    }
}
