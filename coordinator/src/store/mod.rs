//! The rooms' way to the replicated store: [`write`] is the recipe that every write of theirs follows, [`once`] what makes a
//! repeated request do nothing twice, `turns` the order of those that want the same records at the same time.

pub mod once;
pub mod write;

#[cfg(any(test, feature = "testing"))]
pub mod memory;

mod turns;
