//! The two machines that processes run, each composed of the parts that decide one concern.

pub mod coordinator;
pub mod worker;
