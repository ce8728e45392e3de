//! Clients that put load on a cluster and keep no history: many writers, each with a record of its own, and readers of long lists, some
//! of which take what they are sent very slowly. A writer remembers just enough to know what its record may hold: the last write
//! that was acknowledged, or one whose outcome it was not told. What it reads meanwhile is held against that, and what is there
//! at the end.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use hyper::Method;
use serde_json::{Value, json};
use skein_sim::simulation::random::Random;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use crate::harness::client::{Client, Failure};
use crate::harness::wait::until;
use crate::history::Use;
use crate::history::recorder::{filling, writer};

/// The list that is read: the records that the clients with histories keep, which soon are more than fit into one answer.
const LIST: &str = "/api/data?prefix=kept-&limit=1000";

/// The pause after an answer that was no, or none: many clients must not keep two processors busy with asking again.
const REFUSED_PAUSE: Duration = Duration::from_millis(500);

/// The pause between two lists of one reader, and bytes after which a slow reader begins again.
const LIST_PAUSE: Duration = Duration::from_millis(200);
const SLOW_BYTES_MAX: usize = 1 << 20;

/// What a slow reader takes at once, and how often: 10 kB/s.
const SIP_BYTES: usize = 1_000;
const SIP_EVERY: Duration = Duration::from_millis(100);

/// Bytes that the kernel keeps for a slow reader: few, so that the server feels how slow it is.
const SLOW_BUFFER_BYTES: u32 = 8 * 1024;

/// How long one of the last reads may be refused.
const LAST_READ_WITHIN: Duration = Duration::from_secs(20);

/// How many clients there are, and what they do.
#[derive(Clone, Copy, Debug)]
pub struct Crowd {
    pub writers: usize,
    /// Between two requests of one writer.
    pub pause: Duration,
    /// Readers of long lists.
    pub readers: usize,
    pub slow_readers: usize,
    /// Bytes that fill a value up, at the most.
    pub value_bytes_max: usize,
    pub seed: u64,
}

/// What was answered so far.
#[derive(Debug, Default)]
pub struct Answered {
    pub writes: AtomicUsize,
    pub unknown: AtomicUsize,
    pub refused: AtomicUsize,
    pub lists: AtomicUsize,
}

/// The clients at work.
pub struct Load {
    writers: JoinSet<Own>,
    readers: JoinSet<()>,
    slow_readers: JoinSet<()>,
    stop: Arc<AtomicBool>,
    answered: Arc<Answered>,
}

/// A record that one writer alone writes, numbering its writes.
#[derive(Debug)]
struct Own {
    key: String,
    /// The write that it holds, as far as is known.
    last: Option<u64>,
    /// Writes whose outcome was not told: each may still take effect.
    open: BTreeSet<u64>,
}

impl Own {
    fn value(&self, number: u64, bytes: usize) -> Value {
        json!({ "number": number, "filling": filling(&self.key, bytes) })
    }

    /// Takes note of what was read.
    ///
    /// # Panics
    ///
    /// When it can't be there.
    fn found(&mut self, value: Option<&Value>) {
        let number = value.map(|value| {
            let found = value["filling"].as_str().unwrap_or_else(|| panic!("{}: {value} is no value of ours", self.key));
            assert_eq!(found, filling(&self.key, found.len()), "{} is not whole", self.key);
            value["number"].as_u64().unwrap_or_else(|| panic!("{}: {value} is no value of ours", self.key))
        });
        let may_be = number == self.last || number.is_some_and(|number| self.open.remove(&number));
        assert!(may_be, "{} holds write {number:?}, not {:?} nor one of {:?}", self.key, self.last, self.open);
        self.last = number;
    }
}

