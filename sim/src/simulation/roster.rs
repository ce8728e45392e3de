//! Changes of the workers while faults happen: a person removes a worker, and adds it again by the name of the settings or by
//! another one. Coordinators connect to those workers alone that they were told to (duty 8 of [`skein_protocol::step`]). What a
//! person was told holds: no view that is active from then on has a worker that was removed, whichever coordinator made it.

use std::collections::{BTreeMap, BTreeSet};

use skein_protocol::id::{NodeId, RequestId};
use skein_protocol::membership::view::{Member, ViewRecord};
use skein_protocol::step::{Reply, Request, RosterChange, RosterRefusal};

use super::checks::Violation;
use super::faults::{FaultKind, Sight};
use super::node::{Pending, Slot};
use super::queue::MS;
use super::world::{Event, World};

/// The first of the numbers of requests by which workers are changed.
const FIRST: u64 = 1 << 61;

/// A person removes the wrong worker within this.
const ERRS_WITHIN: u64 = 300 * MS;

/// Coordinators begin to connect within this.
const DIALED_WITHIN: u64 = 5 * MS;

/// Who coordinators connect to, and what people were told.
#[derive(Default)]
pub(crate) struct Roster {
    /// The addresses that each coordinator connects to; one that is not here connects to all.
    dialed: BTreeMap<Slot, Vec<String>>,
    /// How many changes were asked for.
    asked: u64,
    /// The one that is not answered yet.
    under_way: Option<Asked>,
    /// The addresses of which a person was told that no worker is there any more, and has not asked for one since.
    removed: BTreeSet<String>,
    /// How often a worker was added by another name.
    renamed: u32,
}

/// A change that a person has asked for.
struct Asked {
    id: RequestId,
    change: RosterChange,
    /// The members whose copies can be trusted, for all that is known, at that moment.
    sound: Vec<NodeId>,
}

impl World {
    /// A coordinator is to connect to these, and to no others.
    pub(super) fn dial_only(&mut self, slot: Slot, addresses: Vec<String>) {
        let before = self.roster.dialed.insert(slot, addresses);
        let life = self.nodes[slot].life;
        for worker in self.workers() {
            let address = &self.nodes[worker].address;
            let was_dialed = before.as_ref().is_none_or(|before| before.contains(address));
            match (was_dialed, self.may_dial(slot, worker)) {
                (false, true) => {
                    let wait = self.chance_afterwards.below(DIALED_WITHIN);
                    self.queue.push(self.now + wait, Event::Dial(slot, life, worker));
                }
                (true, false) => {
                    let connection = self.network.link(slot, worker).connection;
                    let is_its_own = |it: &usize| self.network.connections[*it].ends[0].life == life;
                    if let Some(connection) = connection.filter(is_its_own) {
                        self.queue.push(self.now, Event::Arrive(connection, 0, Pending::Closed(connection)));
                    }
                }
                _ => {}
            }
        }
    }

    /// Whether a coordinator connects to this worker.
    pub(super) fn may_dial(&self, coordinator: Slot, worker: Slot) -> bool {
        let address = &self.nodes[worker].address;
        self.roster.dialed.get(&coordinator).is_none_or(|dialed| dialed.contains(address))
    }

    /// A coordinator has died: its successor says whom it connects to.
    pub(super) fn forget_dialed(&mut self, coordinator: Slot) {
        self.roster.dialed.remove(&coordinator);
        if coordinator == self.leader() {
            // Whether it holds is not known.
            self.roster.under_way = None;
        }
    }

    /// A person changes the workers.
    pub(super) fn change_workers(&mut self) -> bool {
        let Some(wanted) = self.wanted_workers() else { return false };
        let workers: Vec<Slot> = self.workers().collect();
        let (gone, there): (Vec<Slot>, Vec<Slot>) =
            workers.into_iter().partition(|worker| !wanted.contains(&self.nodes[*worker].address));
        let chance = &mut self.chance_afterwards;
        if there.len() < 2 || !gone.is_empty() && chance.chance(700) {
            let place = chance.index(gone.len());
            return gone.get(place).is_some_and(|worker| self.add_worker(*worker));
        }
        let worker = there[chance.index(there.len())];
        self.ask_for(RosterChange::Remove(self.nodes[worker].address.clone()))
    }

    /// It is wanted again, perhaps by another name.
    fn add_worker(&mut self, worker: Slot) -> bool {
        let is_up = self.nodes[self.leader()].is_up() && self.roster.under_way.is_none();
        if is_up && self.chance_afterwards.chance(500) {
            self.roster.renamed += 1;
            let (name, number) = (&self.nodes[worker].name, self.roster.renamed);
            self.nodes[worker].address = format!("{name}+{number}");
        }
        let address = self.nodes[worker].address.clone();
        self.roster.removed.remove(&address);
        self.ask_for(RosterChange::Add(address))
    }

