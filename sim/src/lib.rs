//! The adversary of Skein: it takes the state machines of `skein-protocol`, the very ones that the processes run, and
//! asks whether anything that can happen to them breaks a promise.
//!
//! [`model`] is a small world (a control store, a coordinator, two or three workers with disks, connections, clients)
//! whose every interleaving is explored; [`waiting`] does the same for the lock table's rule of who may wait for whom.
//! [`simulation`] plays large random worlds: whole clusters in virtual time, with every kind of fault.
//! All leave out single rules of the protocol on demand, to show that the break is found.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod guard;
pub mod model;
pub mod part;
pub mod precedence;
pub mod simulation;
pub mod waiting;
