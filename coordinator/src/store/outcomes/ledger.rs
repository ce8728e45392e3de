//! What a coordinator itself knows of how transactions ended, and what of it is yet to be written to rows.

use skein_protocol::id::TxnId;
use skein_protocol::step::{KnownOutcome, Reply, Request, Unrecorded};
use skein_runtime::driver::Handle;

use crate::store::cluster::{Error, Promise, ask};

/// What this coordinator itself knows of how transactions ended.
pub trait Ledger: Send + Sync + 'static {
    /// How a transaction ended, as far as this coordinator knows.
    fn outcome(&self, txn: TxnId) -> Promise<'_, KnownOutcome>;

    /// Whether a view serves.
    fn serves(&self) -> Promise<'_, bool>;

    /// What has ended that somebody may still ask for, and stands in no row yet.
    fn unrecorded(&self) -> Promise<'_, Unrecorded>;

    /// These outcomes stand in rows now; with `runs`, so does what is known of the runs before this one.
    fn recorded(&self, outcomes: Vec<TxnId>, runs: bool) -> Promise<'_, ()>;
}

impl Ledger for Handle {
    fn outcome(&self, txn: TxnId) -> Promise<'_, KnownOutcome> {
        Box::pin(async move {
            match ask(self, Request::Outcome { txn }).await? {
                Reply::Outcome(outcome) => Ok(outcome),
                _ => Err(Error::Invalid),
            }
        })
    }

    fn serves(&self) -> Promise<'_, bool> {
        Box::pin(async {
            match ask(self, Request::Status).await? {
                Reply::Coordinator(status) => Ok(status.serving),
                _ => Err(Error::Invalid),
            }
        })
    }

    fn unrecorded(&self) -> Promise<'_, Unrecorded> {
        Box::pin(async {
            match ask(self, Request::Unrecorded).await? {
                Reply::Unrecorded(unrecorded) => Ok(unrecorded),
                _ => Err(Error::Invalid),
            }
        })
    }

    fn recorded(&self, outcomes: Vec<TxnId>, runs: bool) -> Promise<'_, ()> {
        Box::pin(async move {
            match ask(self, Request::Recorded { outcomes, runs }).await? {
                Reply::Noted => Ok(()),
                _ => Err(Error::Invalid),
            }
        })
    }
}
