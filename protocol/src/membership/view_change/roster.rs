//! The workers that the cluster is meant to have, at the leader: what people change holds from the next view on, and for good.

use alloc::string::String;
use alloc::vec::Vec;

use super::{Stage, ViewChange, Wanted};
use crate::id::RequestId;
use crate::membership::choice::Choice;
use crate::membership::roster::{self, Changes};
use crate::membership::view::{Member, Shard};
use crate::step::{Output, Reply, RosterChange, RosterRefusal};

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

    fn changed_roster(&self, change: &RosterChange) -> Result<Changes, RosterRefusal> {
        if self.wanted.is_some() || !matches!(self.stage, Stage::Steady | Stage::Gathering { .. }) {
            return Err(RosterRefusal::Busy);
        }
        match change {
            RosterChange::Add(address) => roster::add(&self.config.workers, self.changes(), address),
            RosterChange::Remove(address) => {
                let changes = roster::remove(&self.config.workers, self.changes(), address)?;
                // Whoever can't be reached may never come back: only a member that is there is a copy that stays.
                let is_it = |member: &Member| member.address == *address;
                let stays = |member: &Member| !is_it(member) && self.connected.contains_key(&member.node);
                let is_kept = |shard: &Shard| !shard.members.iter().any(is_it) || shard.members.iter().any(stays);
                let kept = match self.active() {
                    Some(active) => active.view.shards.iter().all(is_kept),
                    None => !roster::roster(&self.config.workers, &changes).is_empty(),
                };
                if kept { Ok(changes) } else { Err(RosterRefusal::LastCopy) }
            }
        }
    }
}
