//! Whose password is hashed next. Log-ins go before sign-ups, and within each kind the addresses take turns, so that one
//! address that asks without end delays its own requests and not those of others. The number of waiting requests is bounded:
//! when it is reached, a log-in takes the place of a sign-up, and a request from an address with a short line takes the place
//! of the newest one in the longest line. A request that loses its place is refused at once.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// What a password is hashed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To compare it with the password of an account.
    LogIn,
    /// To make an account.
    SignUp,
}

/// As many requests wait as may, and none of them has to make way for this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Busy;

/// Gives turns, at most so many at once.
#[derive(Clone)]
pub struct Queue(Arc<Mutex<Waiting>>);

/// The right to hash one password. Dropping it gives the turn to the next in line.
pub struct Turn(Queue);

/// The requests that wait.
struct Waiting {
    free: usize,
    waiting: usize,
    waiting_max: usize,
    log_ins: Lines,
    sign_ups: Lines,
}

/// A line for each address. An address is in `order` once, as long as its line is not empty.
#[derive(Default)]
struct Lines {
    by_address: HashMap<Arc<str>, VecDeque<oneshot::Sender<Turn>>>,
    order: VecDeque<Arc<str>>,
}

impl Queue {
    /// At most `at_once_max` turns at a time, and `waiting_max` requests that wait for one.
    #[must_use]
    pub fn new(at_once_max: usize, waiting_max: usize) -> Self {
        let (log_ins, sign_ups) = (Lines::default(), Lines::default());
        Queue(Arc::new(Mutex::new(Waiting { free: at_once_max, waiting: 0, waiting_max, log_ins, sign_ups })))
    }

    /// Waits for a turn.
    ///
    /// # Errors
    /// When too many wait, at once or while waiting.
    pub async fn take(&self, purpose: Purpose, address: &str) -> Result<Turn, Busy> {
        let turn = {
            let mut waiting = self.lock();
            if waiting.free > 0 {
                waiting.free -= 1;
                return Ok(Turn(self.clone()));
            }
            waiting.line_up(purpose, address)?
        };
        // The sender is dropped when another request takes the place.
        turn.await.map_err(|_| Busy)
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let next = self.0.lock().next_or_free();
        if let Some(next) = next {
            // When the next one has just gone away, the turn comes back here and is dropped in its own right.
            drop(next.send(Turn(self.0.clone())));
        }
    }
}

impl Waiting {
    fn line_up(&mut self, purpose: Purpose, address: &str) -> Result<oneshot::Receiver<Turn>, Busy> {
        if self.waiting >= self.waiting_max {
            self.forget_gone();
        }
        if self.waiting >= self.waiting_max {
            let of_sign_ups = !self.sign_ups.order.is_empty();
            match purpose {
                Purpose::LogIn if of_sign_ups => self.sign_ups.push_out(0),
                Purpose::LogIn => self.log_ins.push_out(self.log_ins.length(address) + 1),
                Purpose::SignUp => self.sign_ups.push_out(self.sign_ups.length(address) + 1),
            }?;
            self.waiting -= 1;
        }
        let (sender, receiver) = oneshot::channel();
        self.waiting += 1;
        match purpose {
            Purpose::LogIn => self.log_ins.push(address, sender),
            Purpose::SignUp => self.sign_ups.push(address, sender),
        }
        Ok(receiver)
    }

    /// The next one that still waits; when there is none, the turn becomes free.
    fn next_or_free(&mut self) -> Option<oneshot::Sender<Turn>> {
        while let Some(next) = self.log_ins.pop().or_else(|| self.sign_ups.pop()) {
            self.waiting -= 1;
            if !next.is_closed() {
                return Some(next);
            }
        }
        self.free += 1;
        None
    }

    /// Removes those whose request has ended.
    fn forget_gone(&mut self) {
        self.log_ins.forget_gone();
        self.sign_ups.forget_gone();
        self.waiting = self.log_ins.total() + self.sign_ups.total();
    }
}

impl Lines {
    fn push(&mut self, address: &str, sender: oneshot::Sender<Turn>) {
        if let Some(line) = self.by_address.get_mut(address) {
            line.push_back(sender);
            return;
        }
        let address: Arc<str> = address.into();
        self.by_address.insert(Arc::clone(&address), VecDeque::from([sender]));
        self.order.push_back(address);
    }

    /// The first of the address whose turn it is. The address goes to the end of the order.
    fn pop(&mut self) -> Option<oneshot::Sender<Turn>> {
        let address = self.order.pop_front()?;
        let line = self.by_address.get_mut(&address)?;
        let sender = line.pop_front();
        if line.is_empty() {
            self.by_address.remove(&address);
        } else {
            self.order.push_back(address);
        }
        sender
    }

    /// Removes the newest one of the longest line, if that line is longer than this.
    fn push_out(&mut self, longer_than: usize) -> Result<(), Busy> {
        let longest = self.by_address.iter().max_by_key(|(_, line)| line.len());
        let Some((address, _)) = longest.filter(|(_, line)| line.len() > longer_than) else { return Err(Busy) };
        let address = Arc::clone(address);
        if let Some(line) = self.by_address.get_mut(&address) {
            line.pop_back();
            if line.is_empty() {
                self.by_address.remove(&address);
                self.order.retain(|other| *other != address);
            }
        }
        Ok(())
    }

