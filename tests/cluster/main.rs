//! Whole-cluster tests: the real executable as processes of the operating system, real sockets, a real disk and real kills.
//! They ask whether what the core promises still holds when everything around it is real; the simulator and the model
//! checker ask the same of the core alone, in many more interleavings.

#![allow(clippy::unwrap_used)]

mod bends;
mod chaos;
mod clients;
mod contention;
mod crowd;
mod damage;
mod disk;
mod faults;
mod harness;
mod history;
mod hostile;
mod identity;
mod leaders;
mod load;
mod memory;
mod network;
mod outcomes;
mod pauses;
mod readers;
mod restarts;
mod room;
mod roster;
mod rush;
mod salvage;
mod scene;
mod settings;
mod shutdown;
mod strangers;
mod survival;
mod tokens;
mod trace;
