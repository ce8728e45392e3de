//! Stories of the protocol: the machines of the core, joined by queues, and what clients hear when all goes well, and when nodes stop,
//! start and are cut from each other. Each file has a theme, and `world` has the words in which they are told. What can go wrong in any
//! other order is for the model checker and the simulator.
#![allow(clippy::unwrap_used, missing_docs)]

mod addresses;
mod comparison;
mod copies;
mod damage;
mod last_copy;
mod leaders;
mod limits;
mod losses;
mod memory;
mod outcomes;
mod reads;
mod rollback;
mod roster;
mod salvage;
mod silence;
mod started_empty;
mod strangers;
mod succession;
mod transactions;
mod window;
mod world;
