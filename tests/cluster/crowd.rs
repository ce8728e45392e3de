//! Many people posting at once, each remembering what it was told, and the judgement over all of them afterwards: what was
//! acknowledged is there, what was refused is not, and what nobody could tell is there once or not at all.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use hyper::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::harness::client::{Answer, Client, Failure};
use crate::harness::stall;
use crate::harness::wait::until;

/// How long it may take until the outcome of a transaction in doubt is known.
const KNOWN_WITHIN: Duration = Duration::from_secs(10);

/// How long a number of writes may take on a slow machine.
const WRITES_WITHIN: Duration = Duration::from_secs(60);

/// The pause after the server could not be reached.
const UNREACHABLE_PAUSE: Duration = Duration::from_millis(10);

/// What a client was told about one post.
#[derive(Debug)]
pub enum Told {
    /// 201: it holds for good.
    Acknowledged { text: String, id: String, began: Instant, ended: Instant },
    /// An error without a transaction: it never happened.
    Refused { text: String },
    /// 503 with a transaction: nobody knows yet.
    Unknown { text: String, transaction: String },
    /// The connection broke before an answer came. With a key it can be asked again.
    Lost { text: String, key: Option<String> },
}

/// What must hold of a post at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    There,
    Absent,
    Either,
}

/// The crowd at work.
pub struct Crowd {
    url: String,
    people: JoinSet<Vec<Told>>,
    stop: Arc<AtomicBool>,
    acknowledged: Arc<AtomicUsize>,
}

impl Crowd {
    /// Logs so many people in and lets them post, one tweet after the other, as fast as they are answered. Every other one
    /// sends an `Idempotency-Key` with each post.
    pub async fn start(url: &str, people: usize) -> Self {
        let mut crowd = Crowd {
            url: url.to_owned(),
            people: JoinSet::new(),
            stop: Arc::new(AtomicBool::new(false)),
            acknowledged: Arc::new(AtomicUsize::new(0)),
        };
        for person in 0..people {
            let client = Client::logged_in(url, &format!("person-{person}")).await;
            let (stop, acknowledged) = (Arc::clone(&crowd.stop), Arc::clone(&crowd.acknowledged));
            crowd.people.spawn(post_until_stopped(client, person, stop, acknowledged));
        }
        crowd
    }

    /// Waits until so many more posts were acknowledged.
    pub async fn posts(&self, more: usize) {
        let target = self.acknowledged.load(Ordering::Relaxed) + more;
        let enough = async || (self.acknowledged.load(Ordering::Relaxed) >= target).then_some(());
        until(&format!("{more} more posts are acknowledged"), WRITES_WITHIN, enough).await;
    }

    /// Lets everybody finish and gives what they were told.
    pub async fn stop(self) -> Verdict {
        self.stop.store(true, Ordering::Relaxed);
        let told = self.people.join_all().await.into_iter().flatten().collect();
        Verdict { url: self.url, told }
    }
}

async fn post_until_stopped(
    mut client: Client,
    person: usize,
    stop: Arc<AtomicBool>,
    acknowledged: Arc<AtomicUsize>,
) -> Vec<Told> {
    let mut told = Vec::new();
    let mut pause = tokio::time::interval(UNREACHABLE_PAUSE);
    for number in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let text = format!("post {number} of person {person}");
        let key = person.is_multiple_of(2).then(|| format!("key-{person}-{number}"));
        let began = Instant::now();
        match post(&mut client, &text, key.as_deref()).await {
            Ok(answer) => {
                let heard = judge_answer(text, &answer, began);
                if matches!(heard, Told::Acknowledged { .. }) {
                    acknowledged.fetch_add(1, Ordering::Relaxed);
                } else {
                    // Nobody hammers a server that has just said no.
                    pause.tick().await;
                }
                told.push(heard);
            }
            Err(Failure::Lost) => told.push(Told::Lost { text, key }),
            Err(Failure::NotSent) => {
                pause.tick().await;
            }
            Err(Failure::Silent) => panic!("{text}: no answer at all"),
        }
    }
    told
}

async fn post(client: &mut Client, text: &str, key: Option<&str>) -> Result<Answer, Failure> {
    let headers: Vec<(&str, &str)> = key.map(|key| ("Idempotency-Key", key)).into_iter().collect();
    client.send(Method::POST, "/api/tweet", &headers, Some(&json!({ "text": text }))).await
}

fn judge_answer(text: String, answer: &Answer, began: Instant) -> Told {
    if answer.status == 201 {
        let tweet = answer.json();
        assert_eq!(tweet["text"], text.as_str(), "{answer:?}");
        let id = tweet["id"].as_str().expect("a tweet has an id").to_owned();
        return Told::Acknowledged { text, id, began, ended: Instant::now() };
    }
    let problem = answer.json();
    match problem["transaction"].as_str() {
        Some(transaction) => {
            assert_eq!(answer.status, 503, "only 503 leaves an outcome open: {answer:?}");
            Told::Unknown { text, transaction: transaction.to_owned() }
        }
        None => {
            assert!(answer.status >= 400 && problem["code"].is_i64(), "a refusal says why: {answer:?}");
            Told::Refused { text }
        }
    }
}

