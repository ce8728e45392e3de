//! What operators ask of this coordinator itself, and not of the store: how it stands, whether the replicas are equal, and which
//! workers there are to be.

use std::fmt;
use std::sync::Arc;

use skein_protocol::id::{NodeId, ViewNumber};
use skein_protocol::operation::Digest;
use skein_protocol::step::{CoordinatorStatus, Reply, Request, RosterChange, RosterRefusal};
use skein_runtime::driver::Handle;

use crate::store::cluster::{Error, Promise, ask};

/// A coordinator that can be asked. Each question may hear that the coordinator is overloaded, does not serve, or stops.
pub trait Questions: Send + Sync + 'static {
    /// How it stands.
    fn status(&self) -> Promise<'_, CoordinatorStatus>;

    /// The view, and the digest of every member at a common point; a member that did not answer in time is missing.
    fn digests(&self) -> Promise<'_, (ViewNumber, Vec<(NodeId, Digest)>)>;

    /// Changes for good which workers the cluster is meant to have; answers when the view is active that brings it about, with
    /// the workers then, or with why they stay as they were.
    fn change_roster(&self, change: RosterChange) -> Promise<'_, Result<Vec<String>, RosterRefusal>>;
}

/// Where operators ask. Clones ask the same coordinator.
#[derive(Clone)]
pub struct Console(Arc<dyn Questions>);

impl Console {
    /// The console of this coordinator.
    pub fn new(coordinator: impl Questions) -> Self {
        Console(Arc::new(coordinator))
    }
}

impl std::ops::Deref for Console {
    type Target = dyn Questions;

    fn deref(&self) -> &Self::Target {
        &*self.0
    }
}

impl fmt::Debug for Console {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Console")
    }
}

impl Questions for Handle {
    fn status(&self) -> Promise<'_, CoordinatorStatus> {
        Box::pin(async {
            match ask(self, Request::Status).await? {
                Reply::Coordinator(status) => Ok(*status),
                _ => Err(Error::Invalid),
            }
        })
    }

    fn digests(&self) -> Promise<'_, (ViewNumber, Vec<(NodeId, Digest)>)> {
        Box::pin(async {
            match ask(self, Request::Digests).await? {
                Reply::Digests { view, digests } => Ok((view, digests)),
                _ => Err(Error::Invalid),
            }
        })
    }

    fn change_roster(&self, change: RosterChange) -> Promise<'_, Result<Vec<String>, RosterRefusal>> {
        Box::pin(async {
            match ask(self, Request::Roster(change)).await? {
                Reply::Roster(workers) => Ok(Ok(workers)),
                Reply::RosterRefused(refusal) => Ok(Err(refusal)),
                _ => Err(Error::Invalid),
            }
        })
    }
}
