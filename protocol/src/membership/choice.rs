//! Who is in the next view: decided from what the leader knows at that moment, and from nothing else.
//!
//! Members come from the last *active* view only, since nobody else holds all that was acknowledged (R5), and from the learners
//! that have completed their copy in it (R9). One exception: if every member kept its records in memory alone, and at the address
//! of each of them another process answers by now, then the records are gone for good. Whoever waited for them would wait for
//! ever, so the cluster begins anew, empty, and says so loudly.
//!
//! Another: a worker of whose records a person has given up a part, by a start with what an old or incomplete log has, counts once nobody
//! can come back who holds more, which is seen in the same way: at the address of each other member another process answers. One
//! alone counts, since what is missing in one is not what is missing in another.
//!
//! A copy that is not trusted comes last: the others are asked again before it counts, though not for ever. While no other copy is
//! there, no worker starts over from it: what that worker still holds may be the last intact copy of a record.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;

use crate::id::{ClusterId, NodeId};
use crate::limits;
use crate::membership::comparison::Comparison;
use crate::membership::copy::Copies;
use crate::membership::joiners::Joiners;
use crate::membership::roster::{Changes, roster};
use crate::membership::view::{Member, Shard, View, ViewRecord};
use crate::rules::Rules;
use crate::step::{Halt, Peer};

#[cfg(test)]
mod tests;
mod wanted;

/// How often members that did not answer are asked again before a copy that is not trusted counts: a worker that refuses for good
/// must not keep the cluster from serving at all.
pub(super) const ASKED_AGAIN_MAX: u8 = 3;

/// All that the choice depends on.
pub(super) struct Situation<'a> {
    /// The workers named in the settings.
    pub(super) named: &'a [String],
    /// What people have changed about them, the change under way included.
    pub(super) changes: &'a Changes,
    /// What the control store holds.
    pub(super) record: Option<&'a ViewRecord>,
    /// Workers with a connection.
    pub(super) connected: &'a BTreeMap<NodeId, Peer>,
    /// Those that did not answer an attempt since the last active view.
    pub(super) silent: &'a BTreeSet<NodeId>,
    /// How often they were asked again since then though one that is not trusted was there.
    pub(super) asked_again: u8,
    /// Members whose silence was waited for already.
    pub(super) suspected: &'a BTreeSet<NodeId>,
    /// Members whose logs were put back to an older state within the last active view.
    pub(super) rolled_back: &'a BTreeSet<NodeId>,
    /// Whose copy is not trusted.
    pub(super) comparison: &'a Comparison,
    pub(super) joiners: &'a Joiners,
    pub(super) copies: &'a Copies,
    pub(super) rules: Rules,
}

/// What follows.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Choice {
    /// Somebody is still waited for.
    Wait,
    /// Nobody answers: each is as good as any other, so all are to be asked again.
    AskAgain,
    /// These. Whether the cluster begins anew with them, empty.
    View { shards: Vec<Shard>, empty: bool },
    /// Nothing that could be done would be right.
    Halt(Halt),
}

