//! The one door between the domain and the replicated store: commit, read, scan. Another store stands behind Skein if it
//! implements [`Engine`].
//!
//! The rule it keeps: *unknown* is an error of its own. It is never tried again here and never turned into a failure,
//! since the transaction may yet commit (the two generals' problem leaves no other honest answer).

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use skein_protocol::id::{TraceContext, TxnId, Version};
use skein_protocol::operation::{Answer, Consistency, Key, Operation, Query, Range, Row};
use skein_protocol::step::{AbortReason, Refusal, Reply, Request};
use skein_runtime::driver::Handle;
use skein_runtime::telemetry;
use tracing::field::Empty;
use tracing::{Instrument, info_span};

use super::clock::Timestamp;
use super::row::Unreadable;
use crate::metrics::NodeMetrics;

/// What is done or found, in a while.
pub type Promise<'a, T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send + 'a>>;

/// A store of versioned records with transactions. An engine that stops answers [`Error::Stopped`]; what was asked may have
/// happened then.
pub trait Engine: Send + Sync + 'static {
    /// Runs one transaction: all operations, or none.
    fn commit(&self, operations: Vec<Operation>, trace: Option<TraceContext>) -> Promise<'_, Committed>;

    /// Reads records by their keys, or a stretch of a table.
    fn read(&self, query: Query, consistency: Consistency, trace: Option<TraceContext>) -> Promise<'_, Page>;
}

/// The cluster as the domain sees it.
#[derive(Clone)]
pub struct Cluster {
    engine: Arc<dyn Engine>,
    metrics: NodeMetrics,
}

/// A committed transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// Its id.
    pub txn: TxnId,
    /// The version that each operation wrote.
    pub versions: Vec<Version>,
}

/// Rows of one table, and whether there are more behind them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The rows, in the order asked for.
    pub rows: Vec<Row>,
    /// Whether the range goes on.
    pub more: bool,
}

/// Why the cluster did not do what it was asked for. Reads meet neither of the first two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The transaction was aborted everywhere and never happened.
    #[error("transaction {txn} was aborted: {}", Reason(.reason))]
    Aborted {
        /// The transaction.
        txn: TxnId,
        /// Why.
        reason: AbortReason,
    },
    /// Whether the transaction committed is not known yet.
    #[error("whether transaction {txn} committed is not known yet")]
    Unknown {
        /// The transaction.
        txn: TxnId,
    },
    /// Too much is under way; nothing was done.
    #[error("too many requests are under way")]
    Overloaded,
    /// No view serves at the moment; nothing was done.
    #[error("the cluster does not serve at the moment")]
    Unavailable,
    /// The engine stopped before it replied; what was asked for may have happened.
    #[error("this coordinator is stopping; what was asked for may have happened")]
    Stopped,
    /// The request breaks a bound of the protocol, or the reply was of another kind than asked for: a fault in this program.
    #[error("the request breaks a bound of the store")]
    Invalid,
    /// A row can't be read by this program. What was asked for depends on it and was not done.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
}

impl Error {
    /// Whether what was asked for may have happened all the same.
    #[must_use]
    pub fn may_have_happened(&self) -> bool {
        matches!(self, Error::Unknown { .. } | Error::Stopped)
    }
}

struct Reason<'a>(&'a AbortReason);

impl fmt::Display for Reason<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            AbortReason::Expectation { .. } => "a record was not as expected",
            AbortReason::Memory => "a worker's memory is full; reads, deletes and log-ins of existing accounts go on",
            AbortReason::Contention => "older transactions stood in its way each time",
        })
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Overloaded => Error::Overloaded,
            Refusal::Unavailable => Error::Unavailable,
            Refusal::Invalid => Error::Invalid,
        }
    }
}

