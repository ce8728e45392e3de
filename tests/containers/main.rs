//! The image and `compose.yaml`, brought up for real by Docker: whether a fresh clone serves, whether what was acknowledged
//! survives a killed container and a restart of everything, whether the containers are as confined as they claim, and
//! whether each panel of the dashboard shows data of a cluster under load. They take minutes and need an engine, so they
//! run by `make container-test` alone. Each test has a project of its own and leaves nothing behind.

#![allow(clippy::unwrap_used)]

// Written for the tests that start processes; these here use a part of it.
#[allow(dead_code)]
#[path = "../cluster/crowd.rs"]
mod crowd;
#[allow(dead_code)]
#[path = "../cluster/harness/mod.rs"]
mod harness;

mod confinement;
mod dashboard;
mod stack;
mod survival;
