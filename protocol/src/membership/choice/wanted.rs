//! Which workers the cluster is meant to have, as seen from those that are there. The settings name addresses, but a worker is known by
//! its identity: a member that is not connected may be meant by a name that has not answered yet, such as `localhost` or another port
//! after a restart. So it counts as unwanted only once another worker has answered at each of the addresses.

use alloc::string::String;

use super::Situation;
use crate::membership::roster::roster;
use crate::membership::view::Member;
use crate::step::Peer;

impl Situation<'_> {
    /// Whether a worker that is there is one of those that the cluster is meant to have.
    pub(in crate::membership) fn is_wanted(&self, peer: &Peer) -> bool {
        let foreign = self.record.is_some_and(|record| peer.cluster.is_some_and(|bound| bound != record.cluster));
        !foreign && roster(self.named, self.changes).contains(&peer.address)
    }

    /// Whether the cluster is not meant to have this member any more: people have removed it, or the settings name others.
    pub(in crate::membership) fn is_unwanted(&self, member: &Member) -> bool {
        if self.is_removed(member) {
            return true;
        }
        let wanted = roster(self.named, self.changes);
        if wanted.contains(self.address(member)) {
            return false;
        }
        let is_answered = |address: &String| self.connected.values().any(|peer| peer.address == *address);
        self.rules.is_unwanted(wanted.iter().all(is_answered))
    }

    /// Whether people have removed it, or are about to.
    pub(in crate::membership) fn is_removed(&self, member: &Member) -> bool {
        let address = self.address(member);
        let added = self.record.is_some_and(|record| record.roster.added.contains(address));
        self.changes.removed.contains(address) || added && !self.changes.added.contains(address)
    }

    /// Whether another process answers at its address.
    pub(in crate::membership) fn is_replaced(&self, member: &Member) -> bool {
        self.connected.values().any(|peer| peer.address == member.address && peer.node != member.node)
            && !self.connected.contains_key(&member.node)
    }

    /// Where it is, or was reached last.
    fn address<'a>(&'a self, member: &'a Member) -> &'a String {
        self.connected.get(&member.node).map_or(&member.address, |peer| &peer.address)
    }
}
