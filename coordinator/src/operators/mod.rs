//! What operators do: look at the cluster, change which workers it has, and prove that they are operators.

pub mod console;
pub mod key;
pub mod roster;
