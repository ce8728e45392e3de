//! How long the machine itself stood still. A thread of the tests' own wakes up and syncs a few bytes to disk, again and again;
//! what that takes too long is the machine's doing and not that of the processes under test. Bounds that the project promises
//! are held against the time without it, and a sample that breaks one even so is taken once more, which is said aloud.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::sync::{LazyLock, Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// How often the thread looks, and how much longer than that a look may take on a machine that is all right.
const EVERY: Duration = Duration::from_millis(100);
const USUAL: Duration = Duration::from_millis(50);

/// What the thread has seen.
struct Seen {
    /// From when to when the machine stood still, one after the other.
    stalls: Vec<(Instant, Instant)>,
    /// When the look that is under way begins to take too long.
    due: Instant,
}

static SEEN: LazyLock<Mutex<Seen>> = LazyLock::new(|| {
    std::thread::Builder::new().name("stalls".to_owned()).spawn(look).expect("a thread can be started");
    Mutex::new(Seen { stalls: Vec::new(), due: Instant::now() + EVERY + USUAL })
});

fn seen() -> MutexGuard<'static, Seen> {
    SEEN.lock().expect("whoever holds it does not panic")
}

fn look() {
    let file: File = tempfile::tempfile().expect("a file beside those of the clusters");
    loop {
        std::thread::park_timeout(EVERY);
        file.write_all_at(&[7; 512], 0).and_then(|()| file.sync_all()).expect("a disk");
        let (now, mut seen) = (Instant::now(), seen());
        let due = std::mem::replace(&mut seen.due, now + EVERY + USUAL);
        if now > due {
            seen.stalls.push((due, now));
        }
    }
}

/// Begins to look, if nobody has yet.
pub fn watch() {
    LazyLock::force(&SEEN);
}

/// How long the machine stood still between these moments.
pub fn between(from: Instant, until: Instant) -> Duration {
    let (seen, now) = (seen(), Instant::now());
    let stalls = seen.stalls.iter().copied().chain((now > seen.due).then_some((seen.due, now)));
    stalls.map(|(began, ended)| ended.min(until).saturating_duration_since(began.max(from))).sum()
}

/// The time since this moment without that in which the machine stood still.
pub fn fair_since(moment: Instant) -> Duration {
    let now = Instant::now();
    (now - moment).saturating_sub(between(moment, now))
}

/// Past the test harness, which shows only what failing tests print.
pub fn say(text: &str) {
    writeln!(std::io::stdout(), "{text}").expect("standard output is open");
}

/// Takes a sample of what is promised to take less than this, and a second one if the first takes longer.
///
/// # Panics
///
/// When the second takes longer, too.
pub async fn holds(what: &str, bound: Duration, mut sample: impl AsyncFnMut() -> Duration) -> Duration {
    let took = sample().await;
    if took < bound {
        return took;
    }
    say(&format!("{what}: {took:?}, not within {bound:?}; once more, for the machine may have been busy"));
    let again = sample().await;
    assert!(again < bound, "{what}: {took:?} and then {again:?}, not within {bound:?}");
    again
}

#[test]
fn a_machine_that_stands_still_is_found_out_and_for_as_long() {
    watch();
    let begun = Instant::now();
    let held = {
        // Nobody gets anywhere while somebody else has what the thread needs.
        let _held = seen();
        std::thread::park_timeout(Duration::from_secs(1));
        begun.elapsed()
    };
    let found = between(begun, Instant::now());
    assert!(found <= begun.elapsed() && held.saturating_sub(found) <= EVERY + USUAL, "{found:?} of {held:?}");
    assert_eq!(between(begun, begun), Duration::ZERO);
}
