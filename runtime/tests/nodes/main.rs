//! Drivers over real sockets and disks, with toy machines in place of the core's: what the runtime promises to any machine.

#![allow(clippy::unwrap_used)]

mod driving;
mod hostile;
mod reconnecting;
mod toy;
