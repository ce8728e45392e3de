//! A point at which a process can be made to stop, so that a test can kill it between two steps that no timing would hit.
//! It exists in debug builds only, and does nothing unless it was armed.

use std::sync::atomic::{AtomicBool, Ordering};

use skein_protocol::message::{Message, Outcome};
use skein_protocol::step::Output;

static AFTER_VOTES: AtomicBool = AtomicBool::new(false);

/// The name is that of no point.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no fail point {0:?}, only after-votes")]
pub struct UnknownFailPoint(pub String);

/// Makes the process stop at this point: `after-votes` is when a coordinator has all votes for a commit, and neither a
/// decision nor an answer has left it yet.
///
/// # Errors
///
/// When there is no such point.
pub fn arm(name: &str) -> Result<(), UnknownFailPoint> {
    if name != "after-votes" {
        return Err(UnknownFailPoint(name.into()));
    }
    AFTER_VOTES.store(true, Ordering::Relaxed);
    Ok(())
}

/// Stops the process if the point that these outputs make is armed. None of them has been performed.
pub(crate) fn pass(outputs: &[Output]) {
    let commits =
        |output: &Output| matches!(output, Output::Send { message: Message::Decide { outcome: Outcome::Committed, .. }, .. });
    if AFTER_VOTES.load(Ordering::Relaxed) && outputs.iter().any(commits) {
        tracing::warn!("fail point after-votes: the process stops");
        std::process::abort();
    }
}
