//! Which coordinator a worker follows (R14). There must be one leader, but control stores can be copied: then two coordinators lead
//! from copies of one record, and each believes that its own views are the next ones. So a worker notes which coordinator sealed it and
//! which view it last knew to be active. It takes a seal only from that writer or a later run, and only if the seal follows that view.
//! It tells any other leader, and the one that it follows, about each other: both hear of the split from the first worker that has
//! heard both. A coordinator of a later run that has merely connected is no split: it has changed nothing, and may be gone for good
//! before it does. The leader ends when that run seals a worker, or turns out to have led a view of its own.

use alloc::collections::{BTreeMap, BTreeSet};
use core::cmp::Ordering;

use crate::id::{ClusterId, NodeId, ViewId, ViewNumber, Writer};
use crate::message::{Follows, Seal};
use crate::rules::Rules;

/// Other leaders that a worker keeps in mind.
const RIVALS_MAX: usize = 2;

/// What a worker knows of the coordinators that lead, or want to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Allegiance {
    /// The coordinator that sealed it last.
    writer: Option<Writer>,
    /// The last view that it knows to have become active.
    last_active: Option<ViewId>,
    /// Other coordinators that lead this cluster, of the same run or a later one, each with the last active view that it knows: few,
    /// and rather those whose histories exclude each other, so that each of two can be told of the other.
    rivals: BTreeMap<Writer, Option<ViewId>>,
    /// Connections of coordinators that lead, or want to, and are not followed: nothing that they say counts but their seals.
    unfollowed: BTreeSet<NodeId>,
    rules: Rules,
}

impl Allegiance {
    /// As the log has it.
    #[must_use]
    pub fn new(writer: Option<Writer>, last_active: Option<ViewId>, rules: Rules) -> Self {
        Allegiance { writer, last_active, rivals: BTreeMap::new(), unfollowed: BTreeSet::new(), rules }
    }

    /// The last view that it knows to have become active.
    #[must_use]
    pub fn last_active(&self) -> Option<ViewId> {
        self.last_active
    }

    /// Somebody leads this cluster, or wants to, and says so over the connection to `from`. `active` is the last active view that it
    /// knows. A later run that knows less than this worker does no harm: it will end, and its number alone is no reason for the
    /// leader to end too. A second coordinator with the leader's own run always is a reason.
    pub fn hear(&mut self, from: NodeId, writer: Writer, active: Option<ViewId>) {
        if !self.rules.is_other_leader(self.writer, writer) {
            return;
        }
        self.unfollowed.insert(from);
        if self.matters(writer, active) {
            self.rivals.insert(writer, active);
            if self.rivals.len() > RIVALS_MAX {
                let visitor = self.rivals.iter().find(|(rival, active)| !self.excludes(**rival, **active));
                let least = visitor.or(self.rivals.first_key_value()).map(|(rival, _)| *rival);
                least.map(|least| self.rivals.remove(&least));
            }
        }
    }

    fn matters(&self, writer: Writer, active: Option<ViewId>) -> bool {
        let knows = |known: ViewId| active.is_some_and(|active| active.number >= known.number);
        self.writer.is_none_or(|followed| match writer.run.cmp(&followed.run) {
            Ordering::Less => false,
            Ordering::Equal => writer != followed,
            Ordering::Greater => self.last_active.is_none_or(knows),
        })
    }

    /// Whether this coordinator's history and another one that this worker knows of can't both go on: two coordinators have the same
    /// run, or it has led. That stays true when its connection is gone.
    fn excludes(&self, rival: Writer, active: Option<ViewId>) -> bool {
        let is_of_its_run = |other: &Writer| other.run == rival.run && *other != rival;
        self.writer.iter().chain(self.rivals.keys()).any(is_of_its_run) || self.has_led(active)
    }

    /// Whether a coordinator that names this view as the last active one has led apart from the leader that is followed: this worker
    /// does not know the view, and its leader did not announce it. One that has only read a copy of the leader's store names a view
    /// of that store.
    fn has_led(&self, active: Option<ViewId>) -> bool {
        let is_apart = |active: ViewId| self.last_active != Some(active) && self.writer.is_some_and(|it| active.writer != it);
        self.rules.has_led(active.is_some_and(is_apart))
    }

    /// Forgets those that do not matter any more.
    fn forget_rivals(&mut self) {
        let mut rivals = core::mem::take(&mut self.rivals);
        rivals.retain(|rival, active| self.matters(*rival, *active));
        self.rivals = rivals;
    }

    /// Whether this seal may be taken by a worker that was sealed for `view` last.
    #[must_use]
    pub fn takes(&self, view: ViewNumber, seal: &Seal) -> bool {
        let is_next = self.rules.seal_follows(self.last_active, seal.last_active);
        seal.view.number > view && self.rules.may_succeed(self.writer, seal.view.writer) && is_next
    }

    /// The worker is sealed by the coordinator at `from`.
    pub fn sealed(&mut self, from: NodeId, seal: &Seal) {
        let writer = seal.view.writer;
        self.unfollowed.remove(&from);
        self.writer = Some(writer);
        self.last_active = seal.last_active.or(self.last_active);
        self.forget_rivals();
    }

    /// The view that it was sealed for last has become active. Gives it, to be logged, if that was not known.
    pub fn activated(&mut self, view: ViewNumber) -> Option<ViewId> {
        let active = ViewId { number: view, writer: self.writer? };
        let is_news = self.last_active.replace(active) != Some(active);
        self.forget_rivals();
        is_news.then_some(active)
    }

    /// Whether what this coordinator says of transactions, reads and views counts.
    #[must_use]
    pub fn listens_to(&self, from: NodeId) -> bool {
        !self.unfollowed.contains(&from)
    }

    /// Whether it is the leader that is followed.
    #[must_use]
    pub fn is_led_by(&self, from: NodeId) -> bool {
        self.rules.is_led_by(self.writer, from)
    }

    /// This connection is gone. A coordinator that has changed nothing leaves nothing behind.
    pub fn gone(&mut self, node: NodeId) {
        self.unfollowed.remove(&node);
        let is_visitor = |(rival, active): &(&Writer, &Option<ViewId>)| rival.node == node && !self.excludes(**rival, **active);
        let visitor = self.rivals.iter().find(is_visitor).map(|(rival, _)| *rival);
        visitor.map(|visitor| self.rivals.remove(&visitor));
    }

    /// What to tell a coordinator that leads, if `asker` does. A later run concerns it once that has led, another one of its own run
    /// in any case.
    #[must_use]
    pub fn told(&self, asker: Writer, cluster: Option<ClusterId>, view: ViewNumber) -> Follows {
        let writer = self.writer.filter(|_| self.rules.looks_at_writer());
        let concerns =
            |(rival, active): &(&Writer, &Option<ViewId>)| **rival != asker && (rival.run == asker.run || self.has_led(**active));
        Follows { cluster, view, writer, rival: self.rivals.iter().rev().find(concerns).map(|(rival, _)| *rival) }
    }
}
