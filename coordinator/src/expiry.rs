//! The sweep: rows that carry their own end (sessions, remembered answers, tokens, outcomes) are removed some time after it. They count as gone
//! from the moment they end, whether swept or not; the sweep only gives their room back. It goes through a table to its end, a
//! page at a time with a breath between two, and deletes in small transactions that expect the versions it saw, so that it
//! never removes what was just renewed and hardly disturbs anyone; several coordinators may sweep at once. How fast it goes
//! is bounded by the breath and not by the pause, so that rows can't be written faster than they are removed for long.

use std::time::Duration;

use skein_protocol::operation::{Action, Consistency, Expect, Operation, Range, Row, Shared, TableId};
use skein_runtime::shutdown::Shutdown;
use tracing::{debug, info};

use crate::clock::Timestamp;
use crate::cluster::{Cluster, Error};
use crate::tables::{IDEMPOTENCY, OUTCOMES, SESSIONS, TOKENS};
use crate::store::once;
use crate::{outcomes, sessions, tokens};

/// Rows of a page.
const PAGE_ROWS: u32 = 500;

/// Rows that one transaction deletes.
const DELETES_MAX: usize = 32;

/// The breath between two pages: a table is read at no more than 25,000 rows in a second.
const BREATH: Duration = Duration::from_millis(20);

/// A table that is swept, how its rows say when they end, and how far the sweep has come.
struct Swept {
    table: TableId,
    expired: fn(&[u8], Timestamp) -> bool,
    from: Option<Shared>,
}

/// Sweeps each table to its end after each pause, until the shutdown starts.
pub async fn sweep(cluster: Cluster, pause: Duration, mut shutdown: Shutdown) {
    let mut tables = Swept::all();
    while !over(&mut shutdown, pause).await {
        for table in &mut tables {
            table.round(&cluster, &mut shutdown).await;
        }
    }
}

/// Waits; says whether the shutdown started meanwhile.
async fn over(shutdown: &mut Shutdown, wait: Duration) -> bool {
    tokio::select! {
        () = shutdown.wait() => true,
        () = tokio::time::sleep(wait) => false,
    }
}

impl Swept {
    fn all() -> [Self; 4] {
        [
            Swept { table: SESSIONS, expired: sessions::expired, from: None },
            Swept { table: IDEMPOTENCY, expired: once::expired, from: None },
            Swept { table: TOKENS, expired: tokens::expired, from: None },
            Swept { table: OUTCOMES, expired: outcomes::expired, from: None },
        ]
    }

    /// Sweeps all pages up to the table's end.
    async fn round(&mut self, cluster: &Cluster, shutdown: &mut Shutdown) {
        let mut removed = 0;
        loop {
            match self.page(cluster, Timestamp::now()).await {
                Ok(rows) => removed += rows,
                // The next round comes anyway, and goes on where this one stopped.
                Err(error) => {
                    debug!(table.id = self.table.0, %error, "the sweep was put off");
                    break;
                }
            }
            if self.from.is_none() || over(shutdown, BREATH).await {
                break;
            }
        }
        if removed > 0 {
            info!(table.id = self.table.0, rows.count = removed, "removed {removed} expired rows");
        }
    }

