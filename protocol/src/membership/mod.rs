//! Who belongs to the cluster, and how that changes: views, and the view change that settles what was in doubt.

pub mod allegiance;
mod choice;
pub mod comparison;
pub mod copy;
pub mod failure_detector;
pub mod joiners;
pub mod roster;
pub mod view;
pub mod view_change;