impl Engine for Handle {
    fn commit(&self, operations: Vec<Operation>, trace: Option<TraceContext>) -> Promise<'_, Committed> {
        let request = Request::Commit { operations, clock: Timestamp::now().0, trace };
        Box::pin(async {
            match ask(self, request).await? {
                Reply::Committed { txn, versions } => Ok(Committed { txn, versions }),
                Reply::Aborted { txn, reason } => Err(Error::Aborted { txn, reason }),
                Reply::Unknown { txn } => Err(Error::Unknown { txn }),
                _ => Err(Error::Invalid),
            }
        })
    }

    fn read(&self, query: Query, consistency: Consistency, trace: Option<TraceContext>) -> Promise<'_, Page> {
        let request = Request::Read { query, consistency, clock: Timestamp::now().0, trace };
        Box::pin(async {
            match ask(self, request).await? {
                Reply::Found(Answer::Rows { rows, more }) => Ok(Page { rows, more }),
                _ => Err(Error::Invalid),
            }
        })
    }
}

/// Asks this coordinator's machine; a refusal is an error.
pub(crate) async fn ask(machine: &Handle, request: Request) -> Result<Reply, Error> {
    match machine.request(request).await {
        Ok(Reply::Refused(refusal)) => Err(refusal.into()),
        Ok(reply) => Ok(reply),
        Err(_) => Err(Error::Stopped),
    }
}

impl Cluster {
    /// The cluster behind this engine.
    pub fn new(engine: impl Engine, metrics: NodeMetrics) -> Self {
        Cluster { engine: Arc::new(engine), metrics }
    }

    /// Runs one transaction: all operations, or none.
    ///
    /// # Errors
    /// All of [`Error`].
    pub async fn commit(&self, operations: Vec<Operation>) -> Result<Committed, Error> {
        let begun = Instant::now();
        let span = info_span!("txn", txn.id = Empty, operation.count = operations.len(), outcome = Empty);
        let result = self.engine.commit(operations, telemetry::trace_of(&span)).instrument(span.clone()).await;
        let (txn, outcome) = match &result {
            Ok(committed) => (Some(committed.txn), "committed"),
            Err(Error::Aborted { txn, .. }) => (Some(*txn), "aborted"),
            Err(Error::Unknown { txn }) => (Some(*txn), "unknown"),
            Err(Error::Overloaded | Error::Unavailable | Error::Stopped | Error::Invalid | Error::Unreadable(_)) => {
                (None, "refused")
            }
        };
        span.record("txn.id", txn.map(tracing::field::display));
        span.record("outcome", outcome);
        self.metrics.transaction(outcome, begun.elapsed());
        result
    }

    /// Reads these records, each as of now; absent ones are left out.
    ///
    /// # Errors
    /// Overloaded, unavailable or invalid.
    pub async fn read(&self, keys: Vec<Key>) -> Result<Vec<Row>, Error> {
        Ok(self.rows(Query::Keys(keys), Consistency::Arrival).await?.rows)
    }

    /// Reads these records, all as of one instant; absent ones are left out.
    ///
    /// # Errors
    /// Overloaded, unavailable or invalid.
    pub async fn read_at_once(&self, keys: Vec<Key>) -> Result<Vec<Row>, Error> {
        Ok(self.rows(Query::Keys(keys), Consistency::Strict).await?.rows)
    }

    /// Reads one record as of now, strictly serializable.
    ///
    /// # Errors
    /// Overloaded, unavailable or invalid.
    pub async fn read_one(&self, key: Key) -> Result<Option<Row>, Error> {
        Ok(self.read(vec![key]).await?.pop())
    }

    /// Reads a stretch of a table.
    ///
    /// # Errors
    /// Overloaded, unavailable or invalid.
    pub async fn scan(&self, range: Range, consistency: Consistency) -> Result<Page, Error> {
        self.rows(Query::Range(range), consistency).await
    }

    async fn rows(&self, query: Query, consistency: Consistency) -> Result<Page, Error> {
        let span = info_span!("read");
        let trace = telemetry::trace_of(&span);
        self.engine.read(query, consistency, trace).instrument(span).await
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cluster")
    }
}