    fn ask_for(&mut self, change: RosterChange) -> bool {
        let leader = self.leader();
        if !self.nodes[leader].is_up() || self.roster.under_way.is_some() {
            return false;
        }
        let id = RequestId(FIRST + self.roster.asked);
        self.roster.asked += 1;
        self.say(leader, "roster", "", || format!("{change:?}"));
        let sound = self.sound_members();
        self.roster.under_way = Some(Asked { id, change: change.clone(), sound });
        self.request(leader, id, Request::Roster(change));
        true
    }

    /// Whether this answers a change of the workers.
    pub(super) fn roster_heard(&mut self, id: RequestId, reply: &Reply) -> bool {
        let Some(Asked { change, sound, .. }) = self.roster.under_way.take_if(|asked| asked.id == id) else {
            return (FIRST..FIRST << 1).contains(&id.0);
        };
        self.say(self.leader(), "roster", "", || format!("{reply:?}"));
        match (change, reply) {
            (RosterChange::Remove(address), Reply::Roster(workers)) => {
                if workers.contains(&address) {
                    self.violate(Violation::new("roster", format!("{address} was removed, and is wanted: {workers:?}")));
                }
                self.coverage.saw(Sight::WorkerRemoved);
                self.roster.removed.insert(address);
                if let Some(record) = self.control.record.clone() {
                    self.check_roster(&record);
                }
                if sound.iter().any(|node| !self.has_rotted(*node)) && self.sound_members().is_empty() {
                    self.violate(Violation::new("roster", "a worker was removed, and only copies that are not trusted are left"));
                }
            }
            (RosterChange::Add(address), Reply::Roster(workers)) => {
                if !workers.contains(&address) {
                    self.violate(Violation::new("roster", format!("{address} was added, and is not wanted: {workers:?}")));
                }
                let named = self.workers().any(|worker| self.nodes[worker].name == address);
                self.coverage.saw(if named { Sight::WorkerAdded } else { Sight::WorkerAddedElsewhere });
            }
            (_, Reply::RosterRefused(RosterRefusal::LastCopy)) => self.coverage.saw(Sight::LastCopyKept),
            (_, Reply::RosterRefused(_)) => {}
            (change, reply) => self.violate(Violation::new("roster", format!("{change:?} was answered {reply:?}"))),
        }
        true
    }

    /// The members of the active view whose copies the leader does not distrust.
    fn sound_members(&self) -> Vec<NodeId> {
        let Some(coordinator) = self.nodes[self.leader()].coordinator() else { return Vec::new() };
        let distrusted = coordinator.leader().comparison().distrusted;
        let members = coordinator.leader().active().map(|active| active.view.members()).unwrap_or_default();
        members.into_iter().filter(|node| !distrusted.contains(node)).collect()
    }

    /// The leader has said that this copy is bad. A person removes another worker by mistake, which is best noticed while that one is away.
    pub(super) fn person_reads(&mut self, bad: NodeId) {
        let others: Vec<Slot> = self.members().into_iter().filter(|slot| self.nodes[*slot].id != bad).collect();
        if !self.danger || self.plan.faults[FaultKind::RosterChange as usize] == 0 || others.is_empty() {
            return;
        }
        let other = others[self.chance_afterwards.index(others.len())];
        if self.chance_afterwards.chance(500) {
            self.queue.push(self.now, Event::Leave(other, self.nodes[other].life));
        }
        let wait = self.chance_afterwards.below(ERRS_WITHIN);
        self.queue.push(self.now + wait, Event::PersonErrs(other));
    }

    /// A person removes this worker by mistake.
    pub(crate) fn person_errs(&mut self, worker: Slot) {
        if self.danger {
            self.ask_for(RosterChange::Remove(self.nodes[worker].address.clone()));
        }
    }

    /// What a person was told holds in the view that is active now.
    pub(super) fn check_roster(&mut self, record: &ViewRecord) {
        let Some(active) = &record.active else { return };
        let shards = active.view.shards.iter();
        let participants = shards.flat_map(|shard| shard.members.iter().chain(&shard.learners));
        let stays = |member: &&Member| self.roster.removed.contains(&member.address);
        if let Some(member) = participants.into_iter().find(stays) {
            let detail =
                format!("view {} has {}, of which a person was told that it is removed", active.view.number, member.address);
            self.violate(Violation::new("roster", detail));
        }
    }

    /// The workers that the leader wants, once it knows.
    fn wanted_workers(&self) -> Option<Vec<String>> {
        self.nodes[self.leader()].coordinator().map(|coordinator| coordinator.leader().roster())
    }

    /// All faults have ended: whoever was removed is wanted again.
    pub(super) fn want_all(&mut self) {
        let Some(wanted) = self.wanted_workers().filter(|_| self.roster.asked > 0) else { return };
        if let Some(worker) = self.workers().find(|worker| !wanted.contains(&self.nodes[*worker].address)) {
            self.add_worker(worker);
        }
    }
}
