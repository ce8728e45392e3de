//! The surface as its clients meet it: a real coordinator on a real socket, in front of real worker machines on sockets of
//! their own. One module for each part of the contract; every wait is for a condition and has a bound.

#![allow(clippy::unwrap_used)]

mod harness;

mod accounts;
mod answers;
mod bookmarks;
mod cluster;
mod connections;
mod contract;
mod data;
mod expiry;
mod hostile;
mod idempotency;
mod login;
mod races;
mod roster;
mod rows;
mod tokens;
mod transactions;
mod tweets;
