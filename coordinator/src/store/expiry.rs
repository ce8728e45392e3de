//! The sweep: rows that carry their own end (sessions, remembered answers, tokens, outcomes) are removed some time after it. They count as gone
//! from the moment they end, whether swept or not; the sweep only gives their room back. It goes through a table to its end, a
//! page at a time with a breath between two, and deletes in small transactions that expect the versions it saw, so that it
//! never removes what was just renewed and hardly disturbs anyone; several coordinators may sweep at once. How fast it goes
//! is bounded by the breath and not by the pause, so that rows can't be written faster than they are removed for long.

use std::time::Duration;

use skein_protocol::operation::{Action, Consistency, Expect, Operation, Range, Row, Shared};
use skein_runtime::shutdown::Shutdown;
use tracing::{debug, info, warn};

use super::clock::Timestamp;
use super::cluster::{Cluster, Error};
use super::row::{Table, Unreadable};
use super::tables;

/// Rows of a page.
const PAGE_ROWS: u32 = 500;

/// Rows that one transaction deletes.
const DELETES_MAX: usize = 32;

/// The breath between two pages: a table is read at no more than 25,000 rows in a second.
const BREATH: Duration = Duration::from_millis(20);

/// A table that is swept, and how far the sweep has come.
struct Swept {
    table: Table,
    from: Option<Shared>,
}

/// What became of a page.
#[derive(Default)]
struct Page {
    /// Rows that were removed.
    removed: usize,
    /// A row that a newer program wrote, which is left alone.
    newer: Option<Unreadable>,
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
    fn all() -> Vec<Self> {
        let swept = tables::ALL.into_iter().filter(|table| table.expires);
        swept.map(|table| Swept { table, from: None }).collect()
    }

    /// Sweeps all pages up to the table's end.
    async fn round(&mut self, cluster: &Cluster, shutdown: &mut Shutdown) {
        let mut swept = Page::default();
        loop {
            match self.page(cluster, Timestamp::now()).await {
                Ok(page) => {
                    swept.removed += page.removed;
                    swept.newer = swept.newer.or(page.newer);
                }
                // The next round comes anyway, and goes on where this one stopped.
                Err(error) => {
                    debug!(table.name = self.table.name, %error, "the sweep was put off");
                    break;
                }
            }
            if self.from.is_none() || over(shutdown, BREATH).await {
                break;
            }
        }
        if let Some(newer) = swept.newer {
            warn!(table.name = self.table.name, "the sweep leaves alone what it can't read: {newer}");
        }
        if swept.removed > 0 {
            info!(table.name = self.table.name, rows.count = swept.removed, "removed {} expired rows", swept.removed);
        }
    }

    /// Sweeps the next page.
    async fn page(&mut self, cluster: &Cluster, now: Timestamp) -> Result<Page, Error> {
        let range = Range { table: self.table.id, from: self.from.clone(), until: None, descending: false, rows_max: PAGE_ROWS };
        let page = cluster.scan(range, Consistency::Arrival).await?;
        let mut swept = Page::default();
        let mut expired: Vec<&Row> = Vec::new();
        for row in &page.rows {
            match self.table.has_ended(&row.value, now) {
                Ok(true) => expired.push(row),
                Ok(false) | Err(Unreadable::Malformed { .. }) => {}
                Err(newer @ Unreadable::Newer { .. }) => swept.newer = Some(newer),
            }
        }
        for rows in expired.chunks(DELETES_MAX) {
            let deletes = rows.iter().map(|row| Operation {
                key: row.key.clone(),
                expect: Expect::Version(row.version),
                action: Action::Delete,
            });
            match cluster.commit(deletes.collect()).await {
                Ok(_) => swept.removed += rows.len(),
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
        Ok(swept)
    }
}

#[cfg(test)]
mod tests {
    use skein_protocol::operation::Key;
    use skein_runtime::shutdown;

    use super::*;
    use crate::store::memory::Memory;
    use crate::store::tables::IDEMPOTENCY;

    /// An answer that is remembered until then.
    fn answer(ends: u64) -> Vec<u8> {
        format!("{{\"fingerprint\":\"\",\"expires_at\":{ends},\"answer\":null}}").into_bytes()
    }

    /// Answers of which every third has not ended.
    fn filled(count: u32) -> Memory {
        let memory = Memory::default();
        for number in 0..count {
            let ends = if number % 3 == 0 { u64::MAX } else { 1 };
            memory.put(Key::new(IDEMPOTENCY.id, number.to_be_bytes().as_slice()), answer(ends));
        }
        memory
    }

    async fn one_round(memory: &Memory) {
        let (_trigger, mut shutdown) = shutdown::channel();
        for table in &mut Swept::all() {
            table.round(&memory.cluster(), &mut shutdown).await;
            assert!(table.from.is_none(), "the next round begins at the table's beginning");
        }
    }

    #[tokio::test]
    async fn one_round_removes_all_that_has_ended_however_many_pages_it_is() {
        let memory = filled(3 * PAGE_ROWS);
        one_round(&memory).await;
        assert_eq!(memory.rows(IDEMPOTENCY.id).len(), PAGE_ROWS as usize);
    }

    #[tokio::test]
    async fn a_row_that_was_renewed_meanwhile_holds_up_none_behind_it() {
        let memory = filled(3 * PAGE_ROWS);
        memory.meanwhile(|memory| memory.put(Key::new(IDEMPOTENCY.id, 1_u32.to_be_bytes().as_slice()), answer(u64::MAX)));
        one_round(&memory).await;
        let left = memory.rows(IDEMPOTENCY.id).len();
        assert_eq!(left, PAGE_ROWS as usize + DELETES_MAX, "only what shared its transaction waits for the next round");
    }

    #[tokio::test]
    async fn rows_of_a_newer_format_are_not_swept_and_hold_up_no_others() {
        let memory = Memory::default();
        for Swept { table, .. } in Swept::all() {
            let row = |format: u32| format!("{{\"format\":{format},\"fingerprint\":\"\",\"answer\":null,\"expires_at\":1}}");
            memory.put(Key::new(table.id, "newer"), row(table.format + 1).into_bytes());
            memory.put(Key::new(table.id, "known"), row(table.format).into_bytes());
        }
        one_round(&memory).await;
        for Swept { table, .. } in Swept::all() {
            let left = memory.rows(table.id);
            assert!(matches!(&left[..], [row] if row.key == Key::new(table.id, "newer")), "{}: {left:?}", table.name);
        }
    }

    #[tokio::test]
    async fn the_shutdown_ends_a_round() {
        let memory = filled(3 * PAGE_ROWS);
        let (trigger, mut shutdown) = shutdown::channel();
        trigger.start();
        let mut answers = Swept { table: IDEMPOTENCY, from: None };
        answers.round(&memory.cluster(), &mut shutdown).await;
        assert!(answers.from.is_some());
    }
}
