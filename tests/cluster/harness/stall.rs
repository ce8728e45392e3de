//! How long the machine itself stood still. A thread of the tests' own wakes up and syncs a few bytes to disk, again and again;
//! what that takes too long is the machine's doing and not that of the processes under test. Bounds that the project promises
//! are held against the time without it, and a sample that breaks one even so is taken once more, which is said aloud.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard};
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

/// Ends with the process.
#[derive(Clone)]
struct Watch(Arc<Mutex<Seen>>);

static WATCH: LazyLock<Watch> = LazyLock::new(Watch::begin);

impl Watch {
    fn begin() -> Self {
        let watch = Watch(Arc::new(Mutex::new(Seen { stalls: Vec::new(), due: Instant::now() + EVERY + USUAL })));
        let (looking, file) = (watch.clone(), tempfile::tempfile().expect("a file beside those of the clusters"));
        let look = move || looking.look(&file);
        std::thread::Builder::new().name("stalls".to_owned()).spawn(look).expect("a thread can be started");
        watch
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().expect("the thread looks on")
    }

    fn look(&self, file: &File) {
        loop {
            std::thread::park_timeout(EVERY);
            let synced = file.write_all_at(&[7; 512], 0).and_then(|()| file.sync_all());
            let (mut seen, now) = (self.seen(), Instant::now());
            // Without it nobody hears any more that the machine goes on, so all who ask must fail.
            synced.expect("a disk");
            let due = std::mem::replace(&mut seen.due, now + EVERY + USUAL);
            if now > due {
                seen.stalls.push((due, now));
            }
        }
    }

    fn between(&self, from: Instant, until: Instant) -> Duration {
        let (seen, now) = (self.seen(), Instant::now());
        let stalls = seen.stalls.iter().copied().chain((now > seen.due).then_some((seen.due, now)));
        stalls.map(|(began, ended)| ended.min(until).saturating_duration_since(began.max(from))).sum()
    }
}

/// Begins to look, if nobody has yet.
pub fn watch() {
    LazyLock::force(&WATCH);
}

/// How long the machine stood still between these moments.
pub fn between(from: Instant, until: Instant) -> Duration {
    WATCH.between(from, until)
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
    // One of its own, whose thread gets nowhere while somebody else has what it needs.
    let watch = Watch::begin();
    let begun = Instant::now();
    let held = {
        let _held = watch.seen();
        std::thread::park_timeout(Duration::from_secs(1));
        begun.elapsed()
    };
    let found = watch.between(begun, Instant::now());
    assert!(found <= begun.elapsed() && held.saturating_sub(found) <= EVERY + USUAL, "{found:?} of {held:?}");
    assert_eq!(watch.between(begun, begun), Duration::ZERO);
}
