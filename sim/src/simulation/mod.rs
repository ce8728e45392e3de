//! Whole clusters of the real machines in a hostile world (deterministic simulation, after FoundationDB and TigerBeetle's
//! VOPR): a coordinator, a second one beside it, two to five workers with their disks, a control store, connections and
//! clients, in virtual time, with one queue and one source of chance. A seed decides everything, so each failure comes with
//! the one number that shows it again.
//!
//! [`world`] is the cluster and [`phases`] the course of a run; [`plan`] is what a seed draws, [`faults`], [`inject`] and
//! [`damage`] what goes wrong. [`workload`] is what clients ask, [`oracle`] what they were told, [`ledger`] what the replicas did, and
//! [`checks`] what must be true of the two. [`campaign`] runs many seeds.

mod afterwards;
pub mod campaign;
pub mod checks;
mod client;
mod control;
mod crowd;
mod damage;
mod disk;
mod epilogue;
pub mod faults;
mod guest;
mod inbox;
mod inject;
mod ledger;
mod life;
mod lost_chunk;
pub mod mistake;
mod network;
mod node;
mod oracle;
mod outbox;
mod phases;
mod plan;
mod queue;
pub mod random;
mod recorder;
mod remade;
mod rival;
mod rollback;
mod roster;
mod rot;
pub mod seeds;
mod step;
mod tight;
mod trace;
mod trial;
mod visit;
mod withheld;
mod workload;
mod world;

pub use phases::{Report, Settings, run};
