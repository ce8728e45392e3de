//! Waiting for a condition with a deadline. A test never waits for time to pass: it says what must become true, and by
//! when at the latest.

use std::time::{Duration, Instant};

use super::stall;

/// How long to pause between two looks.
const PAUSE: Duration = Duration::from_millis(10);

/// Looks again and again until there is something, and returns it with the time that it took.
///
/// # Panics
///
/// When `deadline` has passed, with `what` was waited for.
pub async fn until<T>(what: &str, deadline: Duration, mut look: impl AsyncFnMut() -> Option<T>) -> (T, Duration) {
    let start = Instant::now();
    let mut looks = tokio::time::interval(PAUSE);
    loop {
        if let Some(found) = look().await {
            return (found, start.elapsed());
        }
        assert!(start.elapsed() < deadline, "waited {deadline:?} in vain until {what}");
        looks.tick().await;
    }
}

/// The same, of what is promised by then: the time in which the machine itself stood still does not count.
///
/// # Panics
///
/// When `promised` has passed, with `what` was waited for.
pub async fn until_promised<T>(what: &str, promised: Duration, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let start = Instant::now();
    let mut looks = tokio::time::interval(PAUSE);
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(
            stall::fair_since(start) < promised,
            "waited {:?} in vain until {what}, promised in {promised:?}",
            start.elapsed()
        );
        looks.tick().await;
    }
}

/// The same as [`until`], outside of a runtime.
///
/// # Panics
///
/// When `deadline` has passed, with `what` was waited for.
pub fn until_blocking<T>(what: &str, deadline: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed() < deadline, "waited {deadline:?} in vain until {what}");
        std::thread::park_timeout(PAUSE);
    }
}
