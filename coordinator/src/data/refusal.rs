//! Why a transaction was refused: which of its expectations did not hold, and what was found instead. All of them are looked
//! at in one instant, after one is known to have failed; should all hold by then, the transaction is tried again.

use skein_protocol::id::Version;
use skein_protocol::operation::Expect;

use super::{DataKey, Write};
use crate::store::write::Found;

/// An expectation that did not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unmet {
    /// Which of the writes, counted from 0.
    pub index: usize,
    /// Its key.
    pub key: DataKey,
    /// What was expected.
    pub expected: Expect,
    /// The version that was found; `None` if there was nothing.
    pub found: Option<Version>,
}

/// Those expectations of `writes` that do not hold of what was found; those of other keys than `known` are left out.
pub(super) fn unmet(writes: &[Write], found: &Found, known: impl Fn(&Write) -> bool) -> Vec<Unmet> {
    let unmet = writes.iter().enumerate().filter(|(_, write)| known(write)).filter_map(|(index, write)| {
        let key = write.key.row();
        let fails = !found.meets(&key, write.expect);
        fails.then(|| Unmet { index, key: write.key.clone(), expected: write.expect, found: found.version(&key) })
    });
    unmet.collect()
}
