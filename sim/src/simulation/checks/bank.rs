//! What a workload itself promises, checked from what clients read alone. Strict reads of all accounts show the same sum
//! (a snapshot in the sense of Berenson et al. 1995, with no money made or lost), and of two states of a list one is the
//! beginning of the other, with no call in it twice (Elle, Kingsbury and Alvaro 2020).

use std::collections::BTreeMap;

use skein_protocol::operation::{Consistency, Key, Query};

use super::Violation;
use crate::simulation::oracle::Oracle;
use crate::simulation::workload::bank::{OPENING, balance};
use crate::simulation::workload::{ACCOUNTS, LISTS, content};

pub(crate) fn check(oracle: &Oracle) -> Result<(), Violation> {
    let mut longest: BTreeMap<&Key, &[u8]> = BTreeMap::new();
    for (place, call) in oracle.calls.iter().enumerate() {
        let Some((query, consistency, rows, more)) = call.found() else { continue };
        let whole = match query {
            Query::Keys(keys) => keys.iter().all(|key| key.table == ACCOUNTS),
            Query::Range(range) => range.table == ACCOUNTS && range.from.is_none() && range.until.is_none() && !more,
            Query::Digest => false,
        };
        if whole && consistency == Consistency::Strict {
            let sum: i64 = rows.iter().map(|row| balance(content(&row.value))).sum();
            let opened = OPENING * i64::try_from(rows.len()).expect("few accounts");
            if sum != opened {
                return Err(Violation::new("bank", format!("call {place} found {sum} in {} accounts", rows.len())));
            }
        }
        for row in rows.iter().filter(|row| row.key.table == LISTS) {
            let list = content(&row.value);
            let known = longest.entry(&row.key).or_insert(list);
            let (short, long) = if known.len() < list.len() { (*known, list) } else { (list, *known) };
            if !long.starts_with(short) || repeats(list) {
                return Err(Violation::new("appends", format!("call {place} found {list:?} where {known:?} was found")));
            }
            *known = long;
        }
    }
    Ok(())
}

fn repeats(list: &[u8]) -> bool {
    let mut calls: Vec<&[u8]> = list.chunks(4).collect();
    calls.sort_unstable();
    calls.windows(2).any(|pair| pair[0] == pair[1])
}

#[cfg(test)]
mod tests {
    use super::super::example::{Example, txn};
    use super::*;
    use skein_protocol::id::Version;
    use skein_protocol::operation::{Answer, Row, Shared, TableId};
    use skein_protocol::step::Reply;

    use crate::simulation::oracle::Ask;

    fn read(table: TableId, values: &[&[u8]]) -> Oracle {
        let mut example = Example::default();
        for (place, value) in values.iter().enumerate() {
            let key = Key::new(table, if table == LISTS { "l".into() } else { format!("a{place}") }.as_str());
            let row = Row { key: key.clone(), version: Version(1), written_by: txn(1), value: Shared::from(*value) };
            example.ask(
                Ask::Read(Query::Keys(vec![key]), Consistency::Strict),
                Reply::Found(Answer::Rows { rows: vec![row], more: false }),
            );
        }
        example.oracle
    }

    #[test]
    fn money_that_is_made_or_lost_is_found() {
        let holds = |balance: i64| [&[0; 4][..], &balance.to_be_bytes()].concat();
        assert_eq!(check(&read(ACCOUNTS, &[&holds(OPENING)])), Ok(()));
        assert_eq!(check(&read(ACCOUNTS, &[&holds(OPENING - 1)])).unwrap_err().property, "bank");
    }

    #[test]
    fn lists_that_part_or_repeat_are_found() {
        let list = |calls: &[u8]| calls.iter().flat_map(|call| [0, 0, 0, *call]).collect::<Vec<u8>>();
        let value = |calls: &[u8]| [vec![9; 4], list(calls)].concat();
        assert_eq!(check(&read(LISTS, &[&value(&[1]), &value(&[1, 2]), &value(&[])])), Ok(()));
        assert_eq!(check(&read(LISTS, &[&value(&[1, 3]), &value(&[1, 2])])).unwrap_err().property, "appends");
        assert_eq!(check(&read(LISTS, &[&value(&[1, 1])])).unwrap_err().property, "appends");
    }
}
