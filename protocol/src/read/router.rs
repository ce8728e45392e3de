//! Reads at a coordinator: each goes to one connected member of the active view, the one with the fewest bytes under way. When
//! that member is lost or the view changes, it is asked of another: an answer of an earlier view counts no more, because a
//! worker that was left out does not know it. While replicas differ and it is not known which is right, one member answers all.
//!
//! The bytes of the answers under way from one member are bounded by [`Limits::read_bytes_under_way_max`], since they wait in that
//! member's queue to this node. Each read reserves as much as its answer may have, until it is answered or the connection is
//! gone; what does not fit waits here, within its deadline.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;

use crate::id::{Age, NodeId, ReadId, RequestId, TraceContext, ViewNumber};
use crate::limits::{self, Limits};
use crate::message::{Message, Read, ReadResult};
use crate::operation::{Answer, Consistency, Digest, Query};
use crate::rules::Rules;
use crate::step::{Output, Refusal, Reply};

#[cfg(test)]
mod tests;

/// The reads of one coordinator.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Reads {
    limits: Limits,
    rules: Rules,
    next: u64,
    view: ViewNumber,
    /// The members that can be asked; none while there is no view to read in.
    members: BTreeSet<NodeId>,
    /// The only one of them that is asked, if the others may say something else.
    only: Option<NodeId>,
    /// Bytes that are reserved for answers from each node, whatever view they were asked in.
    under_way: BTreeMap<NodeId, u64>,
    reads: BTreeMap<RequestId, Pending>,
    sent: BTreeMap<ReadId, Sent>,
    /// Reads that wait for a member, or for the retry timer.
    waiting: BTreeSet<RequestId>,
    /// Reads that wait until an answer has made room for theirs, as [`ROOM`] has them. Some may have ended meanwhile.
    lines: [VecDeque<RequestId>; 2],
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

