//! Strict serializability: there is one order of all transactions and reads that explains every answer and agrees with real
//! time. It exists exactly if the direct serialization graph has no cycle (Adya 1999), with an edge from each transaction
//! to the next writer of a record, from a writer to its readers, from a reader to the next writer, and from whatever had
//! ended to whatever began after it. A strict read is one node, so it is of one moment; each record of a default read is a
//! node of its own, which is linearizability of single records (Herlihy and Wing 1990). The order of writes is known, so
//! the graph is too, and the check is linear in its size.

use std::collections::BTreeMap;

use skein_protocol::id::TxnId;
use skein_protocol::message::Outcome;
use skein_protocol::operation::{Action, Consistency, Key, Row};
use skein_protocol::step::{AbortReason, Reply};

use super::Violation;
use super::states::{State, States};
use crate::simulation::ledger::Ledger;
use crate::simulation::oracle::Oracle;

type Place = usize;

/// The graph.
#[derive(Default)]
struct Graph {
    nodes: Vec<Node>,
    next: Vec<Vec<Place>>,
}

/// What a node stands for.
#[derive(Clone, Copy)]
enum Node {
    Transaction(TxnId),
    Read(usize),
    /// All that has ended up to a moment.
    Time(u64),
}

pub(crate) fn check(oracle: &Oracle, ledger: &Ledger, states: &States) -> Result<(), Violation> {
    let mut graph = Graph::default();
    let mut spans: Vec<(Place, u64, Option<u64>)> = Vec::new();
    let mut transactions: BTreeMap<TxnId, Place> = BTreeMap::new();
    for (txn, ended) in &ledger.ended {
        let (Outcome::Committed, Some(call)) = (ended.outcome, ledger.attempts.get(txn)) else { continue };
        let call = &oracle.calls[*call as usize];
        let place = graph.add(Node::Transaction(*txn));
        transactions.insert(*txn, place);
        spans.push((place, call.begun, call.ended.filter(|_| matches!(call.reply, Some(Reply::Committed { .. })))));
    }
    for (_, chain) in states.all() {
        for pair in chain.writes.windows(2) {
            graph.edge(transactions.get(&pair[0].txn), transactions.get(&pair[1].txn));
        }
    }
    let read = |graph: &mut Graph, place: Place, key: &Key, state: State| {
        let Some(chain) = states.chain(key) else { return };
        let writer = |state| chain.writer(state).and_then(|txn| transactions.get(&txn));
        graph.edge(writer(state), Some(&place));
        graph.edge(Some(&place), writer(state + 1));
    };
    for (txn, place) in &transactions {
        let (Some(call), Some(versions)) = (ledger.attempts.get(txn), ledger.versions.get(txn)) else { continue };
        let operations = oracle.calls[*call as usize].operations().unwrap_or_default();
        for (operation, version) in operations.iter().zip(versions).filter(|(operation, _)| operation.action == Action::Check) {
            if let Some(state) = states.chain(&operation.key).and_then(|chain| chain.of_version(*version)) {
                read(&mut graph, *place, &operation.key, state);
            }
        }
    }
    for (number, call) in oracle.calls.iter().enumerate() {
        let (Some(ended), Some(reply)) = (call.ended, &call.reply) else { continue };
        if let (Some(operations), Reply::Aborted { reason: AbortReason::Expectation { operation, found: Some(found) }, .. }) =
            (call.operations(), reply)
        {
            // A refusal tells what was there: a read of one record.
            let key = &operations[usize::from(*operation)].key;
            if let Some(state) = states.chain(key).and_then(|chain| chain.of_version(*found)) {
                let place = graph.add(Node::Read(number));
                spans.push((place, call.begun, Some(ended)));
                read(&mut graph, place, key, state);
            }
        }
        let Some((query, consistency, rows, more)) = call.found() else { continue };
        let whole = (consistency == Consistency::Strict).then(|| graph.add(Node::Read(number)));
        spans.extend(whole.map(|place| (place, call.begun, Some(ended))));
        let mut shown: Vec<&Row> = rows.iter().collect();
        shown.sort_unstable_by_key(|row| &row.key);
        for key in states.covered(query, rows, more) {
            let Some(chain) = states.chain(key) else { continue };
            let state = match shown.binary_search_by_key(&key, |row| &row.key) {
                Ok(found) => chain.of_row(shown[found]),
                // Which of several absences it was can't be told, and each is as good as another.
                Err(_) => Some(chain.absent_between(call.begun, ended)).filter(|it| it.len() == 1).map(|it| it[0]),
            };
            let Some(state) = state else { continue };
            let place = whole.unwrap_or_else(|| {
                let place = graph.add(Node::Read(number));
                spans.push((place, call.begun, Some(ended)));
                place
            });
            read(&mut graph, place, key, state);
        }
    }
    graph.add_time(spans);
    match graph.cycle() {
        None => Ok(()),
        Some(cycle) => Err(Violation::new("serializability", graph.describe(&cycle))),
    }
}

impl Graph {
    fn add(&mut self, node: Node) -> Place {
        self.nodes.push(node);
        self.next.push(Vec::new());
        self.nodes.len() - 1
    }

    fn edge(&mut self, from: Option<&Place>, to: Option<&Place>) {
        if let (Some(from), Some(to)) = (from, to)
            && from != to
        {
            self.next[*from].push(*to);
        }
    }

