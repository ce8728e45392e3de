//! Every answer to a read: each row is a whole state of its record, written by a transaction that committed; rows come in
//! order, within their range and bound; and nothing is missing or older than what had been acknowledged before the read
//! began. This is all that a default list promises (regularity, Lamport 1986, for each record); strict reads promise more.

use skein_protocol::operation::{Query, Row};

use super::Violation;
use super::states::{States, within};
use crate::simulation::oracle::Oracle;

pub(crate) fn check(oracle: &Oracle, states: &States) -> Result<(), Violation> {
    for (place, call) in oracle.calls.iter().enumerate() {
        let (Some((query, _, rows, more)), Some(ended)) = (call.found(), call.ended) else { continue };
        let broken = |detail: String| Err(Violation::new("lists", format!("call {place}: {detail}")));
        if !is_well_formed(query, rows) {
            return broken(format!("rows out of order, range or bound: {rows:?}"));
        }
        for row in rows {
            let chain = states.chain(&row.key);
            let state = chain.and_then(|chain| chain.of_row(row).map(|state| (chain, state)));
            let Some((chain, state)) = state else { return broken(format!("{row:?} was never written")) };
            let stored = chain.writes[state - 1].stored.as_ref();
            if stored.is_none_or(|stored| stored.value != row.value) {
                return broken(format!("{row:?} is not what was written, {stored:?}"));
            }
            let acknowledged = chain.acknowledged_before(call.begun);
            if state < acknowledged {
                let (key, version, txn) = (&row.key, row.version.0, chain.writer(acknowledged));
                return broken(format!("{key:?} is shown in version {version}, older than what {txn:?} was acknowledged for"));
            }
        }
        for key in states.covered(query, rows, more) {
            let shown = rows.iter().any(|row| row.key == *key);
            let Some(chain) = states.chain(key).filter(|_| !shown) else { continue };
            if chain.absent_between(call.begun, ended).is_empty() {
                return broken(format!("{key:?} is missing, which had been acknowledged"));
            }
        }
    }
    Ok(())
}

fn is_well_formed(query: &Query, rows: &[Row]) -> bool {
    match query {
        Query::Keys(keys) => rows.is_sorted_by(|one, next| one.key < next.key) && rows.iter().all(|row| keys.contains(&row.key)),
        Query::Range(range) => {
            rows.len() <= range.rows_max as usize
                && rows.iter().all(|row| within(range, &row.key))
                && rows.is_sorted_by(|one, next| if range.descending { one.key > next.key } else { one.key < next.key })
        }
        Query::Digest => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::example::Example;
    use super::*;
    use skein_protocol::operation::{Answer, Consistency, Shared};
    use skein_protocol::step::Reply;

    fn result(example: &Example) -> Result<(), Violation> {
        check(&example.oracle, &States::new(&example.oracle, &example.ledger))
    }

    fn example() -> Example {
        let mut example = Example::default();
        example.put("a", 1).put("b", 1).put("a", 2);
        example
    }

    #[test]
    fn what_is_missing_or_stale_is_found_unless_the_read_began_before() {
        assert_eq!(result(example().list(Consistency::Arrival, &[("a", 2), ("b", 1)])), Ok(()));
        for wrong in [&[("a", 2)][..], &[("a", 1), ("b", 1)], &[("b", 1), ("a", 2)]] {
            assert_eq!(result(example().list(Consistency::Arrival, wrong)).unwrap_err().property, "lists", "{wrong:?}");
        }
        assert_eq!(result(example().list(Consistency::Arrival, &[("a", 1)]).began_at(3)), Ok(()));
    }

    #[test]
    fn a_row_that_nobody_wrote_is_found() {
        let mut example = example();
        example.list(Consistency::Strict, &[("a", 2), ("b", 1)]);
        let Some(Reply::Found(Answer::Rows { rows, .. })) = &mut example.oracle.calls[3].reply else { panic!("a list") };
        rows[0].value = Shared::from("half");
        assert_eq!(result(&example).unwrap_err().property, "lists");
    }
}
