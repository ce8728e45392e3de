//! The control store on disk, kept by sled in the data directory of the one coordinator. Every change is synced before it
//! is reported (R6). The record is kept as one value in postcard's encoding, which has one form for each record, so that
//! comparing what is read is comparing records. A store of the format before is written over when it is opened.

mod format4;

use std::path::Path;

use skein_protocol::id::Incarnation;
use skein_protocol::membership::view::{View, ViewRecord};
use skein_protocol::step::Swapped;

use super::Control;
use crate::disk::{Database, DiskError};
use crate::formats::CONTROL as FORMATS;

const RECORD_KEY: &[u8] = b"record";
const INCARNATION_KEY: &[u8] = b"incarnation";

struct Sled {
    database: Database,
}

/// Opens the store in the directory `control` of `data`, or makes it.
pub fn open(data: &Path) -> Result<Box<dyn Control>, DiskError> {
    let mut database = Database::open(&data.join("control"), FORMATS, |_, _| Ok(()))?;
    if database.found_format() < *FORMATS.end() {
        format4::rewrite(&mut database)?;
    }
    Ok(Box::new(Sled { database }))
}

/// The last active view of the store in the directory `control` of `data`; `None` if there is no store, or no view was active yet.
///
/// # Errors
///
/// When the disk fails or is nearly full, or the store is in use, damaged or of another format.
pub fn last_active(data: &Path) -> Result<Option<View>, DiskError> {
    if !data.join("control").join("db").exists() {
        return Ok(None);
    }
    let record = open(data)?.load()?;
    Ok(record.and_then(|record| record.active).map(|active| active.view))
}

impl Sled {
    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), DiskError> {
        self.database.require_room()?;
        self.database.put(key, value);
        self.database.apply()?;
        self.database.sync()
    }
}

impl Control for Sled {
    fn load(&mut self) -> Result<Option<ViewRecord>, DiskError> {
        let Some(bytes) = self.database.get(RECORD_KEY)? else { return Ok(None) };
        match postcard::take_from_bytes(&bytes) {
            Ok((record, [])) => Ok(Some(record)),
            _ => Err(self.database.damaged("the view's record can't be decoded")),
        }
    }

    fn swap(&mut self, expected: Option<&ViewRecord>, record: &ViewRecord) -> Result<Swapped, DiskError> {
        let current = self.load()?;
        if current.as_ref() != expected {
            return Ok(Swapped::Current(current));
        }
        let bytes = postcard::to_allocvec(record).expect("a view's record is plain data and memory grows");
        // After a failed sync nobody knows what the disk holds, and what is read may come from memory alone. So that is an
        // error; the record is read again when the process starts anew.
        self.put(RECORD_KEY, &bytes)?;
        Ok(Swapped::Done)
    }

    fn next_incarnation(&mut self) -> Result<Incarnation, DiskError> {
        let last = match self.database.get(INCARNATION_KEY)? {
            None => 0,
            Some(bytes) => {
                let bytes = bytes.as_ref().try_into().map_err(|_| self.database.damaged("the incarnation is no number"))?;
                u64::from_be_bytes(bytes)
            }
        };
        self.put(INCARNATION_KEY, &(last + 1).to_be_bytes())?;
        Ok(Incarnation(last + 1))
    }
}

#[cfg(test)]
mod tests {
    use skein_protocol::id::{ClusterId, NodeId, ViewNumber, Writer};
    use skein_protocol::membership::roster::Changes;
    use skein_protocol::membership::view::{ActiveView, Member, Shard};
    use skein_protocol::message::Outcome;

    use super::*;
    use crate::disk::fixture;

    fn record() -> ViewRecord {
        let writer = Writer { run: Incarnation(4), node: NodeId(9) };
        let member = Member { node: NodeId(5), address: "127.0.0.1:7001".into(), logged: true };
        let learner = Member { node: NodeId(6), address: "127.0.0.1:7002".into(), logged: false };
        let shards = vec![Shard { members: vec![member], learners: vec![learner] }];
        let view = |number| View { number: ViewNumber(number), writer, shards: shards.clone() };
        ViewRecord {
            cluster: ClusterId(1 << 100),
            writer,
            active: Some(ActiveView {
                view: view(7),
                outcomes: vec![("3-9".parse().unwrap(), Outcome::Committed), ("3-11".parse().unwrap(), Outcome::Aborted)],
                ended: vec![(Incarnation(3), 10)],
            }),
            pending: Some(view(8)),
            roster: Changes { added: vec!["127.0.0.1:7002".into()], removed: vec!["127.0.0.1:7003".into()] },
            emptied: Some(ViewNumber(1)),
            curtailed: Some(ViewNumber(2)),
        }
    }

    #[test]
    fn stores_that_earlier_programs_wrote_are_read() {
        let written = tempfile::tempdir().unwrap();
        let mut store = open(written.path()).unwrap();
        assert_eq!(store.next_incarnation().unwrap(), Incarnation(1));
        assert_eq!(store.swap(None, &record()).unwrap(), Swapped::Done);
        drop(store);
        fixture::keep(&format!("control-{}", FORMATS.end()), &written.path().join("control"));

        for format in 5..=*FORMATS.end() {
            let directory = tempfile::tempdir().unwrap();
            fixture::restore(&format!("control-{format}"), &directory.path().join("control"));
            let mut store = open(directory.path()).unwrap();
            assert_eq!(store.load().unwrap(), Some(record()));
            assert_eq!(store.next_incarnation().unwrap(), Incarnation(2));
        }
    }

    #[test]
    fn a_store_of_a_newer_format_is_left_as_it_is() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("control");
        let mut database = Database::open(&path, FORMATS.end() + 1..=FORMATS.end() + 1, |_, _| Ok(())).unwrap();
        database.put(RECORD_KEY, b"what this program does not know".as_slice());
        database.apply().unwrap();
        database.sync().unwrap();
        drop(database);
        let before = fixture::entries(&path);
        let Err(error) = open(directory.path()) else { panic!("it was opened") };
        assert!(error.to_string().contains("use a newer Skein"), "{error}");
        assert!(last_active(directory.path()).unwrap_err().is_newer());
        assert_eq!(fixture::entries(&path), before);
    }

    #[test]
    fn a_store_in_use_and_one_of_another_format_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let store = open(directory.path()).unwrap();
        let Err(error) = open(directory.path()) else { panic!("opened twice") };
        assert!(matches!(error, DiskError::Locked(_)), "{error}");
        drop(store);
        for (other, hint) in [(FORMATS.start() - 1, "use an older Skein"), (FORMATS.end() + 1, "use a newer Skein")] {
            let directory = tempfile::tempdir().unwrap();
            let mut database = Database::open(&directory.path().join("control"), other..=other, |_, _| Ok(())).unwrap();
            database.apply().unwrap();
            drop(database);
            let Err(error) = open(directory.path()) else { panic!("opened another format") };
            assert!(error.to_string().contains(hint), "{error}");
        }
    }
}
