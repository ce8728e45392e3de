//! Reads, which one member of the active view answers from its replica: the worker's side and the coordinator's.

pub mod replica;
pub mod router;
