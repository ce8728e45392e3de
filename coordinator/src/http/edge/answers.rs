//! Room for long answers. A list can have a megabyte, and a client that takes it slowly has it wait here; so the bytes of long
//! answers are bounded as a whole, for each address, and for each account or token. A request takes its room before the store is
//! asked, for as much as the answer may have; once the answer is there it keeps what that has, until the last byte is written to the
//! client's socket. A request that finds no room waits in line for a moment. It is refused when that takes too long or the line is
//! full.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, Weak};

use axum::body::{Body, to_bytes};
use axum::response::Response;
use bytes::Bytes;
use prometheus::{IntCounter, IntGauge};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::config::AnswerLimits;
use crate::http::contract::code::Code;
use crate::http::contract::problem::Problem;

/// Bytes of a permit: room is counted in these.
const UNIT_BYTES: usize = 1024;

/// An answer that is no longer than this takes no room: what a connection costs is more.
const SHORT_BYTES_MAX: usize = 8 * 1024;

/// The room for long answers of one coordinator.
pub struct Answers {
    limits: AnswerLimits,
    total: Arc<Semaphore>,
    shares: Mutex<HashMap<String, Weak<Share>>>,
    under_way: IntGauge,
    refused: IntCounter,
}

/// The part of one account, token or address; there while somebody has room of it or waits for some.
struct Share {
    room: Arc<Semaphore>,
    line: Semaphore,
}

/// Room for one answer, which is free again when this and the answer that was put into it are gone.
pub struct Room {
    permits: Vec<OwnedSemaphorePermit>,
    _shares: Vec<Arc<Share>>,
    counted: Counted,
}

/// What the gauge shows of one answer.
struct Counted {
    bytes: i64,
    gauge: IntGauge,
}

/// The bytes of an answer with the room that they have.
struct Held {
    bytes: Bytes,
    _room: Room,
}

impl Answers {
    /// Room as these limits say; bytes under way and refusals are counted there.
    #[must_use]
    pub fn new(limits: AnswerLimits, under_way: IntGauge, refused: IntCounter) -> Self {
        let total = Arc::new(Semaphore::new(limits.bytes_max / UNIT_BYTES));
        Answers { limits, total, shares: Mutex::default(), under_way, refused }
    }

    /// Takes room for an answer of so many bytes at the most. `name` is the account or token that asks; no name has a space.
    ///
    /// # Errors
    /// There is none, and the line is full or too slow.
    pub async fn room(&self, name: &str, address: &str, bytes: usize) -> Result<Room, Problem> {
        if bytes <= SHORT_BYTES_MAX {
            return Ok(Room { permits: Vec::new(), _shares: Vec::new(), counted: Counted::new(0, self.under_way.clone()) });
        }
        let limits = &self.limits;
        let shares = [
            (self.share(name, limits.bytes_per_client_max), limits.bytes_per_client_max),
            (self.share(&format!("from {address}"), limits.bytes_per_address_max), limits.bytes_per_address_max),
        ];
        // A refused request has taken no room from others.
        let Ok(in_line) = shares[0].0.line.try_acquire() else {
            return Err(
                self.refuse("the bound on bytes of answers to one client is reached, and too many of its requests wait already")
            );
        };
        let waiting = async {
            let mut permits = Vec::with_capacity(shares.len() + 1);
            for (share, most) in &shares {
                permits.push(acquire(&share.room, bytes.min(*most)).await);
            }
            permits.push(acquire(&self.total, bytes.min(limits.bytes_max)).await);
            permits
        };
        let Ok(permits) = timeout(limits.wait_max, waiting).await else {
            return Err(self.refuse("the bound on bytes of answers under way is reached"));
        };
        drop(in_line);
        let shares = shares.into_iter().map(|(share, _)| share).collect();
        Ok(Room { permits, _shares: shares, counted: Counted::new(bytes, self.under_way.clone()) })
    }

    fn refuse(&self, detail: &str) -> Problem {
        self.refused.inc();
        Problem::new(Code::Overloaded, detail)
    }

