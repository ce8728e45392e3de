//! The copy that a worker keeps while it makes a new one: the last of which it was a member, whole. It is there until the worker is a
//! member again, since until then it may be the only copy of some record, and a person can go back to it. An interrupted copy
//! never takes its place. On the disk it keeps the number that its records have; what was prepared and decided then is stored with it.
//!
//! ```text
//! 0 kept                        its number, its view, its low-water marks
//! 5 bundle                      -> Prepared ...
//! 6 bundle                      -> Decided ...
//! ```

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use skein_protocol::id::{Incarnation, ViewNumber};
use skein_protocol::membership::view::Standing;

use super::{
    COPY_KEY, Contents, DATA, DECIDED, FORGOTTEN, KEPT_KEY, PREPARED, SALVAGED_KEY, STANDING_KEY, VIEW_KEY, copy_key,
    incarnation_key,
};
use crate::disk::{Database, DiskError};

/// What was prepared, and decided, when the copy was left.
pub(super) const KEPT_PREPARED: u8 = 5;
pub(super) const KEPT_DECIDED: u8 = 6;

/// Entries of an interrupted copy that are removed at once when a person goes back.
const REMOVED_AT_ONCE: usize = 4 * 1024;

/// A copy that is kept.
pub(super) struct Kept {
    pub(super) head: Head,
    /// The keys of its bundles.
    pub(super) bundles: Vec<Vec<u8>>,
}

/// What is said of it in one entry.
#[derive(Serialize, Deserialize)]
pub(super) struct Head {
    /// The number that its records have.
    pub(super) copy: u32,
    /// The view that the worker was a member of.
    pub(super) view: ViewNumber,
    pub(super) forgotten: BTreeMap<Incarnation, u64>,
}

/// Makes the kept copy the worker's own again, as a member of its old view of whose records a part was given up. The copy that was
/// interrupted is removed first, group by group: a worker that dies meanwhile is a learner as before, and begins it again.
pub(super) fn go_back(database: &mut Database, contents: &Contents) -> Result<ViewNumber, DiskError> {
    let Some(Kept { head, bundles }) = &contents.kept else { return Err(database.damaged("it keeps no copy")) };
    database.require_room()?;
    loop {
        let keys = database.keys(&copy_key(head.copy + 1), &[DATA + 1], REMOVED_AT_ONCE)?;
        if keys.is_empty() {
            break;
        }
        keys.into_iter().for_each(|key| database.remove(key));
        database.apply()?;
    }
    for key in database.keys(&[PREPARED], &[FORGOTTEN + 1], usize::MAX)? {
        database.remove(key);
    }
    for key in bundles {
        let value = database.get(key)?.ok_or_else(|| database.damaged("a part of the kept copy is missing"))?;
        let kind = if key[0] == KEPT_PREPARED { PREPARED } else { DECIDED };
        database.put([&[kind], &key[1..]].concat(), value);
        database.remove(key.as_slice());
    }
    for (incarnation, below) in &head.forgotten {
        database.put(&incarnation_key(*incarnation), &below.to_be_bytes());
    }
    database.put(COPY_KEY, &head.copy.to_be_bytes());
    database.put(VIEW_KEY, &head.view.0.to_be_bytes());
    database.put(STANDING_KEY, postcard::to_allocvec(&Standing::Member).expect("a standing is plain data"));
    database.put(SALVAGED_KEY, &[]);
    database.remove(KEPT_KEY);
    database.apply()?;
    database.sync()?;
    Ok(head.view)
}
