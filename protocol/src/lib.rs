//! The pure core of Skein: two-phase commit across replicas, the transactional store of a replica, and the view change
//! that settles what a crash left in doubt, as state machines without I/O, clock or randomness.
//!
//! [`step`] is the contract: one door, inputs and outputs. [`node`] holds the two machines that a process runs;
//! they are composed of [`commit`], [`store`] and [`membership`]. [`invariant`] names what must always hold.
//!
//! Only ordered collections are used, so that a state can be hashed and a run repeated; `no_std` keeps it so.

#![cfg_attr(test, allow(clippy::unwrap_used))]
#![no_std]

extern crate alloc;

pub mod commit;
pub mod id;
pub mod invariant;
pub mod journal;
pub mod limits;
pub mod membership;
pub mod message;
pub mod node;
pub mod operation;
pub mod read;
pub mod record;
pub mod rules;
pub mod step;
pub mod store;
