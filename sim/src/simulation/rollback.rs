//! A trial: a member dies and is back with its disk as it was a while ago in the same view, as after a disk that lies about its syncs, or
//! a virtual machine that is put back. Often the others are away at that moment, so that nothing would be there but what it holds. It
//! must never count, neither alone nor beside them, and no other worker may be accused of the same.

use skein_protocol::id::NodeId;
use skein_protocol::step::Reply;

use super::checks::Violation;
use super::disk::Disk;
use super::faults::Sight;
use super::node::Slot;
use super::phases::ANSWER_MAX;
use super::queue::{MS, SECOND, Time};
use super::trial::Trial;
use super::world::{Event, World};

/// Writes that are acknowledged after the disk was kept.
const WRITTEN: usize = 3;

/// How long the others are away, if they are: up to longer than they are waited for.
const AWAY: (Time, Time) = (100 * MS, 12 * SECOND);

impl World {
    /// It loses what was acknowledged last; what clients were told must stay so, which the checks at the end of the run look at.
    pub(super) fn rolls_back(&mut self, slot: Slot) -> Result<(), Violation> {
        let Some(before) = self.nodes[slot].disk.as_ref().map(Disk::image) else { return Ok(()) };
        let (view, first) = (self.view_number(), self.oracle.calls.len());
        let written = |world: &World| {
            let committed = |reply: &Option<Reply>| matches!(reply, Some(Reply::Committed { .. }));
            world.oracle.calls[first..].iter().filter(|call| committed(&call.reply)).count() >= WRITTEN
        };
        self.until(self.now + ANSWER_MAX, written);
        if self.random.chance(700) {
            // Nothing runs, so only what has ended shows that something is missing.
            let calls_max = std::mem::take(&mut self.calls_max);
            let in_flight =
                |world: &World| world.nodes[world.leader()].coordinator().map_or(0, |leader| leader.status().in_flight);
            self.until(self.now + ANSWER_MAX, |world| world.calls_under_way() == 0 && in_flight(world) == 0);
            self.calls_max = calls_max;
        }
        if self.view_number() != view || !self.is_steady() || !written(self) {
            return self.recover();
        }
        self.say(slot, "fault", "", || "its disk is put back within the view".into());
        self.crash(slot);
        self.astray.insert(slot, false);
        self.nodes[slot].disk = Some(before);
        if self.random.chance(600) {
            for other in self.members().into_iter().filter(|other| *other != slot && self.keeps(*other)).collect::<Vec<_>>() {
                self.crash(other);
                let away = self.random.magnitude(AWAY.0, AWAY.1);
                self.queue.push(self.now + away, Event::Restart(other, self.nodes[other].life));
            }
        }
        let wait = self.random.magnitude(MS, 2 * SECOND);
        self.queue.push(self.now + wait, Event::Restart(slot, self.nodes[slot].life));
        self.recover()
    }

    /// The leader says that this member's log was put back.
    pub(super) fn accused(&mut self, node: NodeId) {
        let slot = self.workers().find(|slot| self.nodes[*slot].id == node);
        if slot.is_some_and(|slot| self.astray.contains_key(&slot)) {
            self.coverage.saw(Sight::RollBackSeen);
        } else if self.plan.trial != Some(Trial::PutBack) && !self.plan.second_leader {
            // A worker that follows another leader is spoken of in the same words.
            self.violate(Violation::new("views", format!("{node:?} is said to be put back, and holds all that it had synced")));
        }
    }
}
