//! Clients at work on the data API, each with a history of its own: they make records to be kept, put, swap, delete and read
//! registers that few requests touch, and run transactions over a few records that everybody wants. What each does follows
//! from a seed; what comes of it does not.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use skein_sim::simulation::random::Random;
use tokio::task::JoinSet;

use crate::harness::client::Client;
use crate::harness::wait::until;
use crate::history::recorder::{Heard, Recorder, Wish};
use crate::history::survival::Survivors;
use crate::history::{Event, History, Moment, Sight, Use};

/// Registers that are in use at a time, and how many requests each sees before the next takes its place: few enough for a
/// search over all orders of them.
const REGISTERS: usize = 16;
const REQUESTS_OF_EACH: u64 = 12;

/// Records that everybody's transactions want.
const CHAINS: u64 = 8;

/// How long a number of writes may take on a slow machine.
const WRITES_WITHIN: Duration = Duration::from_secs(60);

/// The pause after a refusal, and after the server could not be reached.
const REFUSED_PAUSE: Duration = Duration::from_millis(20);

/// What clients are to do.
#[derive(Clone, Copy, Debug)]
pub struct Work {
    pub clients: u32,
    pub seed: u64,
    /// Between two requests of one client.
    pub pause: Duration,
    /// Bytes that fill a value up, at the most; how many is drawn for each.
    pub value_bytes_max: usize,
}

/// Whoever reads at the end, and how many do so at once.
const LAST_READER: u32 = 1_000_000;
const LAST_READERS: u32 = 8;

/// How long one of the last reads may be refused.
const LAST_READ_WITHIN: Duration = Duration::from_secs(20);

/// What all clients read and count.
struct Board {
    stop: AtomicBool,
    acknowledged: AtomicUsize,
    unknown: AtomicUsize,
    registers: [AtomicU64; REGISTERS],
}

/// The clients.
pub struct Clients {
    people: JoinSet<(Vec<Event>, Vec<String>)>,
    shared: Arc<Board>,
    origin: Instant,
}

impl Clients {
    /// Logs all of them in and lets them work.
    pub async fn start(url: &str, work: Work) -> Self {
        let Work { clients, seed, pause, value_bytes_max } = work;
        let shared = Board {
            stop: AtomicBool::new(false),
            acknowledged: AtomicUsize::new(0),
            unknown: AtomicUsize::new(0),
            registers: std::array::from_fn(|_| AtomicU64::new(0)),
        };
        let mut all = Clients { people: JoinSet::new(), shared: Arc::new(shared), origin: Instant::now() };
        for number in 0..clients {
            let client = Client::logged_in(url, &format!("client-{number}")).await;
            let random = Random::new(seed.wrapping_mul(1_000).wrapping_add(u64::from(number)));
            let worker = Worker {
                recorder: Recorder::new(client, number, all.origin),
                sizes: random.sub("sizes"),
                random,
                shared: Arc::clone(&all.shared),
                pause,
                value_bytes_max: value_bytes_max as u64,
            };
            all.people.spawn(worker.work());
        }
        all
    }

    /// When the moments of the history are counted from.
    pub fn origin(&self) -> Instant {
        self.origin
    }

    /// Now, as a moment of the history.
    pub fn now(&self) -> Moment {
        u64::try_from(self.origin.elapsed().as_nanos()).expect("a run ends within centuries")
    }

    /// Waits until so many more writes were acknowledged.
    pub async fn writes(&self, more: usize) {
        let acknowledged = || self.shared.acknowledged.load(Ordering::Relaxed);
        let target = acknowledged() + more;
        let enough = async || (acknowledged() >= target).then_some(());
        until(&format!("{more} more writes are acknowledged"), WRITES_WITHIN, enough).await;
    }

    /// Waits until somebody is told that nobody knows what became of a write.
    pub async fn doubt(&self) {
        let before = self.shared.unknown.load(Ordering::Relaxed);
        let some = async || (self.shared.unknown.load(Ordering::Relaxed) > before).then_some(());
        until("a client is told that the outcome is unknown", WRITES_WITHIN, some).await;
    }

    /// Lets everybody finish and gives all that they did. Nobody must have been left without an answer.
    pub async fn stop(self) -> History {
        self.shared.stop.store(true, Ordering::Relaxed);
        let all = self.people.join_all().await;
        let silent: Vec<&String> = all.iter().flat_map(|(_, silent)| silent).collect();
        assert!(silent.is_empty(), "never answered: {silent:?}");
        History::new(all.into_iter().flat_map(|(events, _)| events))
    }
}

/// One of them.
struct Worker {
    recorder: Recorder,
    random: Random,
    sizes: Random,
    shared: Arc<Board>,
    pause: Duration,
    value_bytes_max: u64,
}