/// A read that was sent and is not answered yet.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Sent {
    /// The request that the answer is for; `None` if it does not count any more.
    id: Option<RequestId>,
    node: NodeId,
    /// What its answer may have.
    bytes: u64,
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
    /// No reads yet.
    #[must_use]
    pub fn new(limits: Limits, rules: Rules) -> Self {
        Reads { limits, rules, ..Reads::default() }
    }

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
        } else if self.reads.len() >= self.limits.requests_max {
            Some(Refusal::Overloaded)
        } else {
            None
        };
        if let Some(refusal) = refusal {
            out.push(Output::Reply { id, reply: Reply::Refused(refusal) });
            return;
        }
        let line = &mut self.lines[line_of(&query)];
        let first = line.is_empty();
        if !first {
            // Those that came before it have no room yet.
            line.push_back(id);
        }
        self.reads.insert(id, Pending { query, consistency, age, trace, sweeps: 0 });
        if first {
            self.ask(id, out);
        }
    }

    /// Asks the least busy member that may be asked. Waits if there is none, or if its answer has no room; says whether it has.
    fn ask(&mut self, id: RequestId, out: &mut Vec<Output>) -> bool {
        let Some(pending) = self.reads.get(&id) else { return true };
        let may_answer = |node: &&NodeId| self.only.is_none_or(|only| **node == only);
        // Among equals the turn goes round, so that single reads are spread as well.
        let turn = usize::try_from(self.next).unwrap_or(0) % self.members.len().max(1);
        let order = self.members.iter().skip(turn).chain(self.members.iter().take(turn));
        let Some(node) = order.filter(may_answer).min_by_key(|node| self.under_way_at(**node)).copied() else {
            self.waiting.insert(id);
            return true;
        };
        let (bytes, line) = (limits::answer_bytes_max(&pending.query), line_of(&pending.query));
        if !self.rules.answers_fit(self.under_way_at(node) + bytes, self.room(line)) {
            self.lines[line].push_back(id);
            return false;
        }
        let read = ReadId(self.next);
        let Pending { query, consistency, age, trace, .. } = pending.clone();
        let message = Message::Read(Read { read, view: self.view, age, consistency, query, trace });
        self.send(id, node, bytes, message, out);
        true
    }

    /// Bytes that may be reserved at one member when a read of this line is sent.
    fn room(&self, line: usize) -> u64 {
        [self.limits.read_bytes_under_way_max, self.limits.range_bytes_under_way_max()][line]
    }

    fn under_way_at(&self, node: NodeId) -> u64 {
        self.under_way.get(&node).copied().unwrap_or(0)
    }

    fn send(&mut self, id: RequestId, node: NodeId, bytes: u64, message: Message, out: &mut Vec<Output>) {
        self.sent.insert(ReadId(self.next), Sent { id: Some(id), node, bytes });
        self.next += 1;
        *self.under_way.entry(node).or_default() += bytes;
        out.push(Output::Send { to: node, message });
    }

    /// Asks every member for its digest, all at the same place in what each is sent: with one coordinator that is the same
    /// place in the order of transactions.
    pub fn submit_digests(&mut self, id: RequestId, age: Age, out: &mut Vec<Output>) {
        if self.members.is_empty() {
            out.push(Output::Reply { id, reply: Reply::Refused(Refusal::Unavailable) });
            return;
        }
        let members: Vec<NodeId> = self.members.iter().copied().collect();
        self.digests.insert(id, Digests { view: self.view, awaited: members.len(), found: Vec::new(), sweeps: 0 });
        for node in members {
            let (read, consistency) = (ReadId(self.next), Consistency::Arrival);
            let message = Message::Read(Read { read, view: self.view, age, consistency, query: Query::Digest, trace: None });
            self.send(id, node, 0, message, out);
        }
    }

    /// A worker has answered. Says whether the read waits for the retry timer now.
    pub fn answered(&mut self, from: NodeId, read: ReadId, result: ReadResult, out: &mut Vec<Output>) -> bool {
        let Some(Sent { id, node, bytes }) = self.sent.remove(&read) else { return false };
        debug_assert_eq!(node, from, "a worker answers what it was asked");
        self.release(node, bytes);
        let waits = id.is_some_and(|id| self.heard(id, from, result, out));
        self.let_on(out);
        waits
    }

    fn heard(&mut self, id: RequestId, from: NodeId, result: ReadResult, out: &mut Vec<Output>) -> bool {
        match (result, self.digests.get_mut(&id)) {
            (ReadResult::Found(Answer::Digest(digest)), Some(digests)) => {
                digests.found.push((from, digest));
                self.digest_heard(id, out);
                false
            }
            (_, Some(_)) => {
                self.digest_heard(id, out);
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

    fn digest_heard(&mut self, id: RequestId, out: &mut Vec<Output>) {
        let Some(digests) = self.digests.get_mut(&id) else { return };
        digests.awaited -= 1;
        if digests.awaited == 0 {
            self.finish_digests(id, out);
        }
    }

    /// What was reserved for an answer is free again.
    fn release(&mut self, node: NodeId, bytes: u64) {
        if let Some(under_way) = self.under_way.get_mut(&node) {
            *under_way -= bytes;
            if *under_way == 0 {
                self.under_way.remove(&node);
            }
        }
    }

    /// Asks for those in line for which there is room now, each line in its order.
    fn let_on(&mut self, out: &mut Vec<Output>) {
        for line in 0..self.lines.len() {
            while let Some(id) = self.lines[line].pop_front() {
                if !self.ask(id, out) {
                    // It went to the end of the line, and was its first.
                    self.lines[line].rotate_right(1);
                    break;
                }
            }
        }
    }

    /// Tries those that wait again.
    pub fn retry(&mut self, out: &mut Vec<Output>) {
        for id in core::mem::take(&mut self.waiting) {
            self.ask(id, out);
        }
        self.let_on(out);
    }

    /// These members can be asked now, in this view, or `only` one of them. What was asked of others, or in another view, is asked
    /// again.
    pub fn set_members(&mut self, view: ViewNumber, members: &[NodeId], only: Option<NodeId>, out: &mut Vec<Output>) {
        let same_view = view == self.view;
        let same_members = members.len() == self.members.len() && members.iter().all(|node| self.members.contains(node));
        if same_view && only == self.only && same_members {
            // What waits has been refused by one of these, and keeps to its pause.
            return;
        }
        self.view = view;
        self.only = only;
        self.members = members.iter().copied().collect();
        let mut lost = Vec::new();
        for sent in self.sent.values_mut().filter(|sent| !same_view || !self.members.contains(&sent.node)) {
            // Its answer may be under way all the same.
            lost.extend(sent.id.take());
        }
        self.ask_again(lost, out);
        self.retry(out);
    }

    /// The connection to this node is gone, and with it all that it was to answer.
    pub fn disconnected(&mut self, node: NodeId, out: &mut Vec<Output>) {
        let mut lost = Vec::new();
        self.sent.retain(|_, sent| {
            let stays = sent.node != node;
            if !stays {
                lost.extend(sent.id);
            }
            stays
        });
        self.under_way.remove(&node);
        self.ask_again(lost, out);
    }

    /// Asks another member for what was lost, as soon as there is one.
    fn ask_again(&mut self, lost: Vec<RequestId>, out: &mut Vec<Output>) {
        for id in lost {
            if self.digests.contains_key(&id) {
                self.digest_heard(id, out);
            } else if self.reads.contains_key(&id) && self.rules.asks_lost_reads_again() {
                self.waiting.insert(id);
            }
        }
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
        if !late.is_empty() {
            let in_line: BTreeSet<RequestId> = self.lines.iter().flatten().copied().collect();
            for id in late {
                let refusal = if in_line.contains(&id) { Refusal::Overloaded } else { Refusal::Unavailable };
                self.finish(id, Reply::Refused(refusal), out);
            }
            for line in &mut self.lines {
                line.retain(|id| self.reads.contains_key(id));
            }
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

    /// Bytes that are reserved for answers, from all members.
    #[must_use]
    pub fn bytes_under_way(&self) -> u64 {
        self.under_way.values().sum()
    }

    /// Reads for whose answers there is no room yet.
    #[must_use]
    pub fn in_line(&self) -> usize {
        self.lines.iter().map(VecDeque::len).sum()
    }

    /// Whether what is reserved keeps its bound, and is what the reads that were sent may be answered.
    #[must_use]
    pub fn is_within_bounds(&self) -> bool {
        let mut reserved: BTreeMap<NodeId, u64> = BTreeMap::new();
        for sent in self.sent.values().filter(|sent| sent.bytes > 0) {
            *reserved.entry(sent.node).or_default() += sent.bytes;
        }
        let kept = reserved.values().all(|bytes| self.rules.answers_fit(*bytes, self.limits.read_bytes_under_way_max));
        let counted = self.under_way.iter().filter(|(_, bytes)| **bytes > 0);
        kept && counted.eq(reserved.iter())
    }
}

/// In which line a read waits.
fn line_of(query: &Query) -> usize {
    match query {
        Query::Keys(_) | Query::Digest => 0,
        Query::Range(range) if range.table.lets_in() => 0,
        Query::Range(_) => 1,
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
