//! Who belongs to the cluster, and how that changes: views, and the view change that settles what was in doubt.

pub mod copy;
pub mod view;
pub mod view_change;