    fn share(&self, name: &str, bytes_max: usize) -> Arc<Share> {
        let mut shares = self.lock();
        if let Some(share) = shares.get(name).and_then(Weak::upgrade) {
            return share;
        }
        // Unused shares are removed now and then, so that names don't pile up.
        if shares.len() == shares.capacity() {
            shares.retain(|_, share| share.strong_count() > 0);
        }
        let room = Arc::new(Semaphore::new(bytes_max / UNIT_BYTES));
        let share = Arc::new(Share { room, line: Semaphore::new(self.limits.waiting_per_client_max) });
        shares.insert(name.to_owned(), Arc::downgrade(&share));
        share
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Weak<Share>>> {
        self.shares.lock().expect("no holder of this lock panics")
    }
}

/// Waits for room for so many bytes.
async fn acquire(room: &Arc<Semaphore>, bytes: usize) -> OwnedSemaphorePermit {
    let units = u32::try_from(bytes.div_ceil(UNIT_BYTES)).unwrap_or(u32::MAX);
    Arc::clone(room).acquire_many_owned(units).await.expect("it is never closed")
}

impl Room {
    /// This answer, which keeps as much of the room as its body has bytes.
    pub async fn hold(mut self, answer: Response) -> Response {
        let (head, body) = answer.into_parts();
        // It is there already, and no body of a handler fails.
        let bytes = to_bytes(body, usize::MAX).await.unwrap_or_default();
        for permit in &mut self.permits {
            let surplus = permit.num_permits().saturating_sub(bytes.len().div_ceil(UNIT_BYTES));
            drop(permit.split(surplus));
        }
        self.counted.set(if self.permits.is_empty() { 0 } else { bytes.len() });
        Response::from_parts(head, Body::from(Bytes::from_owner(Held { bytes, _room: self })))
    }
}

impl Counted {
    fn new(bytes: usize, gauge: IntGauge) -> Self {
        let mut counted = Counted { bytes: 0, gauge };
        counted.set(bytes);
        counted
    }

    fn set(&mut self, bytes: usize) {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        self.gauge.add(bytes - self.bytes);
        self.bytes = bytes;
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.gauge.sub(self.bytes);
    }
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::response::IntoResponse;

    use super::*;

    const MIB: usize = 1024 * 1024;

    fn answers() -> Answers {
        let limits = AnswerLimits {
            bytes_max: 4 * MIB,
            bytes_per_address_max: 3 * MIB,
            bytes_per_client_max: 2 * MIB,
            waiting_per_client_max: 1,
            wait_max: Duration::from_millis(20),
        };
        Answers::new(limits, IntGauge::new("bytes", "Bytes.").unwrap(), IntCounter::new("refused", "Refused.").unwrap())
    }

    async fn is_refused(answers: &Answers, name: &str, address: &str) -> bool {
        let refused = answers.room(name, address, MIB).await.err();
        refused.is_some_and(|problem| problem.code() == Code::Overloaded)
    }

    #[tokio::test]
    async fn each_client_each_address_and_all_together_have_their_bound() {
        let answers = answers();
        let mut taken = Vec::new();
        for _ in 0..2 {
            taken.push(answers.room("ann", "192.0.2.1", MIB).await.unwrap());
        }
        assert!(is_refused(&answers, "ann", "192.0.2.1").await && is_refused(&answers, "ann", "192.0.2.2").await);
        taken.push(answers.room("bob", "192.0.2.1", MIB).await.unwrap());
        assert!(is_refused(&answers, "bob", "192.0.2.1").await, "the address has its three");
        taken.push(answers.room("bob", "192.0.2.2", MIB).await.unwrap());
        assert!(is_refused(&answers, "cat", "192.0.2.3").await, "all together have four");
        assert_eq!((answers.under_way.get(), answers.refused.get()), (4 * MIB as i64, 4));
        taken.clear();
        assert_eq!(answers.under_way.get(), 0);
        assert!(!is_refused(&answers, "cat", "192.0.2.3").await);
    }

    #[tokio::test]
    async fn an_answer_keeps_its_room_until_its_bytes_are_gone_and_gives_back_the_rest_at_once() {
        let answers = answers();
        let first = answers.room("ann", "192.0.2.1", MIB).await.unwrap().hold(vec![b'1'; MIB].into_response()).await;
        let second = answers.room("ann", "192.0.2.1", MIB).await.unwrap().hold(vec![b'2'; MIB / 2].into_response()).await;
        assert_eq!(answers.under_way.get(), 3 * MIB as i64 / 2);
        let third = answers.room("ann", "192.0.2.1", MIB / 2).await.unwrap();
        assert!(is_refused(&answers, "ann", "192.0.2.1").await);
        drop((second, third));
        assert!(!is_refused(&answers, "ann", "192.0.2.1").await);
        let bytes = to_bytes(first.into_body(), MIB).await.unwrap();
        assert_eq!((bytes.len(), answers.under_way.get()), (MIB, MIB as i64), "what is being written counts");
        drop(bytes);
        assert_eq!(answers.under_way.get(), 0);
    }

    #[tokio::test]
    async fn whoever_is_in_line_gets_the_room_that_others_give_back() {
        let answers =
            Arc::new(Answers { limits: AnswerLimits { wait_max: Duration::from_secs(60), ..answers().limits }, ..answers() });
        let taken = answers.room("ann", "192.0.2.1", 2 * MIB).await.unwrap();
        let waits = tokio::spawn({
            let answers = Arc::clone(&answers);
            async move { answers.room("ann", "192.0.2.1", MIB).await.is_ok() }
        });
        while answers.share("ann", 0).line.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        assert!(is_refused(&answers, "ann", "192.0.2.1").await, "the line is full");
        drop(taken);
        assert!(waits.await.unwrap());
    }
}
