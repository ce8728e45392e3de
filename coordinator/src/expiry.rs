//! The sweep: rows that carry their own end (sessions, remembered answers) are removed some time after it. They count as gone
//! from the moment they end, whether swept or not; the sweep only gives their room back. It goes through a table a page at a
//! time and deletes in small transactions that expect the versions it saw, so that it never removes what was just renewed
//! and hardly disturbs anyone; several coordinators may sweep at once.

use std::time::Duration;

use skein_protocol::operation::{Action, Consistency, Expect, Operation, Range, Row, Shared, TableId};
use skein_runtime::shutdown::Shutdown;
use tracing::{debug, info};

use crate::clock::Timestamp;
use crate::cluster::{Cluster, Error};
use crate::tables::{IDEMPOTENCY, SESSIONS};
use crate::{idempotency, sessions};

/// Rows of a page.
const PAGE_ROWS: u32 = 500;

/// Rows that one transaction deletes.
const DELETES_MAX: usize = 32;

/// A table that is swept, how its rows say when they end, and how far the sweep has come.
struct Swept {
    table: TableId,
    expired: fn(&[u8], Timestamp) -> bool,
    from: Option<Shared>,
}

/// Sweeps a page of each table after each pause, until the shutdown starts.
pub async fn sweep(cluster: Cluster, pause: Duration, mut shutdown: Shutdown) {
    let mut tables = [
        Swept { table: SESSIONS, expired: sessions::expired, from: None },
        Swept { table: IDEMPOTENCY, expired: idempotency::expired, from: None },
    ];
    loop {
        tokio::select! {
            () = shutdown.wait() => return,
            () = tokio::time::sleep(pause) => {}
        }
        for table in &mut tables {
            match table.page(&cluster, Timestamp::now()).await {
                Ok(0) => {}
                Ok(removed) => info!(table.id = table.table.0, rows.count = removed, "removed {removed} expired rows"),
                // The next round comes anyway.
                Err(error) => debug!(table.id = table.table.0, %error, "the sweep was put off"),
            }
        }
    }
}

impl Swept {
    /// Sweeps the next page; gives how many rows were removed.
    async fn page(&mut self, cluster: &Cluster, now: Timestamp) -> Result<usize, Error> {
        let range = Range { table: self.table, from: self.from.clone(), until: None, descending: false, rows_max: PAGE_ROWS };
        let page = cluster.scan(range, Consistency::Arrival).await?;
        let expired: Vec<&Row> = page.rows.iter().filter(|row| (self.expired)(&row.value, now)).collect();
        for rows in expired.chunks(DELETES_MAX) {
            let deletes = rows.iter().map(|row| Operation {
                key: row.key.clone(),
                expect: Expect::Version(row.version),
                action: Action::Delete,
            });
            cluster.commit(deletes.collect()).await?;
        }
        // The next page begins right behind the last key, or at the table's beginning again.
        self.from = page.rows.last().filter(|_| page.more).map(|row| {
            let mut next = row.key.bytes.to_vec();
            next.push(0);
            Shared::from(next)
        });
        Ok(expired.len())
    }
}
