//! Which workers the cluster is meant to have, as people change it: one more, or one less, for good. The core decides and
//! answers when the next view brings it about; here addresses are checked as those of the command line are, and the wait has an
//! end. A change that nobody waits for any more may come about all the same, and the error says so.

use std::time::Duration;

use skein_protocol::limits::MEMBERS_MAX;
use skein_protocol::membership::roster::Changes;
use skein_protocol::membership::view::ViewRecord;
use skein_protocol::step::{RosterChange, RosterRefusal};
use tokio::time::Instant;
use tracing::{info, warn};

use super::console::Console;
use crate::config::worker_address::{self, SECRET_MISSING};
use crate::store::cluster;

/// How long the view is waited for that a change needs: longer than one takes that waits for a lost member, and for one that
/// does not answer.
const CHANGED_WITHIN: Duration = Duration::from_secs(10);

/// How often it is asked whether another change is still under way.
const ASKED_EVERY: Duration = Duration::from_millis(100);

/// The workers that the cluster is meant to have.
#[derive(Clone, Debug)]
pub struct Roster {
    console: Console,
    /// Those named in the settings.
    named: Vec<String>,
    /// Whether the cluster has a secret: else all workers are on this machine.
    secret: bool,
}

/// The workers that the cluster is meant to have, and what people have changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Workers {
    /// All, by address.
    pub workers: Vec<String>,
    /// Of these, those that people have added to the settings.
    pub added: Vec<String>,
    /// Those that the settings name, or named, and that people have removed.
    pub removed: Vec<String>,
}

/// Why the workers were not changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No worker can be at this address.
    #[error("{0}")]
    Address(String),
    /// There are as many as a view can hold.
    #[error("there are {MEMBERS_MAX} workers, as many as are allowed; remove one first")]
    Full,
    /// There is none at this address.
    #[error("the cluster is not meant to have a worker at {0}")]
    NotThere(String),
    /// No other member has a trusted copy of all records.
    #[error(
        "no other member that is connected holds all records in a copy that is trusted; add another worker and wait until it is a \
         member, or mend a copy that is not trusted (see the runbooks)"
    )]
    LastCopy,
    /// Another change, or a view change, is under way.
    #[error("another change has been under way for {} s; try again in a moment", CHANGED_WITHIN.as_secs())]
    Busy,
    /// The view did not come in time.
    #[error(
        "the change waits for a view that has not become active within {} s; it may still come about: look at the workers before \
         trying again",
        CHANGED_WITHIN.as_secs()
    )]
    Pending,
    /// The core did not answer as it should.
    #[error(transparent)]
    Cluster(#[from] cluster::Error),
}

impl Roster {
    /// Of this cluster, whose settings name these workers.
    #[must_use]
    pub fn new(console: Console, named: Vec<String>, secret: bool) -> Self {
        Roster { console, named, secret }
    }

    /// The workers as they are meant to be now.
    ///
    /// # Errors
    /// When the core does not answer.
    pub async fn list(&self) -> Result<Workers, Error> {
        let status = self.console.status().await?;
        Ok(self.describe(status.roster, status.record.as_ref()))
    }

    /// One more: it is taken in as soon as it answers.
    ///
    /// # Errors
    /// When it is not; the change may still come about if it is [`Error::Pending`].
    pub async fn add(&self, address: &str) -> Result<Workers, Error> {
        let address = self.address(address)?;
        if !self.secret && !worker_address::is_loopback(&address) {
            return Err(Error::Address(SECRET_MISSING.to_owned()));
        }
        self.change(RosterChange::Add(address)).await
    }

    /// One less: the next view goes without it.
    ///
    /// # Errors
    /// When it stays; the change may still come about if it is [`Error::Pending`].
    pub async fn remove(&self, address: &str) -> Result<Workers, Error> {
        let address = self.address(address)?;
        self.change(RosterChange::Remove(address)).await
    }

    /// Where a worker is, or the name of one that runs within this process.
    fn address(&self, text: &str) -> Result<String, Error> {
        match self.named.iter().find(|named| *named == text) {
            Some(named) => Ok(named.clone()),
            None => worker_address::parse(text).map_err(Error::Address),
        }
    }

    async fn change(&self, change: RosterChange) -> Result<Workers, Error> {
        let (RosterChange::Add(address) | RosterChange::Remove(address)) = &change;
        let (address, adds) = (address.clone(), matches!(change, RosterChange::Add(_)));
        let end = Instant::now() + CHANGED_WITHIN;
        let answer = loop {
            let changed = tokio::time::timeout_at(end, self.console.change_roster(change.clone())).await;
            let answer = changed.map_err(|_| Error::Pending)??;
            // A view change takes some milliseconds, or the time that somebody is waited for.
            if answer != Err(RosterRefusal::Busy) || end.saturating_duration_since(Instant::now()) < ASKED_EVERY {
                break answer;
            }
            tokio::time::sleep(ASKED_EVERY).await;
        };
        match answer {
            Ok(_) => {}
            Err(RosterRefusal::Full) => return Err(Error::Full),
            Err(RosterRefusal::NotThere) => return Err(Error::NotThere(address)),
            Err(RosterRefusal::LastCopy) => return Err(Error::LastCopy),
            Err(RosterRefusal::Busy) => return Err(Error::Busy),
        }
        let verb = if adds { "added" } else { "removed" };
        info!(worker.address = address, roster.change = verb, "an operator has {verb} the worker at {address}");
        self.list().await
    }

    fn describe(&self, workers: Vec<String>, record: Option<&ViewRecord>) -> Workers {
        let Changes { added, removed } = record.map(|record| record.roster.clone()).unwrap_or_default();
        Workers { added: added.into_iter().filter(|address| !self.named.contains(address)).collect(), removed, workers }
    }
}

/// Says where what people have changed differs from what this start names.
pub fn log_changes(named: &[String], record: Option<&ViewRecord>) {
    let Some(record) = record else { return };
    for address in record.roster.added.iter().filter(|address| !named.contains(address)) {
        warn!(
            worker.address = address,
            "the worker at {address} was added by an operator and is not named by the settings: it belongs to the cluster all the same"
        );
    }
    for address in record.roster.removed.iter().filter(|address| named.contains(address)) {
        warn!(
            worker.address = address,
            "the worker at {address} is named by the settings and was removed by an operator: it is not taken in"
        );
    }
}