    fn forget_gone(&mut self) {
        self.by_address.retain(|_, line| {
            line.retain(|sender| !sender.is_closed());
            !line.is_empty()
        });
        self.order.retain(|address| self.by_address.contains_key(address));
    }

    fn length(&self, address: &str) -> usize {
        self.by_address.get(address).map_or(0, VecDeque::len)
    }

    fn total(&self) -> usize {
        self.by_address.values().map(VecDeque::len).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::future::Future;
    use std::pin::Pin;

    type Asked = Pin<Box<dyn Future<Output = Result<Turn, Busy>> + Send>>;

    /// Asks, as far as one can without a turn being free.
    async fn ask(queue: &Queue, purpose: Purpose, address: &'static str) -> Asked {
        let queue = queue.clone();
        let mut asked: Asked = Box::pin(async move { queue.take(purpose, address).await });
        let polled = std::future::poll_fn(|context| std::task::Poll::Ready(asked.as_mut().poll(context))).await;
        match polled {
            std::task::Poll::Ready(answer) => Box::pin(std::future::ready(answer)),
            std::task::Poll::Pending => asked,
        }
    }

    /// The names of the waiting requests, in the order in which they get the one turn.
    async fn order(turn: Turn, asked: Vec<(&'static str, Asked)>) -> Vec<&'static str> {
        let (named, mut got) = tokio::sync::mpsc::unbounded_channel();
        let tasks: Vec<_> = asked
            .into_iter()
            .map(|(name, asked)| {
                let named = named.clone();
                tokio::spawn(async move {
                    let turn = asked.await;
                    if turn.is_ok() {
                        named.send(name).unwrap();
                    }
                })
            })
            .collect();
        drop((named, turn));
        for task in tasks {
            task.await.unwrap();
        }
        let mut names = Vec::new();
        while let Ok(name) = got.try_recv() {
            names.push(name);
        }
        names
    }

    fn free_and_waiting(queue: &Queue) -> (usize, usize) {
        let waiting = queue.lock();
        (waiting.free, waiting.waiting)
    }

    #[tokio::test]
    async fn log_ins_go_first_and_addresses_take_turns() {
        let queue = Queue::new(1, 100);
        let turn = queue.take(Purpose::SignUp, "a").await.unwrap();
        let mut asked = Vec::new();
        for (purpose, address, name) in [
            (Purpose::SignUp, "a", "sign-up a1"),
            (Purpose::SignUp, "a", "sign-up a2"),
            (Purpose::SignUp, "b", "sign-up b1"),
            (Purpose::LogIn, "a", "log-in a1"),
            (Purpose::LogIn, "a", "log-in a2"),
            (Purpose::LogIn, "a", "log-in a3"),
            (Purpose::LogIn, "b", "log-in b1"),
        ] {
            asked.push((name, ask(&queue, purpose, address).await));
        }
        let expected = ["log-in a1", "log-in b1", "log-in a2", "log-in a3", "sign-up a1", "sign-up b1", "sign-up a2"];
        assert_eq!(order(turn, asked).await, expected);
        assert_eq!(free_and_waiting(&queue), (1, 0));
    }

    #[tokio::test]
    async fn a_full_line_makes_way_for_log_ins_and_for_addresses_that_have_less() {
        let queue = Queue::new(1, 4);
        let turn = queue.take(Purpose::SignUp, "flood").await.unwrap();
        let mut asked = Vec::new();
        for _ in 0..4 {
            asked.push(("flood", ask(&queue, Purpose::SignUp, "flood").await));
        }
        let one_more = ask(&queue, Purpose::SignUp, "flood").await;
        assert!(one_more.await.is_err(), "an address can't push its own requests out");
        for (purpose, name) in [(Purpose::SignUp, "sign-up"), (Purpose::LogIn, "log-in 1"), (Purpose::LogIn, "log-in 2")] {
            asked.push((name, ask(&queue, purpose, "quiet").await));
        }
        assert_eq!(order(turn, asked).await, ["log-in 1", "log-in 2", "flood", "sign-up"]);
        assert_eq!(free_and_waiting(&queue), (1, 0));
    }

    #[tokio::test]
    async fn who_has_gone_away_takes_no_turn_and_no_place() {
        let queue = Queue::new(1, 2);
        let turn = queue.take(Purpose::LogIn, "a").await.unwrap();
        drop((ask(&queue, Purpose::LogIn, "a").await, ask(&queue, Purpose::SignUp, "a").await));
        let asked = vec![("one", ask(&queue, Purpose::LogIn, "a").await), ("two", ask(&queue, Purpose::LogIn, "a").await)];
        assert_eq!(order(turn, asked).await, ["one", "two"]);
        assert_eq!(free_and_waiting(&queue), (1, 0));
    }
}