impl Load {
    /// Lets them begin. All of them are one person.
    pub async fn start(url: &str, crowd: Crowd) -> Self {
        let session = Client::logged_in(url, "load").await;
        let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(Answered::default()));
        let client = || {
            let mut client = Client::new(url);
            client.share_session(&session);
            client
        };
        let mut load = Load {
            writers: JoinSet::new(),
            readers: JoinSet::new(),
            slow_readers: JoinSet::new(),
            stop: Arc::clone(&stop),
            answered: Arc::clone(&answered),
        };
        for number in 0..crowd.writers {
            let random = Random::new(crowd.seed).sub(&format!("light {number}"));
            let own = Own { key: format!("load-{number:04}"), last: None, open: BTreeSet::new() };
            let writer =
                Writer { client: client(), random, crowd, own, stop: Arc::clone(&stop), answered: Arc::clone(&answered) };
            load.writers.spawn(writer.work());
        }
        for _ in 0..crowd.readers {
            load.readers.spawn(read_lists(client(), Arc::clone(&stop), Arc::clone(&answered)));
        }
        let (server, cookie) = (session.address(), session.cookie().expect("logged in").to_owned());
        for _ in 0..crowd.slow_readers {
            let cookie = cookie.clone();
            load.slow_readers.spawn(async move {
                loop {
                    // The coordinator is down at times.
                    read_slowly(server, &cookie, LIST, SLOW_BYTES_MAX).await.ok();
                    tokio::time::sleep(REFUSED_PAUSE).await;
                }
            });
        }
        load
    }

    /// Ends all of them.
    ///
    /// # Panics
    ///
    /// When one of them read what can't be there, or was never answered.
    pub async fn stop(mut self) -> Stopped {
        self.stop.store(true, Ordering::Relaxed);
        self.slow_readers.shutdown().await;
        self.readers.join_all().await;
        Stopped { owns: self.writers.join_all().await, answered: self.answered }
    }
}

/// What they leave.
pub struct Stopped {
    owns: Vec<Own>,
    pub answered: Arc<Answered>,
}

impl Stopped {
    /// Reads each record once more.
    ///
    /// # Panics
    ///
    /// When one holds what can't be there.
    pub async fn check(&mut self, url: &str) {
        let mut client = Client::logged_in(url, "load").await;
        for own in &mut self.owns {
            let path = format!("/api/data/{}", own.key);
            let answered = async || Some(client.get(&path).await).filter(|answer| matches!(answer.status, 200 | 404));
            let (answer, _) = until(&format!("{} can be read", own.key), LAST_READ_WITHIN, answered).await;
            own.found((answer.status == 200).then(|| answer.json()).as_ref());
        }
    }

    /// How many records there are.
    pub fn records(&self) -> usize {
        self.owns.len()
    }
}

/// One that writes.
struct Writer {
    client: Client,
    random: Random,
    crowd: Crowd,
    own: Own,
    stop: Arc<AtomicBool>,
    answered: Arc<Answered>,
}

impl Writer {
    async fn work(mut self) -> Own {
        let path = format!("/api/data/{}", self.own.key);
        // Not all at once.
        tokio::time::sleep(self.crowd.pause.mul_f64(self.random.below(1_000) as f64 / 1_000.0)).await;
        for number in 0.. {
            if self.stop.load(Ordering::Relaxed) {
                break;
            }
            let is_done = if self.random.chance(700) { self.write(&path, number).await } else { self.read(&path).await };
            let pause = if is_done { self.crowd.pause } else { REFUSED_PAUSE.max(self.crowd.pause) };
            tokio::time::sleep(pause).await;
        }
        self.own
    }

    async fn write(&mut self, path: &str, number: u64) -> bool {
        let bytes = usize::try_from(self.random.magnitude(1, self.crowd.value_bytes_max as u64)).expect("a small number");
        let value = self.own.value(number, bytes);
        let count = |of: &AtomicUsize| _ = of.fetch_add(1, Ordering::Relaxed);
        let is_open = match self.client.send(Method::PUT, path, &[], Some(&value)).await {
            Ok(answer) if matches!(answer.status, 200 | 201) => {
                count(&self.answered.writes);
                self.own.last = Some(number);
                return true;
            }
            Ok(answer) => {
                assert!(matches!(answer.status, 429 | 503 | 507), "{path}: {answer:?}");
                answer.status == 503 && answer.json()["transaction"].is_string()
            }
            Err(Failure::NotSent) => false,
            Err(Failure::Lost) => true,
            Err(Failure::Silent) => panic!("{path} was never answered"),
        };
        count(if is_open { &self.answered.unknown } else { &self.answered.refused });
        if is_open {
            self.own.open.insert(number);
        }
        false
    }