    /// Sweeps the next page; gives how many rows were removed.
    async fn page(&mut self, cluster: &Cluster, now: Timestamp) -> Result<usize, Error> {
        let range = Range { table: self.table, from: self.from.clone(), until: None, descending: false, rows_max: PAGE_ROWS };
        let page = cluster.scan(range, Consistency::Arrival).await?;
        let mut removed = 0;
        let expired: Vec<&Row> = page.rows.iter().filter(|row| (self.expired)(&row.value, now)).collect();
        for rows in expired.chunks(DELETES_MAX) {
            let deletes = rows.iter().map(|row| Operation {
                key: row.key.clone(),
                expect: Expect::Version(row.version),
                action: Action::Delete,
            });
            match cluster.commit(deletes.collect()).await {
                Ok(_) => removed += rows.len(),
                // One of them was renewed or removed meanwhile. The next round sees what is left of the others.
                Err(Error::Aborted { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        // The next page begins right behind the last key, or at the table's beginning again.
        self.from = page.rows.last().filter(|_| page.more).map(|row| {
            let mut next = row.key.bytes.to_vec();
            next.push(0);
            Shared::from(next)
        });
        Ok(removed)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::future::Future;
    use std::pin::Pin;
    use std::sync::{Arc, Mutex};

    use prometheus::Registry;
    use skein_protocol::id::{Incarnation, TxnId, Version};
    use skein_protocol::operation::{Answer, Key, Query};
    use skein_protocol::step::{AbortReason, Reply, Request};
    use skein_runtime::shutdown;

    use super::*;
    use crate::cluster::Engine;
    use crate::metrics::CoordinatorMetrics;

    const TXN: TxnId = TxnId { incarnation: Incarnation(1), sequence: 1 };

    /// Rows that can be read and deleted; the one named was renewed since it was read.
    #[derive(Clone, Default)]
    struct Rows(Arc<Mutex<BTreeMap<Key, Shared>>>, Option<Key>);

    impl Rows {
        fn answer(&self, request: Request) -> Reply {
            let mut rows = self.0.lock().unwrap();
            match request {
                Request::Read { query: Query::Range(range), .. } => {
                    let from = Key::new(range.table, range.from.unwrap_or_else(|| Shared::from(Vec::new())));
                    let rows_max = range.rows_max as usize;
                    let row = |(key, value): (&Key, &Shared)| Row {
                        key: key.clone(),
                        version: Version(1),
                        written_by: TXN,
                        value: value.clone(),
                    };
                    let mut found: Vec<Row> =
                        rows.range(from..).take_while(|(key, _)| key.table == range.table).map(row).take(rows_max + 1).collect();
                    let more = found.len() > rows_max;
                    found.truncate(rows_max);
                    Reply::Found(Answer::Rows { rows: found, more })
                }
                Request::Commit { operations, .. } => {
                    let touched = operations.iter().position(|operation| Some(&operation.key) == self.1.as_ref());
                    if let Some(operation) = touched {
                        let operation = u16::try_from(operation).unwrap();
                        let reason = AbortReason::Expectation { operation, found: Some(Version(2)) };
                        return Reply::Aborted { txn: TXN, reason };
                    }
                    for operation in &operations {
                        assert_eq!((operation.expect, &operation.action), (Expect::Version(Version(1)), &Action::Delete));
                        rows.remove(&operation.key);
                    }
                    Reply::Committed { txn: TXN, versions: Vec::new() }
                }
                other => panic!("the sweep asked for {other:?}"),
            }
        }

        fn cluster(&self) -> Cluster {
            let registry = Registry::new();
            Cluster::new(self.clone(), CoordinatorMetrics::register(&registry).unwrap().node("test", &[]))
        }
    }

    impl Engine for Rows {
        fn request(&self, request: Request) -> Pin<Box<dyn Future<Output = Option<Reply>> + Send + '_>> {
            Box::pin(async { Some(self.answer(request)) })
        }
    }

    /// Answers of which every third has not ended.
    fn filled(count: u32) -> Rows {
        let rows = Rows::default();
        for number in 0..count {
            let ends = if number % 3 == 0 { u64::MAX } else { 1 };
            let value = format!("{{\"fingerprint\":\"\",\"expires_at\":{ends},\"answer\":null}}").into_bytes();
            let key = Key::new(IDEMPOTENCY, number.to_be_bytes().as_slice());
            rows.0.lock().unwrap().insert(key, value.into());
        }
        rows
    }

    async fn one_round(rows: &Rows) {
        let (_trigger, mut shutdown) = shutdown::channel();
        for table in &mut Swept::all() {
            table.round(&rows.cluster(), &mut shutdown).await;
            assert!(table.from.is_none(), "the next round begins at the table's beginning");
        }
    }

    #[tokio::test]
    async fn one_round_removes_all_that_has_ended_however_many_pages_it_is() {
        let rows = filled(3 * PAGE_ROWS);
        one_round(&rows).await;
        assert_eq!(rows.0.lock().unwrap().len(), PAGE_ROWS as usize);
    }

    #[tokio::test]
    async fn a_row_that_was_renewed_meanwhile_holds_up_none_behind_it() {
        let mut rows = filled(3 * PAGE_ROWS);
        rows.1 = Some(Key::new(IDEMPOTENCY, 1_u32.to_be_bytes().as_slice()));
        one_round(&rows).await;
        let left = rows.0.lock().unwrap().len();
        assert_eq!(left, PAGE_ROWS as usize + DELETES_MAX, "only what shared its transaction waits for the next round");
    }

    #[tokio::test]
    async fn the_shutdown_ends_a_round() {
        let rows = filled(3 * PAGE_ROWS);
        let (trigger, mut shutdown) = shutdown::channel();
        trigger.start();
        let [_, mut answers, _, _] = Swept::all();
        answers.round(&rows.cluster(), &mut shutdown).await;
        assert!(answers.from.is_some());
    }
}
