//! A coordinator: runs transactions and reads for its clients and, as the leader, changes views.

use alloc::string::String;
use alloc::vec::Vec;

use crate::id::{ClusterId, Incarnation, NodeId};
use crate::membership::view::ViewRecord;
use crate::omission::Omissions;
use crate::step::{Input, Machine, Output};

/// A coordinator's settings.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CoordinatorConfig {
    /// Its identity in this run.
    pub node: NodeId,
    /// Its run, given out by the control store.
    pub incarnation: Incarnation,
    /// The identity that a new cluster gets, if the control store is empty.
    pub new_cluster: ClusterId,
    /// The addresses of the workers, as named in the settings. The first view forms when all have answered.
    pub workers: Vec<String>,
    /// What the control store held at the start.
    pub record: Option<ViewRecord>,
    /// Milliseconds between two rounds of housekeeping.
    pub sweep_ms: u64,
    /// Rounds that a request may take before its client is told what is known by then.
    pub request_sweeps: u8,
    /// Milliseconds that a view change waits for a member whose connection was lost before it leaves it out.
    pub grace_ms: u64,
    /// The same at the start, when machines may all be coming up.
    pub start_grace_ms: u64,
    /// Milliseconds that a member may take to answer within a view change.
    pub answer_ms: u64,
    /// Milliseconds before refused transactions and reads are tried again.
    pub retry_ms: u64,
    /// Rules left out, by tests only.
    pub omissions: Omissions,
}

/// The state machine of a coordinator.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Coordinator {
    config: CoordinatorConfig,
}

impl CoordinatorConfig {
    /// The usual settings of this run.
    #[must_use]
    pub fn new(
        node: NodeId,
        incarnation: Incarnation,
        new_cluster: ClusterId,
        workers: Vec<String>,
        record: Option<ViewRecord>,
    ) -> Self {
        CoordinatorConfig {
            node,
            incarnation,
            new_cluster,
            workers,
            record,
            sweep_ms: 250,
            request_sweeps: 20,
            grace_ms: 1_000,
            start_grace_ms: 5_000,
            answer_ms: 1_000,
            retry_ms: 5,
            omissions: Omissions::NONE,
        }
    }
}

impl Coordinator {
    /// A coordinator that knows only what the control store held.
    #[must_use]
    pub fn new(config: CoordinatorConfig) -> Self {
        Coordinator { config }
    }
}

impl Machine for Coordinator {
    fn handle(&mut self, _input: Input, _out: &mut Vec<Output>) {}
}
