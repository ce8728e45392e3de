//! What a database promises to whoever keeps things in it: all of it is there again, whatever strangers choose for keys, and
//! what is missing is noticed.

use std::os::unix::fs::PermissionsExt;

use super::*;

const FORMAT: RangeInclusive<u32> = 7..=7;

/// A key and its value.
type Entry = (Vec<u8>, Vec<u8>);

fn entries(path: &Path) -> Result<Vec<Entry>, DiskError> {
    let mut found = Vec::new();
    Database::open(path, FORMAT, |key, value| {
        found.push((key.to_vec(), value.to_vec()));
        Ok(())
    })?;
    Ok(found)
}

/// Two keys as they stand in a log: table, user `a`, and what the user chose. XXH3 without a secret gives both the same hash.
const COLLIDING: [&[u8]; 2] = [b"\x01\x04a\0h?CVXBEFkAF?", b"\x01\x04a\0WMI|?T?KNY??"];

#[test]
fn keys_chosen_to_collide_are_two_entries() {
    let [one, other] = COLLIDING;
    assert!(one != other && xxh3_64(one) == xxh3_64(other), "they show nothing any more");
    let directory = tempfile::tempdir().unwrap();
    let mut database = Database::open(directory.path(), FORMAT, |_, _| Ok(())).unwrap();
    database.put(one, b"1");
    database.apply().unwrap();
    database.put(other, b"2");
    database.apply().unwrap();
    database.sync().unwrap();
    drop(database);
    let mut kept = vec![(other.to_vec(), b"2".to_vec()), (one.to_vec(), b"1".to_vec())];
    assert_eq!(entries(directory.path()).unwrap(), kept);

    // One of them goes, the other stays.
    let mut database = Database::open(directory.path(), FORMAT, |_, _| Ok(())).unwrap();
    database.remove(one);
    database.apply().unwrap();
    database.sync().unwrap();
    drop(database);
    kept.pop();
    assert_eq!(entries(directory.path()).unwrap(), kept);
}

#[test]
fn each_database_has_a_secret_of_its_own_and_keeps_it() {
    let secret = |directory: &Path| {
        let mut database = Database::open(directory, FORMAT, |_, _| Ok(())).unwrap();
        database.apply().unwrap();
        database.hashes.secret()
    };
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let first = secret(one.path());
    assert_eq!(secret(one.path()), first);
    assert_ne!(secret(other.path()), first);
}

#[test]
fn an_entry_that_went_behind_its_back_is_missed() {
    let directory = tempfile::tempdir().unwrap();
    let mut database = Database::open(directory.path(), FORMAT, |_, _| Ok(())).unwrap();
    database.put(b"one", b"1");
    database.put(b"two", b"2");
    database.apply().unwrap();
    database.tree.remove(b"one").unwrap();
    database.sync().unwrap();
    drop(database);
    let error = entries(directory.path()).unwrap_err();
    assert!(matches!(&error, DiskError::Damaged { what, .. } if what.contains("missing")), "{error}");
}

#[test]
fn a_directory_made_here_is_its_owners_alone() {
    let data = tempfile::tempdir().unwrap();
    fs::set_permissions(data.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let above = data.path().join("data");
    let path = above.join("log");
    drop(Database::open(&path, 1..=1, |_, _| Ok(())).unwrap());
    for made in [&above, &path] {
        assert_eq!(fs::metadata(made).unwrap().permissions().mode() & 0o777, 0o700, "{}", made.display());
    }
    assert!(!access::is_readable_within(&path).unwrap());
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    assert!(!access::is_readable_within(&path).unwrap(), "the directory above it keeps others out");
    fs::set_permissions(&above, fs::Permissions::from_mode(0o750)).unwrap();
    assert!(access::is_readable_within(&path).unwrap());
    for (path_mode, above_mode) in [(0o777, 0o755), (0o700, 0o777)] {
        fs::set_permissions(&path, fs::Permissions::from_mode(path_mode)).unwrap();
        fs::set_permissions(&above, fs::Permissions::from_mode(above_mode)).unwrap();
        let refused = Database::open(&path, 1..=1, |_, _| Ok(()));
        assert!(matches!(refused, Err(DiskError::Exposed(_))), "others may write to it, or replace it");
    }
}
