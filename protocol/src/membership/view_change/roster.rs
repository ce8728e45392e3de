//! The workers that the cluster is meant to have, at the leader: what people change holds from the next view on, and for good.

use alloc::string::String;
use alloc::vec::Vec;

use super::{Stage, ViewChange};
use crate::id::RequestId;
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
        self.wanted.as_ref().map_or(recorded, |(_, changes)| changes)
    }

    /// People want other workers: the next view brings it about, and only then is `id` answered.
    pub fn change_roster(&mut self, id: RequestId, change: &RosterChange, out: &mut Vec<Output>) {
        let reply = match self.changed_roster(change) {
            Ok(changes) if changes != *self.changes() => {
                self.wanted = Some((id, changes));
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

    fn changed_roster(&self, change: &RosterChange) -> Result<Changes, RosterRefusal> {
        if self.wanted.is_some() || !matches!(self.stage, Stage::Steady | Stage::Gathering { .. }) {
            return Err(RosterRefusal::Busy);
        }
        match change {
            RosterChange::Add(address) => roster::add(&self.config.workers, self.changes(), address),
            RosterChange::Remove(address) => {
                let changes = roster::remove(&self.config.workers, self.changes(), address)?;
                let stays = |member: &&Member| member.address != *address;
                let is_kept = |shard: &Shard| match self.stage {
                    Stage::Steady => shard.members.iter().filter(stays).any(|it| self.connected.contains_key(&it.node)),
                    _ => shard.members.iter().any(|member| stays(&member)),
                };
                let kept = match self.active() {
                    Some(active) => active.view.shards.iter().all(is_kept),
                    None => !roster::roster(&self.config.workers, &changes).is_empty(),
                };
                if kept { Ok(changes) } else { Err(RosterRefusal::LastCopy) }
            }
        }
    }
}