impl Situation<'_> {
    /// Who is in the next view. `over`: those who are lost are waited for no longer.
    pub(super) fn choose(&self, over: bool) -> Choice {
        let Some(active) = self.active() else { return self.first() };
        let there = |member: &&Member| self.connected.contains_key(&member.node) && !self.silent.contains(&member.node);
        let members = || active.shards.iter().flat_map(|shard| &shard.members);
        let missing = |member: &Member| !there(&member) && !self.suspected.contains(&member.node) && !self.is_unwanted(member);
        if !over && members().any(missing) && !self.is_lost() {
            return Choice::Wait;
        }
        // A worker that holds more is asked again before one that holds less counts: a member that holds all, and any member before an outsider.
        let is_member = |node: NodeId| members().any(|member| member.node == node);
        let counts = active.shards.iter().any(|shard| self.salvaged(shard).next().is_some_and(is_member));
        let patient = self.rules.awaits_trusted(self.asked_again < ASKED_AGAIN_MAX);
        let bad = |node: NodeId| {
            counts && self.is_salvaged(node) || patient && self.comparison.distrusts(node) || self.rolled_back.contains(&node)
        };
        let whole = |member: &Member| !bad(member.node);
        let is_silent = |member: &Member| self.silent.contains(&member.node);
        // Nor does a copy that is not trusted count at once when the others are lost: they may have been held up together.
        let distrusts = |member: &Member| self.comparison.distrusts(member.node);
        let gone = |member: &Member| self.is_removed(member) || self.is_replaced(member);
        let alone = members().any(|member| there(&member) && distrusts(member)) && patient;
        let may_come = |member: &Member| alone && !self.connected.contains_key(&member.node) && !gone(member);
        let better = |member: &Member| whole(member) && (is_silent(member) || may_come(member));
        if !members().any(|member| there(&member) && whole(member)) && members().any(better) {
            return Choice::AskAgain;
        }
        // A bad copy that is all there is must be asked again as well, or it would be waited for though it is there.
        if self.rules.asks_all_again(!members().any(|member| there(&member)) && members().any(is_silent)) {
            return Choice::AskAgain;
        }
        if active.shards.iter().any(|shard| self.awaits_better(shard)) {
            return Choice::Wait;
        }
        let mut shards = Vec::with_capacity(active.shards.len());
        for shard in &active.shards {
            match self.next_of(shard) {
                Some(next) => shards.push(next),
                None if self.is_lost() => return self.anew(),
                None if self.connected.values().any(|peer| self.silent.contains(&peer.node) && self.could_count(shard, peer)) => {
                    return Choice::AskAgain;
                }
                None => return Choice::Wait,
            }
        }
        Choice::View { shards, empty: false }
    }

    /// The members that are there stay; complete learners become members; whoever else is there and has waited begins, or
    /// begins again, as a learner.
    fn next_of(&self, shard: &Shard) -> Option<Shard> {
        let there = |member: &&Member| self.connected.contains_key(&member.node) && !self.silent.contains(&member.node);
        let whole =
            |member: &&Member| there(member) && !self.is_salvaged(member.node) && !self.rolled_back.contains(&member.node);
        let stays = |member: &&Member| whole(member) && !self.is_unwanted(member) && !self.comparison.distrusts(member.node);
        let mut members: Vec<Member> = shard.members.iter().filter(stays).filter_map(|member| self.here(member.node)).collect();
        if members.is_empty() {
            // The last copies stay, whatever is wrong with them.
            members = shard.members.iter().filter(whole).filter_map(|member| self.here(member.node)).collect();
        }
        if members.is_empty() {
            let salvaged = self.salvaged(shard).take(self.rules.salvaged_together_max());
            members = salvaged.filter_map(|node| self.here(node)).collect();
        }
        if !self.rules.takes_members_only() {
            members = self.connected.keys().filter_map(|node| self.here(*node)).collect();
        }
        if members.is_empty() {
            return None;
        }
        let rest = self.connected.values().filter(|peer| {
            let taken = members.iter().any(|member| member.node == peer.node);
            !taken && self.is_wanted(peer) && !self.silent.contains(&peer.node)
        });
        let (complete, others): (Vec<&Peer>, Vec<&Peer>) = rest.partition(|peer| {
            let learns = shard.learners.iter().any(|learner| learner.node == peer.node);
            learns && self.rules.may_become_member(self.copies.is_complete(peer.node)) && !self.comparison.distrusts(peer.node)
        });
        // A member that is not trusted is left out first: what it holds may be all that is left until this view is active. Then it
        // is known already, and so is a learner; only newcomers have to wait.
        let is_member = |node: NodeId| shard.members.iter().any(|member| member.node == node);
        let known = |node: NodeId| shard.learners.iter().any(|member| member.node == node) || self.comparison.repairs(node);
        let begins = others.into_iter().filter(|peer| !is_member(peer.node));
        let begins = begins.filter(|peer| known(peer.node) || self.joiners.is_ready(peer.node));
        let learners: Vec<Member> = begins.filter_map(|peer| self.here(peer.node)).collect();
        members.extend(complete.into_iter().filter_map(|peer| self.here(peer.node)));
        let gives = members.iter().any(|member| self.is_donor(member.node));
        let learners = if gives { learners } else { Vec::new() };
        members.sort_unstable();
        members.truncate(limits::MEMBERS_MAX);
        let room = limits::MEMBERS_MAX - members.len();
        Some(Shard { members, learners: learners.into_iter().take(room).collect() })
    }

    /// The members of the first view: all that are wanted, once they are there.
    fn first(&self) -> Choice {
        let cluster = self.record.map(|record| record.cluster);
        let wanted = roster(self.named, self.changes);
        let there = |address: &String| self.connected.values().find(|peer| peer.address == *address);
        // One that belongs to another cluster is said before anybody is waited for, who may never come.
        let is_foreign = |bound: &ClusterId| !self.rules.may_found_with(*bound, cluster);
        let bound = |peer: &Peer| peer.cluster.filter(is_foreign).map(|bound| (peer.address.clone(), bound));
        if let Some((address, cluster)) = wanted.iter().filter_map(there).find_map(bound) {
            return Choice::Halt(Halt::WorkerHoldsView { address, cluster });
        }
        let mut members = Vec::with_capacity(wanted.len());
        for address in &wanted {
            let Some(peer) = there(address) else { return Choice::Wait };
            members.extend(self.here(peer.node));
        }
        members.sort_unstable();
        Choice::View { shards: alloc::vec![Shard { members, learners: Vec::new() }], empty: false }
    }

    /// Whether nobody is there for this shard but workers of whose records a part was given up, and a member may still come back.
    fn awaits_better(&self, shard: &Shard) -> bool {
        let there = |member: &Member| self.connected.contains_key(&member.node) && !self.silent.contains(&member.node);
        let is_whole = |member: &Member| there(member) && !self.is_salvaged(member.node);
        let is_gone = |member: &Member| self.is_salvaged(member.node) || self.is_replaced(member);
        self.salvaged(shard).next().is_some() && !shard.members.iter().any(is_whole) && !shard.members.iter().all(is_gone)
    }

    /// Whether this worker may be needed when nobody that is there can be a member: it must not be waited for though it is there.
    fn could_count(&self, shard: &Shard, peer: &Peer) -> bool {
        let is_member = shard.members.iter().any(|member| member.node == peer.node);
        peer.salvaged || self.rules.asks_all_again(is_member)
    }

    /// When no member holds all records, the first of these counts, alone: members that gave up a part of theirs, then other workers that
    /// did, whatever view they are of.
    fn salvaged<'a>(&'a self, shard: &'a Shard) -> impl Iterator<Item = NodeId> + 'a {
        let counts = |peer: &&Peer| peer.salvaged && self.is_wanted(peer) && !self.silent.contains(&peer.node);
        let is_member = |node: &NodeId| shard.members.iter().any(|member| member.node == *node);
        let salvaged = move || self.connected.values().filter(counts).map(|peer| peer.node);
        salvaged().filter(is_member).chain(salvaged().filter(move |node| !is_member(node)))
    }

    /// Whether others may copy what this one holds: it is trusted, or a person has decided to go on with it.
    pub(super) fn is_donor(&self, node: NodeId) -> bool {
        self.rules.may_learn_from(!self.comparison.distrusts(node) || self.is_salvaged(node))
    }

    /// Whether a person has given up a part of what this worker held.
    pub(super) fn is_salvaged(&self, node: NodeId) -> bool {
        self.connected.get(&node).is_some_and(|peer| peer.salvaged)
    }

    /// Whether the records are gone for good: every member kept them in memory, and another process answers in its place.
    /// That people do not want one any more is no reason: it may live, and nobody has said that its records may go.
    fn is_lost(&self) -> bool {
        let Some(active) = self.active() else { return false };
        let gone = |member: &Member| !member.logged && self.is_replaced(member);
        let mut members = active.shards.iter().flat_map(|shard| &shard.members);
        members.all(gone)
    }

    /// The cluster begins anew, with all that are there and belong nowhere.
    fn anew(&self) -> Choice {
        // An attempt to begin anew that was not completed has bound those that it sealed, who have nothing all the same.
        let begun = self.record.filter(|_| self.rules.remembers_begun());
        let begun = begun.filter(|record| record.pending.as_ref().is_some_and(|it| record.emptied == Some(it.number)));
        let begun = begun.and_then(|record| record.pending.as_ref()).map(View::members).unwrap_or_default();
        let empty = |peer: &&Peer| peer.cluster.is_none() || begun.contains(&peer.node);
        let fresh =
            self.connected.values().filter(empty).filter(|peer| self.is_wanted(peer) && !self.silent.contains(&peer.node));
        let mut members: Vec<Member> = fresh.filter_map(|peer| self.here(peer.node)).collect();
        members.sort_unstable();
        if members.is_empty() {
            return Choice::Wait;
        }
        Choice::View { shards: alloc::vec![Shard { members, learners: Vec::new() }], empty: true }
    }

    fn here(&self, node: NodeId) -> Option<Member> {
        let peer = self.connected.get(&node)?;
        Some(Member { node, address: peer.address.clone(), logged: peer.logged })
    }

    fn active(&self) -> Option<&View> {
        self.record.and_then(|record| record.active.as_ref()).map(|active| &active.view)
    }
}