    async fn read(&mut self, path: &str) -> bool {
        match self.client.send(Method::GET, path, &[], None).await {
            Ok(answer) if matches!(answer.status, 200 | 404) => {
                self.own.found((answer.status == 200).then(|| answer.json()).as_ref());
                true
            }
            Ok(answer) => {
                assert_eq!(answer.status, 503, "{path}: {answer:?}");
                false
            }
            Err(Failure::NotSent | Failure::Lost) => false,
            Err(Failure::Silent) => panic!("{path} was never answered"),
        }
    }
}

async fn read_lists(mut client: Client, stop: Arc<AtomicBool>, answered: Arc<Answered>) {
    while !stop.load(Ordering::Relaxed) {
        let pause = match client.send(Method::GET, LIST, &[], None).await {
            Ok(answer) if answer.status == 200 => {
                let page = answer.json();
                for row in page["data"].as_array().expect("a list of records") {
                    assert_eq!(row["key"], Use::Kept.key(writer(&row["value"])), "a record of another key");
                }
                answered.lists.fetch_add(1, Ordering::Relaxed);
                LIST_PAUSE
            }
            Ok(answer) => {
                // What takes too long on a machine that has no time for it ends with 504.
                assert!(matches!(answer.status, 503 | 504), "a list: {answer:?}");
                REFUSED_PAUSE
            }
            Err(Failure::NotSent | Failure::Lost) => REFUSED_PAUSE,
            Err(Failure::Silent) => panic!("a list was never answered"),
        };
        tokio::time::sleep(pause).await;
    }
}

/// Asks for a list on one connection after the other, and takes 10 kB/s of it, so many bytes on each connection at the most.
///
/// # Errors
///
/// When the server can't be reached, or takes no request; it does not return otherwise.
pub async fn read_slowly(server: SocketAddr, cookie: &str, list: &str, bytes_max: usize) -> std::io::Result<()> {
    let request = format!("GET {list} HTTP/1.1\r\nHost: {server}\r\nCookie: {cookie}\r\n\r\n");
    let mut sips = tokio::time::interval(SIP_EVERY);
    sips.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let socket = TcpSocket::new_v4()?;
        socket.set_recv_buffer_size(SLOW_BUFFER_BYTES)?;
        let mut stream = socket.connect(server).await?;
        stream.write_all(request.as_bytes()).await?;
        let mut sip = [0; SIP_BYTES];
        // It is cut off at last, or keeps its connection and has got all; either way it asks again.
        let mut taken = 0;
        while taken < bytes_max {
            sips.tick().await;
            match stream.read(&mut sip).await {
                Ok(0) | Err(_) => break,
                Ok(bytes) => taken += bytes,
            }
        }
    }
}

#[test]
fn a_record_holds_the_last_write_that_was_acknowledged_or_one_whose_outcome_was_not_told() {
    let own = || Own { key: "load-0001".to_owned(), last: Some(4), open: BTreeSet::from([2, 5]) };
    for (number, may_be) in [(Some(4), true), (Some(5), true), (Some(2), true), (Some(3), false), (None, false)] {
        let value = number.map(|number| own().value(number, 20));
        let looked = std::panic::catch_unwind(|| own().found(value.as_ref()));
        assert_eq!(looked.is_ok(), may_be, "{number:?}");
    }
    let torn = json!({ "number": 4, "filling": filling("load-0002", 20) });
    assert!(std::panic::catch_unwind(|| own().found(Some(&torn))).is_err(), "another writer's value");
}
