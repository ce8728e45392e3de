//! Reads at a coordinator: each goes to one connected member of the active view, the one with the fewest under way. When
//! that member is lost or the view changes, it is asked of another: an answer of an earlier view counts no more, because a
//! worker that was left out does not know it. While replicas differ and nobody knows which is right, one member answers all.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use crate::id::{Age, NodeId, ReadId, RequestId, TraceContext, ViewNumber};
use crate::limits;
use crate::message::{Message, Read, ReadResult};
use crate::operation::{Answer, Consistency, Digest, Query};
use crate::step::{Output, Refusal, Reply};

/// The reads of one coordinator.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Reads {
    next: u64,
    view: ViewNumber,
    /// The members that can be asked, with the reads under way at each; empty while there is no view to read in.
    load: BTreeMap<NodeId, u32>,
    /// The only one of them that is asked, if the others may say something else.
    only: Option<NodeId>,
    reads: BTreeMap<RequestId, Pending>,
    sent: BTreeMap<ReadId, (RequestId, NodeId)>,
    /// Reads that wait for a member, or for the retry timer.
    waiting: BTreeSet<RequestId>,
    digests: BTreeMap<RequestId, Digests>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Pending {
    query: Query,
    consistency: Consistency,
    age: Age,
    trace: Option<TraceContext>,
    sweeps: u8,
}

/// A comparison: a digest of every member at the same place in the order of what each was sent.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Digests {
    view: ViewNumber,
    awaited: usize,
    found: Vec<(NodeId, Digest)>,
    sweeps: u8,
}

impl Reads {
    /// Takes a client's read.
    pub fn submit(
        &mut self,
        id: RequestId,
        query: Query,
        consistency: Consistency,
        age: Age,
        trace: Option<TraceContext>,
        out: &mut Vec<Output>,
    ) {
        let refusal = if !is_valid(&query) {
            Some(Refusal::Invalid)
        } else if self.reads.len() >= limits::REQUESTS_MAX {
            Some(Refusal::Overloaded)
        } else {
            None
        };
        if let Some(refusal) = refusal {
            out.push(Output::Reply { id, reply: Reply::Refused(refusal) });
            return;
        }
        self.reads.insert(id, Pending { query, consistency, age, trace, sweeps: 0 });
        self.ask(id, out);
    }

    /// Asks the least busy member that may be asked; waits if there is none.
    fn ask(&mut self, id: RequestId, out: &mut Vec<Output>) {
        let Some(pending) = self.reads.get(&id) else { return };
        let may_answer = |node: &&NodeId| self.only.is_none_or(|only| **node == only);
        // Among equals the turn goes round, so that single reads are spread as well.
        let turn = usize::try_from(self.next).unwrap_or(0) % self.load.len().max(1);
        let order = self.load.keys().skip(turn).chain(self.load.keys().take(turn));
        let Some(node) = order.filter(may_answer).min_by_key(|node| self.load[*node]).copied() else {
            self.waiting.insert(id);
            return;
        };
        let read = ReadId(self.next);
        let Pending { query, consistency, age, trace, .. } = pending.clone();
        let message = Message::Read(Read { read, view: self.view, age, consistency, query, trace });
        self.send(id, node, message, out);
    }

    fn send(&mut self, id: RequestId, node: NodeId, message: Message, out: &mut Vec<Output>) {
        self.sent.insert(ReadId(self.next), (id, node));
        self.next += 1;
        *self.load.entry(node).or_default() += 1;
        out.push(Output::Send { to: node, message });
    }

    /// Asks every member for its digest, all at the same place in what each is sent: with one coordinator that is the same
    /// place in the order of transactions.
    pub fn submit_digests(&mut self, id: RequestId, age: Age, out: &mut Vec<Output>) {
        if self.load.is_empty() {
            out.push(Output::Reply { id, reply: Reply::Refused(Refusal::Unavailable) });
            return;
        }
        let members: Vec<NodeId> = self.load.keys().copied().collect();
        self.digests.insert(id, Digests { view: self.view, awaited: members.len(), found: Vec::new(), sweeps: 0 });
        for node in members {
            let (read, consistency) = (ReadId(self.next), Consistency::Arrival);
            let message = Message::Read(Read { read, view: self.view, age, consistency, query: Query::Digest, trace: None });
            self.send(id, node, message, out);
        }
    }

