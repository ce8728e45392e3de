//! Rot in danger: a bit of a record flips in a worker's memory while other faults happen, so the other members may be slow, away or
//! about to return. Where the bad copy is all that is left, the leader calls for a person, and here one comes and restarts it from its
//! log, which is intact. So only workers with such a log are struck: of one without it, what is left may be all that there was.

use skein_protocol::id::{NodeId, ViewNumber};
use skein_protocol::membership::view::Standing;
use skein_protocol::operation::Key;

use super::faults::Sight;
use super::node::Slot;
use super::queue::{MS, SECOND, Time};
use super::world::{Event, World};

/// A person needs so long to read what the leader says.
const PERSON_AFTER: (Time, Time) = (500 * MS, 5 * SECOND);

impl World {
    /// A record of a member rots in its memory.
    pub(super) fn rot_in_danger(&mut self, worker: Slot) -> bool {
        let member = self.nodes[worker].worker().filter(|it| it.standing() == Some(Standing::Member));
        let keys: Vec<Key> = member.map(|it| it.records().keys().cloned().collect()).unwrap_or_default();
        if self.rotten.is_some() || keys.is_empty() || !self.keeps(worker) {
            return false;
        }
        let key = &keys[self.random.index(keys.len())];
        self.say(worker, "fault", "", || format!("{key:?} rots in its memory"));
        self.nodes[worker].worker_mut().map(|it| it.corrupt(key, false));
        self.rotted.insert(self.nodes[worker].id);
        self.rotten = Some(worker);
        true
    }

    /// All that this worker had in its memory is gone. Whether a record of it had rotted in danger.
    pub(super) fn forget_rot(&mut self, worker: Slot) -> bool {
        let had = self.rotten == Some(worker) && self.rots_in_danger();
        if had {
            self.rotten = None;
        }
        had
    }

    /// Whether a record that rotted in danger is still there.
    pub(super) fn rots_in_danger(&self) -> bool {
        self.rotten.is_some_and(|rotten| self.rotted.contains(&self.nodes[rotten].id))
    }

    /// Whether a record of this worker has rotted, so that it may be distrusted.
    pub(super) fn has_rotted(&self, node: NodeId) -> bool {
        self.rotted.contains(&node) || self.rotten.is_some_and(|rotten| self.nodes[rotten].id == node)
    }

    /// The leader says that no worker can start over in this view, since no member's copy is trusted: a person will look at it.
    pub(super) fn call_person(&mut self, view: ViewNumber) {
        let wait = self.random.between(PERSON_AFTER.0, PERSON_AFTER.1);
        self.queue.push(self.now + wait, Event::PersonLooks(view));
    }

    /// A member whose copy is bad is started again from its log, which is intact. As long as the view stands the person looks again: it
    /// is said once.
    pub(crate) fn person_looks(&mut self, view: ViewNumber) {
        match self.rotten.filter(|worker| self.rots_in_danger() && self.nodes[*worker].is_up()) {
            Some(worker) => {
                self.say(worker, "fault", "", || "a person starts it again".into());
                self.crash(worker);
                self.start(worker);
                self.coverage.saw(Sight::RottenRestarted);
            }
            None if self.ledger.views.last().is_some_and(|active| active.view.number == view) => self.call_person(view),
            None => {}
        }
    }
}
