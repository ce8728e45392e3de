//! A worker: one replica of the store, participant in transactions, member of views.

use alloc::vec::Vec;

use crate::omission::Omissions;
use crate::record::Snapshot;
use crate::step::{Input, Machine, Output};

/// A worker's settings.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct WorkerConfig {
    /// Bytes of records, prepared ones included, beyond which writes are refused; deletes and reads go on.
    pub memory_bytes_max: u64,
    /// Milliseconds between two rounds of housekeeping.
    pub sweep_ms: u64,
    /// Rounds after which a transaction without decision is reported to be in doubt (R11).
    pub doubt_sweeps: u8,
    /// Rules left out, by tests only.
    pub omissions: Omissions,
}

/// The state machine of a worker.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Worker {
    config: WorkerConfig,
    snapshot: Snapshot,
}

impl Default for WorkerConfig {
    fn default() -> Self {
        WorkerConfig { memory_bytes_max: 1 << 30, sweep_ms: 250, doubt_sweeps: 8, omissions: Omissions::NONE }
    }
}

impl Worker {
    /// A worker that starts from what its log adds up to.
    #[must_use]
    pub fn recover(config: WorkerConfig, snapshot: Snapshot) -> Self {
        Worker { config, snapshot }
    }
}

impl Machine for Worker {
    fn handle(&mut self, _input: Input, _out: &mut Vec<Output>) {}
}