/// What everybody was told, to be compared with what is there.
pub struct Verdict {
    url: String,
    pub told: Vec<Told>,
}

impl Verdict {
    /// How long after this moment the first write was acknowledged that was begun after it, without the time in which the machine
    /// itself stood still.
    pub fn resumed_after(&self, moment: Instant) -> Duration {
        let ended = self.told.iter().filter_map(|told| match told {
            Told::Acknowledged { began, ended, .. } if *began > moment => Some(*ended),
            _ => None,
        });
        let resumed = ended.min().expect("a write was acknowledged afterwards");
        (resumed - moment).saturating_sub(stall::between(moment, resumed))
    }

    /// Compares what was told with what is there. With `all_known`, every transaction that was in doubt must be known by now,
    /// as it must when its coordinator lives; else *unknown* remains an honest answer.
    pub async fn hold(&self, all_known: bool) {
        let mut client = Client::logged_in(&self.url, "judge").await;
        let mut fates: HashMap<&str, Fate> = HashMap::new();
        for told in &self.told {
            let (text, fate) = match told {
                Told::Acknowledged { text, .. } => (text, Fate::There),
                Told::Refused { text, .. } => (text, Fate::Absent),
                Told::Unknown { text, transaction } => (text, outcome(&mut client, transaction, all_known).await),
                Told::Lost { text, .. } => (text, Fate::Either),
            };
            assert_eq!(fates.insert(text, fate), None, "{text:?} was posted once");
        }
        let tweets = client.all_tweets().await;
        let mut found: HashMap<&str, &Value> = HashMap::new();
        for tweet in &tweets {
            let text = tweet["text"].as_str().expect("a tweet has a text");
            assert!(found.insert(text, tweet).is_none(), "{text:?} is there twice");
            assert!(fates.contains_key(text), "{text:?} is there and nobody posted it");
        }
        for (text, fate) in &fates {
            match fate {
                Fate::There => assert!(found.contains_key(text), "{text:?} was acknowledged or committed and is lost"),
                Fate::Absent => assert!(!found.contains_key(text), "{text:?} was refused or aborted and is there"),
                Fate::Either => {}
            }
        }
        for told in &self.told {
            if let Told::Acknowledged { text, id, .. } = told {
                assert_eq!(found[text.as_str()]["id"], id.as_str());
            }
        }
        // What the list shows can be had by its id: a tweet is more than one record of the store.
        for tweet in tweets.iter().step_by(tweets.len() / 200 + 1) {
            let id = tweet["id"].as_str().expect("a tweet has an id");
            let answer = client.get(&format!("/api/tweet/{id}")).await;
            assert_eq!((answer.status, &answer.json()), (200, tweet));
        }
    }

    /// Asks again, with their keys, for the posts whose answer was lost: each must be answered, and be there once.
    pub async fn ask_lost_again(&mut self) {
        for told in &mut self.told {
            let Told::Lost { text, key: Some(key) } = told else { continue };
            let person = text.rsplit(' ').next().expect("the text ends with the person");
            let mut client = Client::logged_in(&self.url, &format!("person-{person}")).await;
            let began = Instant::now();
            let answer = post(&mut client, text, Some(key)).await.unwrap_or_else(|failure| panic!("{text}: {failure:?}"));
            assert_eq!(answer.status, 201, "{answer:?}");
            *told = judge_answer(text.clone(), &answer, began);
        }
    }

    /// From here on, posts whose connection was closed must not be there: a server that ends in order closes idle connections,
    /// and what a client sends into one at that moment is never read; what was read is answered.
    pub fn lost_never_happened(&mut self) {
        for told in &mut self.told {
            if let Told::Lost { text, .. } = told {
                *told = Told::Refused { text: std::mem::take(text) };
            }
        }
    }

    /// How many were told this.
    pub fn count(&self, which: impl Fn(&Told) -> bool) -> usize {
        self.told.iter().filter(|told| which(told)).count()
    }
}

async fn outcome(client: &mut Client, transaction: &str, must_be_known: bool) -> Fate {
    let ask = async || {
        let answer = client.get(&format!("/api/transactions/{transaction}")).await;
        if answer.status == 404 {
            assert!(!must_be_known, "{transaction} is no longer known: {answer:?}");
            return Some(Fate::Either);
        }
        match answer.json()["outcome"].as_str() {
            Some("committed") => Some(Fate::There),
            Some("aborted") => Some(Fate::Absent),
            Some("unknown") => (!must_be_known).then_some(Fate::Either),
            _ => panic!("no outcome: {answer:?}"),
        }
    };
    until(&format!("the outcome of {transaction} is known"), KNOWN_WITHIN, ask).await.0
}
