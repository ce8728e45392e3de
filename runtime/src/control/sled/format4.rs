//! The control store's format 4, which did not say which coordinator announced a view. A store of this format is converted to the
//! current one when it is opened. The announcer of its views stays unknown, and all copies of the store agree on that.

use serde::Deserialize;
use skein_protocol::id::{ClusterId, Incarnation, NodeId, ViewNumber, Writer};
use skein_protocol::membership::roster::Changes;
use skein_protocol::membership::view::{ActiveView, Outcomes, Shard, View, ViewRecord};

use super::RECORD_KEY;
use crate::disk::{Database, DiskError};

#[derive(Deserialize)]
struct OldRecord {
    cluster: ClusterId,
    writer: Incarnation,
    active: Option<OldActive>,
    pending: Option<OldView>,
    roster: Changes,
    emptied: Option<ViewNumber>,
    curtailed: Option<ViewNumber>,
}

#[derive(Deserialize)]
struct OldActive {
    view: OldView,
    outcomes: Outcomes,
    ended: Vec<(Incarnation, u64)>,
}

#[derive(Deserialize)]
struct OldView {
    number: ViewNumber,
    shards: Vec<Shard>,
}

/// Brings the record into the format that holds now, synced.
pub(super) fn rewrite(database: &mut Database) -> Result<(), DiskError> {
    let Some(bytes) = database.get(RECORD_KEY)? else { return Ok(()) };
    let Ok((old, [])) = postcard::take_from_bytes::<OldRecord>(&bytes) else {
        return Err(database.damaged("the view's record can't be decoded"));
    };
    let record = postcard::to_allocvec(&old.into_record()).expect("a view's record is plain data and memory grows");
    database.require_room()?;
    database.put(RECORD_KEY, record);
    database.apply()?;
    database.sync()
}

impl OldRecord {
    fn into_record(self) -> ViewRecord {
        ViewRecord {
            cluster: self.cluster,
            writer: Writer { run: self.writer, node: NodeId(0) },
            active: self.active.map(|OldActive { view, outcomes, ended }| ActiveView { view: view.into_view(), outcomes, ended }),
            pending: self.pending.map(OldView::into_view),
            roster: self.roster,
            emptied: self.emptied,
            curtailed: self.curtailed,
        }
    }
}

impl OldView {
    fn into_view(self) -> View {
        View { number: self.number, writer: Writer::UNKNOWN, shards: self.shards }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use skein_protocol::membership::view::Member;
    use skein_protocol::message::Outcome;

    #[test]
    fn a_store_of_the_format_before_is_read_and_written_over() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("control");
        let member = Member { node: NodeId(5), address: "127.0.0.1:7001".into(), logged: true };
        let shards = vec![Shard { members: vec![member], learners: vec![] }];
        let outcomes: Outcomes = vec![("3-9".parse().unwrap(), Outcome::Committed)];
        let roster = Changes { added: vec!["127.0.0.1:7002".into()], removed: vec![] };
        // As the fields stood one after the other.
        let active = Some(((ViewNumber(7), shards.clone()), outcomes.clone(), vec![(Incarnation(3), 10_u64)]));
        let pending = Some((ViewNumber(8), shards.clone()));
        let none: Option<ViewNumber> = None;
        let old = (ClusterId(1 << 100), Incarnation(4), active, pending, roster.clone(), none, Some(ViewNumber(2)));
        let mut database = Database::open(&path, 4..=4, |_, _| Ok(())).unwrap();
        database.put(RECORD_KEY, postcard::to_allocvec(&old).unwrap());
        database.put(super::super::INCARNATION_KEY, &4_u64.to_be_bytes());
        database.apply().unwrap();
        database.sync().unwrap();
        drop(database);

        let view = |number| View { number: ViewNumber(number), writer: Writer::UNKNOWN, shards: shards.clone() };
        let expected = ViewRecord {
            cluster: ClusterId(1 << 100),
            writer: Writer { run: Incarnation(4), node: NodeId(0) },
            active: Some(ActiveView { view: view(7), outcomes, ended: vec![(Incarnation(3), 10)] }),
            pending: Some(view(8)),
            roster,
            emptied: None,
            curtailed: Some(ViewNumber(2)),
        };
        for _ in 0..2 {
            let mut store = super::super::open(directory.path()).unwrap();
            assert_eq!(store.load().unwrap().as_ref(), Some(&expected));
        }
        assert_eq!(super::super::open(directory.path()).unwrap().next_incarnation().unwrap(), Incarnation(5));
        assert_eq!(Database::open(&path, 5..=5, |_, _| Ok(())).unwrap().found_format(), 5);
    }
}
