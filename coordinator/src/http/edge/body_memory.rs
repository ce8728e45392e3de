//! How much memory the bodies of requests may take, all together: a client that announces a body and stalls holds what it has
//! sent for as long as the server is patient. What a body takes is counted as it grows, and until its last byte is dropped.
//! One address may have half of it. Of both the last quarter is only for the beginnings of bodies, so that log-ins and short
//! posts get through while large bodies fill the rest.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::Bytes;
use prometheus::IntGauge;

use crate::http::contract::code::Code;
use crate::http::contract::problem::Problem;

/// The beginning of a body: more than a log-in or a post has.
const BEGINNING_BYTES: usize = 16 * 1024;

/// The least that a body grows by.
const STEP_BYTES: usize = 1024;

/// The memory that bodies share.
#[derive(Clone)]
pub struct BodyMemory(Arc<Bodies>);

struct Bodies {
    bytes_max: usize,
    taken: Mutex<Taken>,
    shown: IntGauge,
}

#[derive(Default)]
struct Taken {
    all: usize,
    by_address: HashMap<Arc<str>, usize>,
}

/// A body that grows, or is complete.
pub struct Body {
    memory: BodyMemory,
    address: Arc<str>,
    bytes: Vec<u8>,
    /// It is not expected to become longer.
    expected: usize,
    counted: usize,
}

impl BodyMemory {
    /// So many bytes for all bodies; `shown` says how many are taken.
    #[must_use]
    pub fn new(bytes_max: usize, shown: IntGauge) -> Self {
        BodyMemory(Arc::new(Bodies { bytes_max, taken: Mutex::default(), shown }))
    }

    /// A body from this address, empty so far, which will have so many bytes at the most.
    pub fn body(&self, address: String, expected: usize) -> Body {
        Body { memory: self.clone(), address: address.into(), bytes: Vec::new(), expected, counted: 0 }
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.0.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts so many more bytes for a body, if there is room for them.
    fn count(&self, address: &Arc<str>, more: usize, is_beginning: bool) -> Result<(), Problem> {
        let bytes_max = self.0.bytes_max;
        let refused =
            |whose| Problem::new(Code::Overloaded, format!("at most {bytes_max} bytes of bodies may be under way{whose}"));
        let mut taken = self.lock();
        let open_to = |bytes_max: usize| if is_beginning { bytes_max } else { bytes_max - bytes_max / 4 };
        if taken.all + more > open_to(bytes_max) {
            return Err(refused(", and the bound is reached"));
        }
        let of_address = taken.by_address.get(address).copied().unwrap_or_default();
        if of_address + more > open_to(bytes_max / 2) {
            return Err(refused(", half of them from one address, and that bound is reached"));
        }
        taken.all += more;
        taken.by_address.insert(Arc::clone(address), of_address + more);
        self.0.shown.set(i64::try_from(taken.all).unwrap_or(i64::MAX));
        Ok(())
    }

    fn give_back(&self, address: &Arc<str>, bytes: usize) {
        let mut taken = self.lock();
        taken.all -= bytes;
        self.0.shown.set(i64::try_from(taken.all).unwrap_or(i64::MAX));
        let Some(of_address) = taken.by_address.get_mut(address) else { return };
        *of_address -= bytes;
        if *of_address == 0 {
            taken.by_address.remove(address);
        }
    }
}

impl Body {
    /// Its bytes so far.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Takes more bytes. They are copied, since a piece as it came may keep a larger piece of memory, and a body can come in
    /// very many pieces.
    pub fn extend(&mut self, more: &[u8]) -> Result<(), Problem> {
        let needed = self.bytes.len() + more.len();
        if needed > self.bytes.capacity() {
            let capacity = needed.max(STEP_BYTES).max((2 * self.bytes.capacity()).min(self.expected));
            self.memory.count(&self.address, capacity - self.counted, capacity <= BEGINNING_BYTES)?;
            self.counted = capacity;
            self.bytes.reserve_exact(capacity - self.bytes.len());
        }
        self.bytes.extend_from_slice(more);
        Ok(())
    }

    /// All of it. It counts until the last clone is dropped.
    pub fn into_bytes(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for Body {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        if self.counted > 0 {
            self.memory.give_back(&self.address, self.counted);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BYTES_MAX: usize = 1 << 20;
    const LONG: usize = 300 * 1024;

    fn memory() -> (BodyMemory, IntGauge) {
        let shown = IntGauge::new("shown", "shown").unwrap();
        (BodyMemory::new(BYTES_MAX, shown.clone()), shown)
    }

    /// Bodies that stall, each from an address of its own, until one is refused.
    fn stalled(memory: &BodyMemory, length: usize) -> Vec<Body> {
        let mut bodies = Vec::new();
        for address in 0.. {
            let mut body = memory.body(address.to_string(), length);
            match (0..length / 1024).try_for_each(|_| body.extend(&[0; 1024])) {
                Ok(()) => bodies.push(body),
                Err(problem) => {
                    assert_eq!(problem.code(), Code::Overloaded);
                    return bodies;
                }
            }
        }
        bodies
    }

    #[test]
    fn bodies_take_no_more_than_the_bound_and_give_it_back() {
        let (memory, shown) = memory();
        let bodies = stalled(&memory, LONG);
        assert!((1..=BYTES_MAX / LONG).contains(&bodies.len()), "{} long bodies", bodies.len());
        assert!(bodies.iter().map(|body| body.bytes.capacity()).sum::<usize>() <= BYTES_MAX);
        let short = stalled(&memory, 1024);
        assert!(short.len() * 1024 >= BYTES_MAX / 4, "only {} short bodies got through while long ones stalled", short.len());
        assert_eq!(shown.get(), BYTES_MAX as i64);
        drop((bodies, short));
        assert_eq!(shown.get(), 0);
        assert!(memory.lock().by_address.is_empty());
    }

    #[test]
    fn one_address_has_half_of_it() {
        let (memory, _) = memory();
        let mut bodies = Vec::new();
        loop {
            let mut body = memory.body("192.0.2.1".to_owned(), LONG);
            if body.extend(&[0; 1024]).is_err() {
                break;
            }
            bodies.push(body);
        }
        assert_eq!(bodies.len() * 1024, BYTES_MAX / 2);
        assert!(memory.body("192.0.2.2".to_owned(), LONG).extend(&[0; 1024]).is_ok());
    }

    #[test]
    fn a_body_in_tiny_pieces_takes_little_more_than_its_bytes_and_counts_until_it_is_dropped() {
        let (memory, shown) = memory();
        let mut body = memory.body("192.0.2.1".to_owned(), LONG);
        (0..10_000).for_each(|number| body.extend(&[number as u8]).unwrap());
        assert!(body.counted <= 2 * 10_000 + STEP_BYTES, "{}", body.counted);
        assert_eq!((body.len(), body.bytes.capacity()), (10_000, body.counted));
        let bytes = body.into_bytes();
        let clone = bytes.slice(5..);
        drop(bytes);
        assert!(shown.get() > 0);
        drop(clone);
        assert_eq!(shown.get(), 0);
    }
}
