//! Asks the checker about the machines of the core: whether the promises hold in every interleaving of small worlds, and
//! whether it would see them broken. Each rule is left out once, and each promise is broken once by hand.

mod omissions;
mod simulation;
mod violations;
mod waiting;
mod worlds;
