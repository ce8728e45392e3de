//! What the whole-cluster tests stand on: the real executable as processes, a network that fails on demand, a small HTTP
//! client, and waiting for a condition with a deadline. Nothing here but `impostor` knows the protocol; all that is asserted comes from
//! the outside of a process.

pub mod bits;
pub mod client;
pub mod cluster;
pub mod impostor;
pub mod process;
pub mod proxy;
pub mod small_disk;
pub mod stall;
pub mod strace;
pub mod wait;
