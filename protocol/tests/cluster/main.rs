//! The machines of the core, joined by queues: what clients hear when all goes well, and when nodes stop and start. What can go
//! wrong in between is for the model checker and the simulator.
#![allow(clippy::unwrap_used, missing_docs)]

mod addresses;
mod damage;
mod edges;
mod leaders;
mod limits;
mod membership;
mod outcomes;
mod reads;
mod rollback;
mod salvage;
mod transactions;
mod window;
mod world;
