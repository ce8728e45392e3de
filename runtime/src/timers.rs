//! The named timers of a machine, which holds no clock itself. There are few, so they are an array of deadlines and one
//! sleep that is set to the earliest.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use skein_protocol::step::Timer;
use tokio::time::{Instant, Sleep, sleep_until};

/// Every timer, at the place of its number.
const ALL: [Timer; 6] = [Timer::Sweep, Timer::ViewChange, Timer::Retry, Timer::Join, Timer::Beat, Timer::Compare];

/// The timers that run.
pub(crate) struct Timers {
    deadlines: [Option<Instant>; ALL.len()],
    sleep: Pin<Box<Sleep>>,
}

impl Timers {
    pub(crate) fn new() -> Self {
        Timers { deadlines: [None; ALL.len()], sleep: Box::pin(sleep_until(Instant::now())) }
    }

    /// Starts a timer, anew if it runs.
    pub(crate) fn set(&mut self, timer: Timer, after: Duration) {
        self.deadlines[timer as usize] = Some(Instant::now() + after);
    }

    /// Stops a timer.
    pub(crate) fn cancel(&mut self, timer: Timer) {
        self.deadlines[timer as usize] = None;
    }

    /// Ready with a timer that has gone off; it runs no longer then.
    pub(crate) fn poll_expired(&mut self, cx: &mut Context<'_>) -> Poll<Timer> {
        let Some(earliest) = self.deadlines.iter().flatten().min().copied() else { return Poll::Pending };
        if self.sleep.deadline() != earliest {
            self.sleep.as_mut().reset(earliest);
        }
        ready!(self.sleep.as_mut().poll(cx));
        let index = self.deadlines.iter().position(|deadline| *deadline == Some(earliest)).expect("it is the least of these");
        self.deadlines[index] = None;
        Poll::Ready(ALL[index])
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    #[test]
    fn every_timer_has_the_place_of_its_number() {
        for (index, timer) in ALL.into_iter().enumerate() {
            assert_eq!(timer as usize, index);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn timers_go_off_in_order_once_and_not_when_cancelled_or_set_anew() {
        let mut timers = Timers::new();
        let start = Instant::now();
        timers.set(Timer::Sweep, Duration::from_millis(10));
        timers.set(Timer::Retry, Duration::from_millis(5));
        timers.set(Timer::ViewChange, Duration::from_millis(7));
        timers.cancel(Timer::ViewChange);
        timers.set(Timer::Sweep, Duration::from_millis(20));
        assert_eq!(poll_fn(|cx| timers.poll_expired(cx)).await, Timer::Retry);
        assert_eq!(start.elapsed().as_millis(), 5);
        assert_eq!(poll_fn(|cx| timers.poll_expired(cx)).await, Timer::Sweep);
        assert_eq!(start.elapsed().as_millis(), 20);
        let nothing = tokio::time::timeout(Duration::from_secs(60), poll_fn(|cx| timers.poll_expired(cx))).await;
        assert!(nothing.is_err());
    }
}
