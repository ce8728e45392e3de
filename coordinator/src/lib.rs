//! The coordinator process of Skein.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod accounts;
pub mod clock;
pub mod cluster;
pub mod config;
pub mod http;
pub mod idempotency;
pub mod sessions;
pub mod tables;
pub mod tweets;