    /// Real time: one node for each end, in a row; what ended leads into it, what begins later follows from it.
    fn add_time(&mut self, spans: Vec<(Place, u64, Option<u64>)>) {
        let mut moments: Vec<(u64, bool, Place)> = Vec::with_capacity(2 * spans.len());
        for (place, begun, ended) in spans {
            moments.push((begun, false, place));
            moments.extend(ended.map(|ended| (ended, true, place)));
        }
        moments.sort_unstable();
        let mut last: Option<(u64, Place)> = None;
        for (moment, ends, place) in moments {
            if !ends {
                self.edge(last.as_ref().map(|(_, last)| last), Some(&place));
                continue;
            }
            let now = match last {
                Some((at, now)) if at == moment => now,
                _ => {
                    let now = self.add(Node::Time(moment));
                    self.edge(last.as_ref().map(|(_, last)| last), Some(&now));
                    last = Some((moment, now));
                    now
                }
            };
            self.edge(Some(&place), Some(&now));
        }
    }

    /// A cycle, if there is one: takes away whatever has nothing before it (Kahn 1962) and follows what is left.
    fn cycle(&self) -> Option<Vec<Place>> {
        let mut before = vec![0_u32; self.nodes.len()];
        self.next.iter().flatten().for_each(|to| before[*to] += 1);
        let mut free: Vec<Place> = (0..self.nodes.len()).filter(|place| before[*place] == 0).collect();
        let mut taken = 0;
        while let Some(place) = free.pop() {
            taken += 1;
            for to in &self.next[place] {
                before[*to] -= 1;
                if before[*to] == 0 {
                    free.push(*to);
                }
            }
        }
        if taken == self.nodes.len() {
            return None;
        }
        // Each node that is left has one that is left before it: going backwards comes round.
        let mut previous = vec![None; self.nodes.len()];
        for (from, next) in self.next.iter().enumerate().filter(|(from, _)| before[*from] > 0) {
            next.iter().filter(|to| before[**to] > 0).for_each(|to| previous[*to] = Some(from));
        }
        let mut at = before.iter().position(|count| *count > 0)?;
        let mut seen = vec![false; self.nodes.len()];
        while !std::mem::replace(&mut seen[at], true) {
            at = previous[at]?;
        }
        let mut cycle = vec![at];
        let mut next = previous[at]?;
        while next != at {
            cycle.push(next);
            next = previous[next]?;
        }
        cycle.reverse();
        Some(cycle)
    }

    fn describe(&self, cycle: &[Place]) -> String {
        let name = |place: &Place| match self.nodes[*place] {
            Node::Transaction(txn) => format!("{txn}"),
            Node::Read(call) => format!("read #{call}"),
            Node::Time(moment) => format!("time {moment}"),
        };
        let mut names: Vec<String> = cycle.iter().map(name).collect();
        names.dedup_by(|one, other| one.starts_with("time") && other.starts_with("time"));
        format!("no order explains: {}, and again", names.join(" before "))
    }
}

#[cfg(test)]
mod tests {
    use super::super::example::Example;
    use super::*;
    use skein_protocol::operation::Expect;

    fn result(example: &Example) -> Result<(), Violation> {
        check(&example.oracle, &example.ledger, &States::new(&example.oracle, &example.ledger))
    }

    /// Two records, written one after the other, each twice; the second round runs beside the reads that follow.
    fn example() -> Example {
        let mut example = Example::default();
        example.put("a", 1).put("b", 1).put("a", 2).put("b", 2);
        example
    }

    #[test]
    fn a_strict_list_of_no_moment_is_found_and_a_default_one_may_be_so() {
        // The new b without the new a, which was acknowledged before b was written.
        let mixed = [("a", 1), ("b", 2)];
        assert_eq!(result(example().list(Consistency::Strict, &mixed).began_at(4)).unwrap_err().property, "serializability");
        assert_eq!(result(example().list(Consistency::Arrival, &mixed).began_at(4)), Ok(()));
        assert_eq!(result(example().list(Consistency::Strict, &[("a", 2), ("b", 1)]).began_at(4)), Ok(()));
    }

    #[test]
    fn a_read_that_goes_back_is_found() {
        let mut example = example_of_reads_in_a_row();
        assert_eq!(result(&example), Ok(()));
        example.list(Consistency::Arrival, &[("a", 1), ("b", 1)]);
        assert_eq!(result(&example).unwrap_err().property, "serializability");
    }

    /// A write to `a` that is never answered, and a read that saw it.
    fn example_of_reads_in_a_row() -> Example {
        let mut example = Example::default();
        example.put("a", 1).put("b", 1).put("a", 2);
        let write = example.oracle.calls.last_mut().unwrap();
        (write.ended, write.reply) = (None, None);
        example.list(Consistency::Arrival, &[("a", 2), ("b", 1)]);
        example
    }

    #[test]
    fn write_skew_is_found() {
        // Each checks what the other writes, and both find it unwritten.
        let mut example = Example::default();
        example.put("a", 1).put("b", 1);
        let begun = example.moment + 1;
        for (reads, writes) in [("a", "b"), ("b", "a")] {
            let check = skein_protocol::operation::Operation { action: Action::Check, ..example.operation(reads, Expect::Any) };
            let write = example.operation(writes, Expect::Any);
            example.commit(vec![check, write], &[1, 2]).began_at(begun);
        }
        assert_eq!(result(&example).unwrap_err().property, "serializability");
    }
}