impl Worker {
    async fn work(mut self) -> (Vec<Event>, Vec<String>) {
        while !self.shared.stop.load(Ordering::Relaxed) {
            if self.value_bytes_max > 0 {
                self.recorder.fill(usize::try_from(self.sizes.magnitude(1, self.value_bytes_max)).expect("a small number"));
            }
            let heard = match self.random.below(100) {
                0..30 => self.keep().await,
                30..65 => self.use_register().await,
                _ => self.transact().await,
            };
            let pause = match heard {
                Heard::Acknowledged => self.pause,
                Heard::Refused | Heard::Unknown | Heard::Nothing => REFUSED_PAUSE.max(self.pause),
            };
            tokio::time::sleep(pause).await;
        }
        self.recorder.finish()
    }

    fn count(&self, heard: Heard) -> Heard {
        match heard {
            Heard::Acknowledged => _ = self.shared.acknowledged.fetch_add(1, Ordering::Relaxed),
            Heard::Unknown => _ = self.shared.unknown.fetch_add(1, Ordering::Relaxed),
            Heard::Refused | Heard::Nothing => {}
        }
        heard
    }

    /// Makes a record that nobody ever touches again.
    async fn keep(&mut self) -> Heard {
        let absent = Sight { key: Use::Kept.key(self.recorder.next()), found: None, version: None };
        let heard = self.recorder.put(&absent.key, Some(&absent)).await;
        self.count(heard)
    }

    fn register(&mut self) -> String {
        let place = self.random.index(REGISTERS);
        let requests = self.shared.registers[place].fetch_add(1, Ordering::Relaxed);
        Use::Register.key(format!("{place}-{}", requests / REQUESTS_OF_EACH))
    }

    async fn use_register(&mut self) -> Heard {
        let key = self.register();
        let heard = match self.random.below(10) {
            0..4 => return read(self.recorder.get(&key).await),
            4..7 => self.recorder.put(&key, None).await,
            7 => self.recorder.delete(&key, None).await,
            _ => {
                let Some(sight) = self.recorder.get(&key).await else { return Heard::Refused };
                self.recorder.put(&key, Some(&sight)).await
            }
        };
        self.count(heard)
    }

    /// Looks at two or three of the records that everybody wants, and replaces one or two of them if they are still the same,
    /// reading the rest again at the same moment.
    async fn transact(&mut self) -> Heard {
        let first = self.random.below(CHAINS);
        let count = 2 + self.random.below(2);
        let keys: Vec<String> = (0..count).map(|more| Use::Chain.key((first + more) % CHAINS)).collect();
        let names: Vec<&str> = keys.iter().map(String::as_str).collect();
        let (heard, sights) = self.recorder.transact(&names, &[]).await;
        if heard != Heard::Acknowledged {
            return heard;
        }
        let replaced = 1 + self.random.index(keys.len() - 1);
        let wishes: Vec<Wish> = sights[..replaced]
            .iter()
            .map(|sight| Wish { key: sight.key.clone(), upon: Some(sight.clone()), delete: false })
            .collect();
        let (heard, _) = self.recorder.transact(&names[replaced..], &wishes).await;
        self.count(heard)
    }
}

fn read(sight: Option<Sight>) -> Heard {
    if sight.is_some() { Heard::Acknowledged } else { Heard::Refused }
}

/// Reads every record that anybody ever touched, adds that to the history, and gives what was found.
pub async fn read_all(url: &str, history: &mut History, origin: Instant) -> Survivors {
    let keys: Vec<String> = history.by_key().into_keys().map(str::to_owned).collect();
    let mut readers = JoinSet::new();
    for number in 0..LAST_READERS {
        let client = Client::logged_in(url, "last-reader").await;
        let mut recorder = Recorder::new(client, LAST_READER + number, origin);
        let keys: Vec<String> = keys.iter().skip(number as usize).step_by(LAST_READERS as usize).cloned().collect();
        readers.spawn(async move {
            let mut found = Vec::new();
            for key in keys {
                found.push(read_at_last(&mut recorder, &key).await);
            }
            (found, recorder.finish().0)
        });
    }
    let mut found = Survivors::new();
    for (sights, events) in readers.join_all().await {
        found.extend(sights.into_iter().map(|sight| (sight.key.clone(), sight)));
        history.events.extend(events.into_iter().map(|event| (event.id, event)));
    }
    found
}

/// Reads a record from a cluster that may still be on its way back.
async fn read_at_last(recorder: &mut Recorder, key: &str) -> Sight {
    let begun = Instant::now();
    loop {
        if let Some(sight) = recorder.get(key).await {
            return sight;
        }
        assert!(begun.elapsed() < LAST_READ_WITHIN, "{key} can't be read at the end");
        tokio::time::sleep(REFUSED_PAUSE).await;
    }
}
