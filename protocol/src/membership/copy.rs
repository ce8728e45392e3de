//! The leader's part of rejoining (R9): it has a member give its records to each learner, chunk by chunk, and knows when a
//! learner holds all of them. Chunks pass through the leader, a few of each copy at a time, so that a learner is never flooded.
//! While transactions are under way (`busy`) they are few and small: a learner's votes wait for what its log has before them.
//!
//! ```text
//! leader               member              learner
//!   | -- Copy(after) ----> |                  |
//!   | <---- Chunk -------- |                  |
//!   | -- Chunk -----------------------------> |  takes in what it lacks, logs
//!   | <---------------------------- Stored -- |  synced
//! ```
//!
//! A copy has the number of the view that it runs in and ends with it: the next view begins anew.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;

use crate::id::{NodeId, ViewNumber};
use crate::limits::Limits;
use crate::membership::view::View;
use crate::message::{Chunk, Message};
use crate::operation::Key;
use crate::step::{CopyProgress, Output};

/// The copies of the active view.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Copies {
    limits: Limits,
    copy: ViewNumber,
    learners: BTreeMap<NodeId, Copy>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Copy {
    donor: NodeId,
    /// The last key that the donor gave.
    after: Option<Key>,
    /// Whether the donor has been asked and has not answered.
    asked: bool,
    /// Whether the donor has given all.
    given: bool,
    /// Records of each chunk that the learner has not yet stored.
    under_way: VecDeque<u64>,
    complete: bool,
    /// Records that the learner has stored.
    copied: u64,
    total: u64,
}

impl Copies {
    /// No copies yet.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Copies { limits, ..Copies::default() }
    }

    /// A view has become active: begins with each of its learners. Members take turns in giving.
    pub fn begin(&mut self, view: &View, busy: bool, out: &mut Vec<Output>) {
        let members = view.members();
        self.copy = view.number;
        let donors = members.iter().cycle();
        let copy = |donor: &NodeId| Copy {
            donor: *donor,
            after: None,
            asked: false,
            given: false,
            under_way: VecDeque::new(),
            complete: false,
            copied: 0,
            total: 0,
        };
        self.learners = view.learners().into_iter().zip(donors.map(copy)).collect();
        for learner in self.learners.keys().copied().collect::<Vec<_>>() {
            self.ask(learner, busy, out);
        }
    }

    fn ask(&mut self, learner: NodeId, busy: bool, out: &mut Vec<Output>) {
        let Some(copy) = self.learners.get_mut(&learner) else { return };
        let (records, under_way) = match busy {
            true => (self.limits.chunk_records_busy, 1),
            false => (self.limits.chunk_records_max, self.limits.chunks_under_way_max),
        };
        if copy.asked || copy.given || copy.under_way.len() >= under_way {
            return;
        }
        copy.asked = true;
        let records_max = u32::try_from(records).expect("it is a small number");
        let message = Message::Copy { copy: self.copy, learner, after: copy.after.clone(), records_max };
        out.push(Output::Send { to: copy.donor, message });
    }

    /// A member has given records: passes them on, and asks for the next.
    pub fn given(&mut self, from: NodeId, chunk: Chunk, busy: bool, out: &mut Vec<Output>) {
        let learner = chunk.learner;
        let Some(copy) = self.learners.get_mut(&learner).filter(|copy| copy.asked && copy.donor == from) else { return };
        if chunk.copy != self.copy {
            return;
        }
        copy.asked = false;
        copy.given = chunk.last;
        copy.under_way.push_back(chunk.records.len() as u64);
        copy.total = chunk.total;
        if let Some((key, _)) = chunk.records.last() {
            copy.after = Some(key.clone());
        }
        out.push(Output::Send { to: learner, message: Message::Chunk(chunk) });
        self.ask(learner, busy, out);
    }

    /// A learner has stored a chunk. Says whether every learner is complete now.
    pub fn stored(&mut self, from: NodeId, number: ViewNumber, last: bool, busy: bool, out: &mut Vec<Output>) -> bool {
        let Some(copy) = self.learners.get_mut(&from).filter(|_| number == self.copy) else { return false };
        copy.copied += copy.under_way.pop_front().unwrap_or(0);
        copy.complete |= last;
        if last {
            return self.learners.values().all(|copy| copy.complete);
        }
        self.ask(from, busy, out);
        false
    }

    /// Whether this learner of the active view holds all records.
    #[must_use]
    pub fn is_complete(&self, learner: NodeId) -> bool {
        self.learners.get(&learner).is_some_and(|copy| copy.complete)
    }

    /// Who holds all records by now, and of whom.
    pub fn complete(&self) -> impl Iterator<Item = (NodeId, NodeId)> {
        self.learners.iter().filter(|(_, copy)| copy.complete).map(|(learner, copy)| (*learner, copy.donor))
    }

    /// Whether a copy is under way.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        !self.learners.is_empty()
    }

    /// A learner's connection is lost, and chunks with it: its copy is over. What its donor still gives must not reach it over
    /// the next connection, or it would take the last chunk for the end of a whole copy.
    pub fn lost(&mut self, node: NodeId) {
        self.learners.remove(&node);
    }

    /// Chunks that are under way in one of the copies, the most of them.
    #[must_use]
    pub fn chunks_under_way(&self) -> usize {
        self.learners.values().map(|copy| copy.under_way.len()).max().unwrap_or(0)
    }

    /// How far each copy is.
    #[must_use]
    pub fn progress(&self) -> Vec<CopyProgress> {
        let progress = |(learner, copy): (&NodeId, &Copy)| CopyProgress {
            learner: *learner,
            donor: copy.donor,
            copied: copy.copied,
            total: copy.total.max(copy.copied),
        };
        self.learners.iter().map(progress).collect()
    }
}
