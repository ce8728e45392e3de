//! A point at which a process can be made to stop, so that a test can kill it between two steps that no timing would hit.
//! It exists in debug builds only, and does nothing unless it was armed.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, Ordering};

use skein_protocol::message::{Message, Outcome};
use skein_protocol::step::Output;

/// Commits until the process stops; 0 if it is not to stop.
static COMMITS_LEFT: AtomicU32 = AtomicU32::new(0);

/// The name is that of no point.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no fail point {0:?}, only after-votes, or after-votes:N for the Nth commit")]
pub struct UnknownFailPoint(pub String);

/// Makes the process stop at this point: `after-votes` is when a coordinator has all votes for a commit, and neither a
/// decision nor an answer has left it yet; `after-votes:N` is that of the Nth commit.
///
/// # Errors
///
/// When there is no such point.
pub fn arm(name: &str) -> Result<(), UnknownFailPoint> {
    let unknown = || UnknownFailPoint(name.into());
    let commits = match name.split_once(':') {
        None if name == "after-votes" => 1,
        Some(("after-votes", number)) => number.parse().ok().filter(|number| *number > 0).ok_or_else(unknown)?,
        _ => return Err(unknown()),
    };
    COMMITS_LEFT.store(commits, Ordering::Relaxed);
    Ok(())
}

/// Stops the process if the point that these outputs make is armed. None of them has been performed.
pub(crate) fn pass(outputs: &[Output]) {
    let left = COMMITS_LEFT.load(Ordering::Relaxed);
    if left == 0 {
        return;
    }
    let committed = |output: &Output| match output {
        Output::Send { message: Message::Decide { txn, outcome: Outcome::Committed, .. }, .. } => Some(*txn),
        _ => None,
    };
    let commits = outputs.iter().filter_map(committed).collect::<BTreeSet<_>>().len();
    match left.checked_sub(u32::try_from(commits).unwrap_or(u32::MAX)) {
        Some(left) if left > 0 => COMMITS_LEFT.store(left, Ordering::Relaxed),
        _ => {
            tracing::warn!("fail point after-votes: the process stops");
            std::process::abort();
        }
    }
}
