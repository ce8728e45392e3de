//! The workers that the cluster is meant to have, at the leader: what people change holds from the next view on, and for good.

use alloc::string::String;
use alloc::vec::Vec;

use super::{Stage, ViewChange, Wanted};
use crate::id::{NodeId, RequestId};
use crate::membership::choice::Choice;
use crate::membership::roster::{self, Changes};
use crate::membership::view::{Member, Shard};
use crate::step::{Output, Peer, Reply, RosterChange, RosterRefusal};

impl ViewChange {
    /// The workers that the cluster is meant to have.
    #[must_use]
    pub fn roster(&self) -> Vec<String> {
        roster::roster(&self.config.workers, self.changes())
    }

    pub(super) fn changes(&self) -> &Changes {
        static NONE: Changes = Changes { added: Vec::new(), removed: Vec::new() };
        let recorded = self.record.as_ref().map_or(&NONE, |record| &record.roster);
        self.wanted.as_ref().map_or(recorded, |wanted| &wanted.changes)
    }

    /// What people have changed so far.
    pub(super) fn kept_changes(&self) -> Changes {
        self.record.as_ref().filter(|_| self.config.rules.keeps_roster()).map(|record| record.roster.clone()).unwrap_or_default()
    }

    /// Where the members of the active view were reached last.
    pub(super) fn last_addresses(&self) -> impl Iterator<Item = &String> {
        let shards = self.active().into_iter().flat_map(|active| &active.view.shards);
        shards.flat_map(|shard| &shard.members).map(|member| &member.address)
    }

    /// Tells whom to connect to, if that has changed: those that the cluster is meant to have, by what holds and by what is under
    /// way, and every member of the active view. No member is let go of before a view without it is active.
    pub(super) fn dial(&mut self, out: &mut Vec<Output>) {
        let mut workers = self.roster();
        if let Some(record) = &self.record {
            let members = self.last_addresses().filter(|_| self.reaches_back).cloned();
            for address in roster::roster(&self.config.workers, &record.roster).into_iter().chain(members) {
                if !workers.contains(&address) {
                    workers.push(address);
                }
            }
        }
        if workers != self.dialed {
            self.dialed.clone_from(&workers);
            out.push(Output::Roster { workers });
        }
    }

    /// People want other workers: the next view brings it about, and only then is `id` answered. A change that waits for a view is
    /// given up for a newer one.
    pub fn change_roster(&mut self, id: RequestId, change: &RosterChange, out: &mut Vec<Output>) {
        if matches!(self.stage, Stage::Gathering { .. })
            && let Some(Wanted { id, .. }) = self.wanted.take()
        {
            out.push(Output::Reply { id, reply: Reply::RosterRefused(RosterRefusal::Busy) });
        }
        let reply = match self.changed_roster(change) {
            Ok(changes) if changes != *self.changes() => {
                self.wanted = Some(Wanted { id, changes });
                if !self.config.rules.swaps_before_roster_reply() {
                    out.push(Output::Reply { id, reply: Reply::Roster(self.roster()) });
                }
                self.dial(out);
                if self.stage == Stage::Steady {
                    self.change(out);
                } else {
                    self.advance(out);
                }
                return;
            }
            Ok(_) => Reply::Roster(self.roster()),
            Err(refusal) => Reply::RosterRefused(refusal),
        };
        out.push(Output::Reply { id, reply });
    }

    /// Whether a change under way removes a worker that is to be a member all the same, since nobody else is there.
    pub(super) fn keeps_unwanted(&self, choice: &Choice) -> bool {
        let Choice::View { shards, empty: false } = choice else { return false };
        let situation = self.situation();
        self.wanted.is_some() && shards.iter().flat_map(|shard| &shard.members).any(|member| situation.is_removed(member))
    }

    /// The change under way is not made, since nothing that can be trusted would be left.
    pub(super) fn refuse_removal(&mut self, out: &mut Vec<Output>) {
        if let Some(Wanted { id, .. }) = self.wanted.take() {
            out.push(Output::Reply { id, reply: Reply::RosterRefused(RosterRefusal::LastCopy) });
        }
    }

    fn changed_roster(&self, change: &RosterChange) -> Result<Changes, RosterRefusal> {
        if self.wanted.is_some() || !matches!(self.stage, Stage::Steady | Stage::Gathering { .. }) {
            return Err(RosterRefusal::Busy);
        }
        match change {
            RosterChange::Add(address) => roster::add(&self.config.workers, self.changes(), address),
            RosterChange::Remove(address) => {
                let changes = roster::remove(&self.config.workers, self.changes(), address)?;
                let keeps = match self.active() {
                    Some(active) => active.view.shards.iter().all(|shard| self.keeps_copy_without(shard, address)),
                    None => !roster::roster(&self.config.workers, &changes).is_empty(),
                };
                if keeps { Ok(changes) } else { Err(RosterRefusal::LastCopy) }
            }
        }
    }

    /// Whether a trusted copy of this shard is left when the worker at this address is removed.
    fn keeps_copy_without(&self, shard: &Shard, address: &String) -> bool {
        let is_it = |member: &Member| member.address == *address;
        let is_sound = |member: &Member| self.is_sound(member.node);
        if shard.members.iter().any(is_it) {
            // Whoever can't be reached may never come back: only a member that is there is a copy that stays.
            let stays = |member: &Member| !is_it(member) && self.connected.contains_key(&member.node) && is_sound(member);
            return shard.members.iter().any(stays);
        }
        // What a worker outside the view holds is not needed while a member can be trusted; else it may be the last intact copy.
        let belongs = |peer: &Peer| peer.address == *address && peer.cluster.is_some();
        shard.members.iter().any(is_sound) || !self.connected.values().any(belongs)
    }

    /// Whether a member's copy may be the only one that is left, as far as is known.
    fn is_sound(&self, node: NodeId) -> bool {
        self.config.rules.is_copy_that_stays(self.situation().is_donor(node) && !self.rolled_back.contains(&node))
    }

    /// Whether a change under way removes a member that can be trusted, and the pending view has none: it was found out since.
    pub(super) fn leaves_only_distrusted(&self) -> bool {
        let (Some(active), Some(pending)) = (self.active(), self.pending()) else { return false };
        let (before, next) = (active.view.members(), pending.members());
        let is_sound = |node: &NodeId| self.is_sound(*node);
        self.wanted.is_some() && !next.iter().any(is_sound) && before.iter().any(|node| !next.contains(node) && is_sound(node))
    }
}
