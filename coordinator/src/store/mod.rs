//! The rooms' way to the replicated store. [`cluster`] is the door: commit, read, scan. [`write`] is the recipe that every write of
//! a room follows, [`once`] what makes a repeated request do nothing twice, `turns` the order of those that want the same records
//! at the same time. [`tables`] numbers the tables, [`row`] says how their rows are written and what older and newer ones mean, [`cursor`]
//! where a page of them ends; [`expiry`] removes what has outlived its time, [`outcomes`] remembers how transactions ended for those
//! who ask later.

pub mod clock;
pub mod cluster;
pub mod cursor;
pub mod once;
pub mod outcomes;
pub mod row;
pub mod seen;
pub mod tables;
pub mod write;

#[cfg(any(test, feature = "testing"))]
pub mod memory;

pub(crate) mod expiry;
mod problem;
mod turns;