    /// A worker has answered. Says whether the read waits for the retry timer now.
    pub fn answered(&mut self, from: NodeId, read: ReadId, result: ReadResult, out: &mut Vec<Output>) -> bool {
        let Some((id, node)) = self.sent.remove(&read) else { return false };
        if let Some(load) = self.load.get_mut(&node) {
            *load = load.saturating_sub(1);
        }
        debug_assert_eq!(node, from, "a worker answers what it was asked");
        match (result, self.digests.get_mut(&id)) {
            (ReadResult::Found(Answer::Digest(digest)), Some(digests)) => {
                digests.found.push((from, digest));
                digests.awaited -= 1;
                if digests.awaited == 0 {
                    self.finish_digests(id, out);
                }
                false
            }
            (_, Some(digests)) => {
                digests.awaited -= 1;
                if digests.awaited == 0 {
                    self.finish_digests(id, out);
                }
                false
            }
            (ReadResult::Found(answer), None) => {
                self.finish(id, Reply::Found(answer), out);
                false
            }
            (ReadResult::Overloaded, None) => {
                self.finish(id, Reply::Refused(Refusal::Overloaded), out);
                false
            }
            (ReadResult::Older { .. } | ReadResult::Damaged | ReadResult::Stale, None) => {
                self.reads.contains_key(&id) && self.waiting.insert(id)
            }
        }
    }

    /// Tries those that wait again.
    pub fn retry(&mut self, out: &mut Vec<Output>) {
        for id in core::mem::take(&mut self.waiting) {
            self.ask(id, out);
        }
    }

    /// These members can be asked now, in this view, or `only` one of them. What was asked of others, or in another view, is asked
    /// again.
    pub fn set_members(&mut self, view: ViewNumber, members: &[NodeId], only: Option<NodeId>, out: &mut Vec<Output>) {
        let same_view = view == self.view;
        if same_view
            && only == self.only
            && members.len() == self.load.len()
            && members.iter().all(|node| self.load.contains_key(node))
        {
            // What waits has been refused by one of these, and keeps to its pause.
            return;
        }
        self.view = view;
        self.only = only;
        let load = core::mem::take(&mut self.load);
        self.load = members.iter().map(|node| (*node, load.get(node).copied().filter(|_| same_view).unwrap_or(0))).collect();
        let lost: Vec<ReadId> = self
            .sent
            .iter()
            .filter(|(_, (_, node))| !same_view || !self.load.contains_key(node))
            .map(|(read, _)| *read)
            .collect();
        for read in lost {
            let Some((id, _)) = self.sent.remove(&read) else { continue };
            if self.reads.contains_key(&id) {
                self.waiting.insert(id);
            } else if let Some(digests) = self.digests.get_mut(&id) {
                digests.awaited -= 1;
                if digests.awaited == 0 {
                    self.finish_digests(id, out);
                }
            }
        }
        self.retry(out);
    }

    /// One more round of housekeeping: refuses those whose deadline has come.
    pub fn sweep(&mut self, request_sweeps: u8, out: &mut Vec<Output>) {
        let mut late = Vec::new();
        for (id, read) in &mut self.reads {
            read.sweeps = read.sweeps.saturating_add(1);
            if read.sweeps >= request_sweeps {
                late.push(*id);
            }
        }
        for id in late {
            self.finish(id, Reply::Refused(Refusal::Unavailable), out);
        }
        let mut late = Vec::new();
        for (id, digests) in &mut self.digests {
            digests.sweeps = digests.sweeps.saturating_add(1);
            if digests.sweeps >= request_sweeps {
                late.push(*id);
            }
        }
        for id in late {
            self.finish_digests(id, out);
        }
    }

    fn finish(&mut self, id: RequestId, reply: Reply, out: &mut Vec<Output>) {
        self.waiting.remove(&id);
        if self.reads.remove(&id).is_some() {
            out.push(Output::Reply { id, reply });
        }
    }

    fn finish_digests(&mut self, id: RequestId, out: &mut Vec<Output>) {
        if let Some(Digests { view, mut found, .. }) = self.digests.remove(&id) {
            found.sort_unstable_by_key(|(node, _)| *node);
            out.push(Output::Reply { id, reply: Reply::Digests { view, digests: found } });
        }
    }

    /// Reads under way or waiting.
    #[must_use]
    pub fn len(&self) -> usize {
        self.reads.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.reads.is_empty()
    }
}

fn is_valid(query: &Query) -> bool {
    match query {
        Query::Keys(keys) => {
            !keys.is_empty()
                && keys.len() <= limits::READ_KEYS_MAX
                && keys.iter().all(|key| key.bytes.len() <= limits::KEY_BYTES_MAX)
        }
        Query::Range(range) => {
            // A bound just behind the longest key is one byte longer.
            let mut bounds = range.from.iter().chain(&range.until);
            (1..=limits::ROWS_MAX).contains(&range.rows_max) && bounds.all(|bound| bound.len() <= limits::KEY_BYTES_MAX + 1)
        }
        Query::Digest => false,
    }
}
