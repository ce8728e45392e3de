//! Disks that fail: a worker that can't write or sync its log no longer knows what it holds, so it stops rather than promise
//! anything, and the others go on without it; it comes back when the disk does. A log in which bytes have changed is refused.
//! Failing system calls are injected into the real process by `strace`. Rule R6 seen from outside.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::harness::small_disk::SmallDisk;
use crate::harness::strace::{self, fail};
use crate::scene::Scene;

const WORKERS: usize = 3;
const CLIENTS: u32 = 8;

/// Places in which a log is changed, and how many more at the most until a change is one of what still counts.
const CHANGES: usize = 4;
const CHANGES_MAX: usize = 16;

/// What a worker says of a log that it can't trust.
const DAMAGED: &str = "damaged";

/// Waits until a worker has stopped because of its log, and the others go on.
async fn stops(scene: &mut Scene, index: usize) {
    assert_eq!(scene.cluster.worker(index).wait().code(), Some(1));
    scene.cluster.worker(index).await_log("the log failed");
    scene.cluster.workers[index] = None;
    scene.left_out(index).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_whose_disk_fails_or_is_full_stops_and_comes_back_with_its_disk() {
    let mut scene = Scene::begin(WORKERS, CLIENTS, 11).await;
    for (index, calls, error) in [(1, "fdatasync,fsync", "EIO"), (2, "pwrite64,fallocate,ftruncate", "ENOSPC")] {
        strace::announce(scene.cluster.worker(index));
        let mut failing = fail(scene.cluster.worker(index).id(), calls, error);
        stops(&mut scene, index).await;
        failing.wait().expect("it ends with its process");
        scene.cluster.start_worker(index);
        scene.back(index).await;
    }
    scene.judge().await;
}

/// A disk that others fill: as above, and what was kept is all there when there is room again.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_whose_disk_others_fill_comes_back_when_there_is_room() {
    let place = tempfile::tempdir().expect("a directory for the test");
    let Some(disk) = SmallDisk::mount(place.path(), 96) else { return };
    let mut scene = Scene::begin(WORKERS, CLIENTS, 12).await;
    scene.cluster.kill_worker(1);
    scene.left_out(1).await;
    scene.cluster.move_worker(1, place.path().join("data"));
    scene.cluster.start_worker(1);
    scene.back(1).await;
    strace::announce(scene.cluster.worker(1));
    disk.fill(0);
    stops(&mut scene, 1).await;
    assert!(!scene.cluster.try_start_worker(1, "room"), "it starts although there is no room");
    disk.empty();
    scene.cluster.start_worker(1);
    scene.back(1).await;
    scene.judge().await;
}

/// Where values of ours stand in a file.
fn values(path: &Path) -> Vec<u64> {
    let bytes = std::fs::read(path).expect("the log is there");
    let needle = b"\"writer\":\"";
    let found = bytes.windows(needle.len()).enumerate().filter(|(_, window)| window == needle);
    found.map(|(place, _)| (place + needle.len()) as u64).collect()
}

/// Changes one digit of a value.
fn change(path: &Path, place: u64) {
    let file = File::options().read(true).write(true).open(path).expect("the log is there");
    let mut byte = [0];
    file.read_exact_at(&mut byte, place).expect("within the file");
    file.write_all_at(&[byte[0] ^ 1], place).expect("within the file");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_in_which_a_record_has_changed_is_never_served() {
    let mut scene = Scene::begin(WORKERS, CLIENTS, 13).await;
    scene.clients.writes(300).await;
    let index = 1;
    let (mut refused, mut started) = (0, 0);
    for part in 0..CHANGES_MAX {
        if part >= CHANGES && refused > 0 {
            break;
        }
        scene.cluster.kill_worker(index);
        let directory = scene.cluster.worker_directory(index);
        let database = database(&directory);
        let places = values(&database);
        assert!(places.len() > 50, "only {} values in {}", places.len(), database.display());
        // From all over the log: the beginning, the end and two between first.
        let (of, step) = if part < CHANGES { (CHANGES, part) } else { (CHANGES_MAX, part * 5 % CHANGES_MAX) };
        change(&database, places[(places.len() - 1) * step / (of - 1)]);
        if scene.cluster.try_start_worker(index, DAMAGED) {
            // It may have been a state that was replaced since, or the log was put back to what it was before: it is
            // taken for what it then is, and holds the same as the others in the end.
            started += 1;
        } else {
            refused += 1;
            std::fs::remove_dir_all(&directory).expect("the log is there");
            scene.cluster.start_worker(index);
        }
        scene.back(index).await;
        scene.cluster.agreed(WORKERS).await;
    }
    println!("{refused} changed logs were refused, {started} started");
    assert!(refused > 0, "nothing was ever noticed");
    scene.judge().await;
}

/// The file of a database somewhere below this directory.
fn database(directory: &Path) -> std::path::PathBuf {
    let mut folders = vec![directory.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a directory").map(|entry| entry.expect("an entry").path()) {
            if entry.is_dir() {
                folders.push(entry);
            } else if entry.file_name().is_some_and(|name| name == "db") {
                return entry;
            }
        }
    }
    panic!("no database below {}", directory.display());
}
