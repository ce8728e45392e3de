//! Strict serializability: there is one order of all transactions and reads that explains every answer and agrees with real
//! time. It exists exactly if the direct serialization graph has no cycle (Adya 1999), with an edge from each transaction
//! to the next writer of a record, from a writer to its readers, from a reader to the next writer, and from whatever had
//! ended to whatever began after it. A strict read is one node, so it is of one moment; each record of a default read is a
//! node of its own, which is linearizability of single records (Herlihy and Wing 1990). The order of writes is known, so
//! the graph is too, and the check is linear in its size.

use std::collections::BTreeMap;
use std::fmt::{Display, Formatter};

use skein_protocol::id::TxnId;
use skein_protocol::message::Outcome;
use skein_protocol::operation::{Action, Consistency, Key, Row};
use skein_protocol::step::{AbortReason, Reply};

use super::Violation;
use super::states::{State, States};
use crate::precedence::{Place, Precedence, Span};
use crate::simulation::ledger::Ledger;
use crate::simulation::oracle::Oracle;

/// What a node stands for.
#[derive(Clone, Copy)]
enum Node {
    Transaction(TxnId),
    Read(usize),
}

impl Display for Node {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        match self {
            Node::Transaction(txn) => write!(f, "{txn}"),
            Node::Read(call) => write!(f, "read #{call}"),
        }
    }
}

pub(crate) fn check(oracle: &Oracle, ledger: &Ledger, states: &States) -> Result<(), Violation> {
    let mut graph = Precedence::default();
    let mut spans: Vec<Span> = Vec::new();
    let mut transactions: BTreeMap<TxnId, Place> = BTreeMap::new();
    for (txn, ended) in &ledger.ended {
        let (Outcome::Committed, Some(call)) = (ended.outcome, ledger.attempts.get(txn)) else { continue };
        let call = &oracle.calls[*call as usize];
        let place = graph.add(Node::Transaction(*txn));
        transactions.insert(*txn, place);
        let ended = call.ended.filter(|_| matches!(call.reply, Some(Reply::Committed { .. })));
        spans.push(Span { place, began: call.begun, ended });
    }
    for (_, chain) in states.all() {
        for pair in chain.writes.windows(2) {
            graph.edge(transactions.get(&pair[0].txn).copied(), transactions.get(&pair[1].txn).copied());
        }
    }
    let read = |graph: &mut Precedence<Node>, place: Place, key: &Key, state: State| {
        let Some(chain) = states.chain(key) else { return };
        let writer = |state| chain.writer(state).and_then(|txn| transactions.get(&txn).copied());
        graph.edge(writer(state), Some(place));
        graph.edge(Some(place), writer(state + 1));
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
                spans.push(Span { place, began: call.begun, ended: Some(ended) });
                read(&mut graph, place, key, state);
            }
        }
        let Some((query, consistency, rows, more)) = call.found() else { continue };
        let whole = (consistency == Consistency::Strict).then(|| graph.add(Node::Read(number)));
        spans.extend(whole.map(|place| Span { place, began: call.begun, ended: Some(ended) }));
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
                spans.push(Span { place, began: call.begun, ended: Some(ended) });
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
