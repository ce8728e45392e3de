//! A trial: a member dies and is back with its disk as it was a while ago in the same view, as after a disk that lies about its syncs, or
//! a virtual machine that is put back. Often the others are away at that moment, so that nothing would be there but what it holds. It
//! must never count, neither alone nor beside them, and no other worker may be accused of the same. In some runs the coordinator dies as
//! well, so that only what another member reports shows the loss, and that member dies as soon as it has reported.

use skein_protocol::id::{NodeId, TxnId};
use skein_protocol::message::Outcome;
use skein_protocol::record::Decided;
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

/// Within this a new coordinator has heard from all members what they hold.
const REPORTED_WITHIN: Time = 3 * SECOND;

/// How long the others are away, if they are: up to longer than they are waited for.
const AWAY_MIN: Time = 100 * MS;
const AWAY_MAX: Time = 12 * SECOND;

/// For longer than anybody is waited for.
const LONG_AWAY_MIN: Time = 7 * SECOND;

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
        if !self.plan.witness_dies && self.random.chance(700) {
            // Nothing runs, so only what has ended shows that something is missing.
            let calls_max = std::mem::take(&mut self.calls_max);
            let in_flight =
                |world: &World| world.nodes[world.leader()].coordinator().map_or(0, |leader| leader.status().in_flight);
            self.until(self.now + ANSWER_MAX, |world| world.calls_under_way() == 0 && in_flight(world) == 0);
            self.calls_max = calls_max;
        }
        if self.plan.witness_dies {
            self.until(self.now + ANSWER_MAX, |world| world.has_witness(slot, &before));
        }
        let is_seen = !self.plan.witness_dies || self.has_witness(slot, &before);
        if self.view_number() != view || !self.is_steady() || !written(self) || !is_seen {
            return self.recover();
        }
        self.say(slot, "fault", "", || "its disk is put back within the view".into());
        self.crash(slot);
        self.astray.insert(slot, false);
        self.nodes[slot].disk = Some(before);
        if self.plan.witness_dies {
            self.witness_dies(slot);
            return self.recover();
        }
        if self.random.chance(600) {
            self.others_leave(slot, AWAY_MIN);
        }
        let wait = self.random.magnitude(MS, 2 * SECOND);
        self.queue.push(self.now + wait, Event::Restart(slot, self.nodes[slot].life));
        self.recover()
    }

    /// All members but this one die, and are back after a while.
    fn others_leave(&mut self, slot: Slot, least: Time) {
        for other in self.members().into_iter().filter(|other| *other != slot && self.keeps(*other)).collect::<Vec<_>>() {
            self.crash(other);
            let away = self.random.magnitude(least, AWAY_MAX);
            self.queue.push(self.now + away, Event::Restart(other, self.nodes[other].life));
        }
    }

    /// Whether another member still knows something to be committed of which nothing was on this disk. Without that, another coordinator
    /// can't know that the disk was put back.
    fn has_witness(&self, slot: Slot, before: &Disk) -> bool {
        let lacks = |(txn, decided): (&TxnId, &Decided)| decided.outcome == Outcome::Committed && !before.knows(*txn);
        let others = self.members().into_iter().filter(|other| *other != slot);
        others.filter_map(|other| self.nodes[other].worker()).any(|worker| worker.decided().iter().any(lacks))
    }

    /// A new coordinator hears from the others what this one lacks. Then they die, and it connects again.
    fn witness_dies(&mut self, slot: Slot) {
        let (leader, node) = (self.leader(), self.nodes[slot].id);
        self.crash(leader);
        self.start(slot);
        self.start(leader);
        self.accused = None;
        self.until(self.now + REPORTED_WITHIN, |world| world.accused == Some(node));
        if self.accused == Some(node) {
            self.coverage.saw(Sight::WitnessDied);
            self.others_leave(slot, LONG_AWAY_MIN);
            if let Some(connection) = self.network.link(leader, slot).connection {
                self.sever(connection, None);
            }
        }
    }

    /// The leader says that this member's log was put back.
    pub(super) fn accused(&mut self, node: NodeId) {
        self.accused = Some(node);
        let slot = self.workers().find(|slot| self.nodes[*slot].id == node);
        if slot.is_some_and(|slot| self.astray.contains_key(&slot)) {
            self.coverage.saw(Sight::RollBackSeen);
        } else if self.plan.trial != Some(Trial::PutBack) && !self.plan.second_leader {
            // A worker that follows another leader is spoken of in the same words.
            self.violate(Violation::new("views", format!("{node:?} is said to be put back, and holds all that it had synced")));
        }
    }
}
