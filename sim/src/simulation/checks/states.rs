//! The states of each record in their order, and what clients have been promised about them by when.

use std::collections::BTreeMap;

use skein_protocol::id::{TxnId, Version};
use skein_protocol::operation::{Key, Query, Range, Row};
use skein_protocol::step::Reply;

use crate::simulation::ledger::{Applied, Ledger};
use crate::simulation::oracle::{Call, Oracle};

/// A state of a record: 0 before its first write, `n` after its `n`th.
pub(crate) type State = usize;

/// The states of all records.
pub(crate) struct States<'a> {
    chains: BTreeMap<&'a Key, Chain<'a>>,
}

/// The states of one record.
pub(crate) struct Chain<'a> {
    pub(crate) writes: &'a [Applied],
    /// When the call of each write began; the greatest number if nobody knows of one.
    begun: Vec<u64>,
    /// By moment: the latest state that had been acknowledged by then.
    acknowledged: Vec<(u64, State)>,
    by_version: BTreeMap<Version, Vec<State>>,
    absent: Vec<State>,
}

impl<'a> States<'a> {
    pub(crate) fn new(oracle: &Oracle, ledger: &'a Ledger) -> Self {
        let chains = ledger.chains.iter().map(|(key, writes)| (key, Chain::new(writes, oracle, ledger)));
        States { chains: chains.collect() }
    }

    pub(crate) fn chain(&self, key: &Key) -> Option<&Chain<'a>> {
        self.chains.get(key)
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = (&'a Key, &Chain<'a>)> {
        self.chains.iter().map(|(key, chain)| (*key, chain))
    }

    /// The keys that an answer to this query speaks about, those without a record included.
    pub(crate) fn covered(&self, query: &Query, rows: &[Row], more: bool) -> Vec<&'a Key> {
        match query {
            Query::Keys(keys) => keys.iter().filter_map(|key| self.chains.get_key_value(key).map(|(key, _)| *key)).collect(),
            Query::Range(range) => {
                let last = rows.last().map(|row| &row.key).filter(|_| more);
                let beyond = |key: &Key| last.is_some_and(|last| if range.descending { key < last } else { key > last });
                self.chains.keys().copied().filter(|key| within(range, key) && !beyond(key)).collect()
            }
            Query::Digest => Vec::new(),
        }
    }
}

/// Whether a key lies in a range.
pub(crate) fn within(range: &Range, key: &Key) -> bool {
    key.table == range.table
        && range.from.as_ref().is_none_or(|from| *from <= key.bytes)
        && range.until.as_ref().is_none_or(|until| key.bytes < *until)
}

impl<'a> Chain<'a> {
    fn new(writes: &'a [Applied], oracle: &Oracle, ledger: &Ledger) -> Self {
        let mut chain =
            Chain { writes, begun: Vec::new(), acknowledged: Vec::new(), by_version: BTreeMap::new(), absent: vec![0] };
        for (place, write) in writes.iter().enumerate() {
            let state = place + 1;
            let call = ledger.attempts.get(&write.txn).map(|call| &oracle.calls[*call as usize]);
            chain.begun.push(call.map_or(u64::MAX, |call| call.begun));
            if let Some(Call { ended: Some(ended), reply: Some(Reply::Committed { .. }), .. }) = call {
                chain.acknowledged.push((*ended, state));
            }
            match &write.stored {
                None => chain.absent.push(state),
                Some(stored) => chain.by_version.entry(stored.version).or_default().push(state),
            }
        }
        chain.acknowledged.sort_unstable();
        let mut latest = 0;
        for (_, state) in &mut chain.acknowledged {
            latest = latest.max(*state);
            *state = latest;
        }
        chain
    }

    /// The state that had been acknowledged before this moment: nothing later may show an earlier one.
    pub(crate) fn acknowledged_before(&self, moment: u64) -> State {
        let place = self.acknowledged.partition_point(|(ended, _)| *ended < moment);
        place.checked_sub(1).map_or(0, |place| self.acknowledged[place].1)
    }

    /// The state with this version, if there is only one.
    pub(crate) fn of_version(&self, version: Version) -> Option<State> {
        self.by_version.get(&version).filter(|states| states.len() == 1).map(|states| states[0])
    }

    /// The state that a row shows.
    pub(crate) fn of_row(&self, row: &Row) -> Option<State> {
        let states = self.by_version.get(&row.version)?;
        states.iter().copied().find(|state| self.writer(*state) == Some(row.written_by))
    }

    /// The states without a record that a read between these moments can have seen.
    pub(crate) fn absent_between(&self, begun: u64, ended: u64) -> Vec<State> {
        let earliest = self.acknowledged_before(begun);
        let possible = |state: &State| *state >= earliest && (*state == 0 || self.begun[*state - 1] < ended);
        self.absent.iter().copied().filter(possible).collect()
    }

    /// The transaction that made a state.
    pub(crate) fn writer(&self, state: State) -> Option<TxnId> {
        state.checked_sub(1).and_then(|place| self.writes.get(place)).map(|write| write.txn)
    }

    /// The state that a transaction found, and replaced.
    pub(crate) fn before(&self, txn: TxnId) -> Option<State> {
        self.writes.iter().position(|write| write.txn == txn)
    }

    /// The version of the record in a state, if there is a record.
    pub(crate) fn version(&self, state: State) -> Option<Version> {
        let stored = self.writes.get(state.checked_sub(1)?)?.stored.as_ref();
        stored.map(|stored| stored.version)
    }
}

#[cfg(test)]
mod tests {
    use super::super::example::Example;
    use super::*;

    #[test]
    fn states_follow_from_what_was_acknowledged() {
        let mut example = Example::default();
        example.put("a", 5).delete("a").put("a", 9);
        let states = States::new(&example.oracle, &example.ledger);
        let chain = states.chain(&super::super::example::key("a")).unwrap();
        assert_eq!(chain.acknowledged_before(0), 0);
        assert_eq!(chain.acknowledged_before(u64::MAX), 3);
        assert_eq!(chain.of_version(Version(9)), Some(3));
        assert_eq!(chain.absent_between(0, u64::MAX), [0, 2]);
        assert!(chain.absent_between(u64::MAX, u64::MAX).is_empty());
    }
}
