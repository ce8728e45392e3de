//! Which workers the cluster is meant to have: those named in the settings, with the changes that people have made since. The
//! changes stand in the control store with the view, so they hold for good, whatever a later start names.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::limits;
use crate::step::RosterRefusal;

/// What people have changed about the workers named in the settings, by address. No address is in both lists.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Changes {
    /// Taken in beside them.
    pub added: Vec<String>,
    /// Not wanted any more.
    pub removed: Vec<String>,
}

/// The workers' addresses: `named` in their order, without the removed, then the added.
#[must_use]
pub fn roster(named: &[String], changes: &Changes) -> Vec<String> {
    let wanted = named.iter().filter(|address| !changes.removed.contains(address));
    let added = changes.added.iter().filter(|address| !named.contains(address));
    wanted.chain(added).cloned().collect()
}

/// The changes with one more worker.
///
/// # Errors
/// When there are as many as a view can hold.
pub fn add(named: &[String], changes: &Changes, address: &str) -> Result<Changes, RosterRefusal> {
    let mut next = changes.clone();
    next.removed.retain(|removed| removed != address);
    let was_removed = next.removed.len() < changes.removed.len();
    let is_known = next.added.iter().chain(named.iter().filter(|_| !was_removed)).any(|known| known == address);
    // One that was removed and is wanted again is so for good, whatever a later start names.
    if !is_known {
        next.added.push(address.into());
    }
    if roster(named, &next).len() > limits::MEMBERS_MAX { Err(RosterRefusal::Full) } else { Ok(next) }
}

/// The changes with one worker less.
///
/// # Errors
/// When there is none at this address.
pub fn remove(named: &[String], changes: &Changes, address: &str) -> Result<Changes, RosterRefusal> {
    let mut next = changes.clone();
    next.added.retain(|added| added != address);
    if named.iter().any(|known| known == address) && !next.removed.iter().any(|removed| removed == address) {
        next.removed.push(address.into());
    }
    if next == *changes { Err(RosterRefusal::NotThere) } else { Ok(next) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::string::ToString;
    use alloc::vec;

    fn texts(addresses: &[&str]) -> Vec<String> {
        addresses.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_people_change_holds_whatever_is_named_later() {
        let named = texts(&["a", "b"]);
        let changes = add(&named, &Changes::default(), "c").unwrap();
        let changes = remove(&named, &changes, "a").unwrap();
        assert_eq!(roster(&named, &changes), texts(&["b", "c"]));
        assert_eq!(roster(&texts(&["a", "b", "c", "d"]), &changes), texts(&["b", "c", "d"]));
        assert_eq!(remove(&named, &changes, "a"), Err(RosterRefusal::NotThere));
        assert_eq!(remove(&named, &changes, "x"), Err(RosterRefusal::NotThere));
        let back = add(&named, &remove(&named, &changes, "c").unwrap(), "a").unwrap();
        assert_eq!(back, Changes { added: texts(&["a"]), removed: vec![] });
        assert_eq!(roster(&texts(&["b"]), &back), texts(&["b", "a"]), "for good, whatever is named later");
        assert_eq!(add(&named, &back, "b"), Ok(back.clone()), "it is there already");
    }

    #[test]
    fn there_are_no_more_than_a_view_can_hold() {
        let named: Vec<String> = (0..limits::MEMBERS_MAX).map(|it| format!("w{it}")).collect();
        assert_eq!(add(&named, &Changes::default(), "one more"), Err(RosterRefusal::Full));
        let less = remove(&named, &Changes::default(), "w0").unwrap();
        assert_eq!(add(&named, &less, "one more").unwrap().added, vec!["one more"]);
    }
}
