//! Performs what the core decides. The machines of `skein_protocol` are pure: they take one input and say what is to be
//! done. This crate does it, and is the only one that touches sockets, disks and time for them.
//!
//! A process is put together so:
//!
//! 1. [`telemetry::init`] starts logs and traces, [`metrics::RuntimeMetrics`] the counters.
//! 2. A worker opens its log with [`wal::sled::open`] (or starts from [`wal::memory::empty`] without one) and gets the
//!    snapshot that its machine starts from; a coordinator opens its [`control`] store.
//! 3. A [`transport::Endpoint`] says where to listen or whom to dial, and as whom.
//! 4. [`driver::spawn`] starts the machine with all of these. Its [`driver::Handle`] takes requests.
//! 5. [`http::server`] accepts what clients and probes ask for, within bounds, and hands it to the process.
//! 6. [`shutdown`] ends it in order: no new requests, drain, sync, clean-stop mark, telemetry last.
//!
//! What happens to one message: a reader task decodes a whole frame and queues it; the driver takes all that has queued,
//! gives the machine one input after the other, appends the records of the whole batch to the log at once and encodes each
//! message into its peer's send buffer; a writer task sends the buffer as one frame. The log's own thread syncs once for all
//! that has queued. Nothing is spawned, and no lock is held over a wait, for a single message.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod control;
pub mod disk;
pub mod driver;
#[cfg(debug_assertions)]
pub mod fail_point;
pub mod formats;
pub mod http;
pub mod metrics;
pub mod shutdown;
pub mod telemetry;
pub mod transport;
pub mod wal;

mod phases;
mod spans;
mod timers;
