//! A client of the data API that remembers all it did and was told. Each request is an event; the values that it writes name
//! the event, so that whoever reads one knows whose it is.

use std::time::Instant;

use hyper::Method;
use serde_json::{Map, Value, json};

use super::{Change, End, Event, EventId, Moment, Sight};
use crate::harness::client::{Answer, Client, Failure};

/// One client and its part of the history.
pub struct Recorder {
    client: Client,
    origin: Instant,
    next: EventId,
    /// Bytes that fill each value up.
    fill: usize,
    events: Vec<Event>,
    /// Requests that got no answer in all the time that a server may take.
    silent: Vec<String>,
}

/// What came of a request, for whoever wants to go on from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    Acknowledged,
    Refused,
    Unknown,
    /// The server could not be reached: nothing happened, and nothing is remembered.
    Nothing,
}

/// A change that a transaction is to make.
#[derive(Clone, Debug)]
pub struct Wish {
    pub key: String,
    /// Upon which version, as it was seen; `None` expects nothing.
    pub upon: Option<Sight>,
    pub delete: bool,
}

impl Recorder {
    /// Remembers what this client does from now on, in moments since `origin`.
    pub fn new(client: Client, number: u32, origin: Instant) -> Self {
        let next = EventId { client: number, number: 0 };
        Recorder { client, origin, next, fill: 0, events: Vec::new(), silent: Vec::new() }
    }

    /// Fills the values of the next requests up with so many bytes.
    pub fn fill(&mut self, bytes: usize) {
        self.fill = bytes;
    }

    /// All that was done, and the requests that were never answered.
    pub fn finish(self) -> (Vec<Event>, Vec<String>) {
        (self.events, self.silent)
    }

    fn now(&self) -> Moment {
        u64::try_from(self.origin.elapsed().as_nanos()).expect("a run ends within centuries")
    }

    /// The next event's id: what a record has that is made for it alone.
    pub fn next(&self) -> EventId {
        self.next
    }

    /// Reads one record.
    pub async fn get(&mut self, key: &str) -> Option<Sight> {
        let (began, path) = (self.now(), path(key));
        let answer = self.send(Method::GET, &path, &[], None).await.ok()?;
        let sight = match answer.status {
            200 => {
                let version = answer.header("etag").trim_matches('"');
                Sight { key: key.to_owned(), found: Some(writer(&answer.json())), version: Some(number(version)) }
            }
            404 => Sight { key: key.to_owned(), found: None, version: None },
            // A read that was refused read nothing.
            503 => return None,
            _ => panic!("reading {key}: {answer:?}"),
        };
        self.remember(began, vec![sight.clone()], Vec::new(), End::Acknowledged);
        Some(sight)
    }

    /// Writes one record, upon what was seen there if anything was.
    pub async fn put(&mut self, key: &str, upon: Option<&Sight>) -> Heard {
        let body = self.value(upon.and_then(|sight| sight.found));
        self.change(Method::PUT, key, upon, Some(body)).await
    }

    /// Deletes one record, upon what was seen there if anything was.
    pub async fn delete(&mut self, key: &str, upon: Option<&Sight>) -> Heard {
        self.change(Method::DELETE, key, upon, None).await
    }

    async fn change(&mut self, method: Method, key: &str, upon: Option<&Sight>, body: Option<Value>) -> Heard {
        let quoted;
        let condition: &[(&str, &str)] = match upon.map(|sight| sight.version) {
            None => &[],
            Some(None) => &[("If-None-Match", "*")],
            Some(Some(version)) => {
                quoted = format!("\"{version}\"");
                &[("If-Match", quoted.as_str())]
            }
        };
        let (began, deletes) = (self.now(), body.is_none());
        let sent = self.send(method, &path(key), condition, body.as_ref()).await;
        let mut change = Change { key: key.to_owned(), after: upon.map(|sight| sight.found), deletes, version: None };
        let end = match sent {
            Err(Failure::NotSent) => return Heard::Nothing,
            Err(Failure::Lost | Failure::Silent) => End::Unknown(None),
            Ok(answer) => {
                let end = end(&answer);
                if end == End::Acknowledged && !deletes {
                    change.version = Some(number(answer.json()["version"].as_str().unwrap_or_else(|| panic!("{answer:?}"))));
                }
                // Nothing was there to be deleted: whoever was told so has read that.
                if deletes && answer.status == 404 && upon.is_none() {
                    let sight = Sight { key: key.to_owned(), found: None, version: None };
                    self.remember(began, vec![sight], Vec::new(), End::Acknowledged);
                    return Heard::Refused;
                }
                end
            }
        };
        self.remember(began, Vec::new(), vec![change], end)
    }

    /// Reads and changes several records at one moment; gives what was read.
    pub async fn transact(&mut self, reads: &[&str], wishes: &[Wish]) -> (Heard, Vec<Sight>) {
        let mut writes = Vec::new();
        for wish in wishes {
            let mut write = Map::from_iter([("key".to_owned(), json!(wish.key))]);
            match wish.delete {
                true => write.insert("delete".to_owned(), json!(true)),
                false => write.insert("value".to_owned(), self.value(wish.upon.as_ref().and_then(|sight| sight.found))),
            };
            if let Some(sight) = &wish.upon {
                let expect = sight.version.map_or(json!("absent"), |version| json!({ "version": version.to_string() }));
                write.insert("expect".to_owned(), expect);
            }
            writes.push(Value::Object(write));
        }
        let began = self.now();
        let body = json!({ "reads": reads, "writes": writes });
        let sent = self.send(Method::POST, "/api/transactions", &[], Some(&body)).await;
        let mut changes: Vec<Change> = wishes
            .iter()
            .map(|wish| Change {
                key: wish.key.clone(),
                after: wish.upon.as_ref().map(|sight| sight.found),
                deletes: wish.delete,
                version: None,
            })
            .collect();
        let mut sights = Vec::new();
        let end = match sent {
            Err(Failure::NotSent) => return (Heard::Nothing, sights),
            Err(Failure::Lost | Failure::Silent) => End::Unknown(None),
            Ok(answer) => {
                let end = end(&answer);
                if end == End::Acknowledged {
                    let document = answer.json();
                    let list = |name: &str| document[name].as_array().cloned().unwrap_or_default();
                    sights.extend(list("reads").iter().map(sight));
                    for written in list("writes") {
                        let change = changes.iter_mut().find(|change| written["key"] == change.key.as_str());
                        change.expect("it was wished for").version = written["version"].as_str().map(number);
                    }
                    assert_eq!(sights.len(), reads.len(), "{answer:?}");
                }
                end
            }
        };
        (self.remember(began, sights.clone(), changes, end), sights)
    }

    fn value(&self, after: Option<EventId>) -> Value {
        let writer = self.next.to_string();
        let mut value = json!({ "writer": writer, "after": after.map(|after| after.to_string()) });
        if self.fill > 0 {
            value["filling"] = json!(filling(&writer, self.fill));
        }
        value
    }

    async fn send(
        &mut self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Answer, Failure> {
        let sent = self.client.send(method.clone(), path, headers, body).await;
        if let Err(Failure::Silent) = sent {
            self.silent.push(format!("{method} {path}"));
        }
        sent
    }

    fn remember(&mut self, began: Moment, reads: Vec<Sight>, writes: Vec<Change>, end: End) -> Heard {
        let heard = match end {
            End::Acknowledged => Heard::Acknowledged,
            End::Refused => Heard::Refused,
            End::Unknown(_) => Heard::Unknown,
        };
        let event = Event { id: self.next, began, ended: self.now(), reads, writes, end };
        self.events.push(event);
        self.next.number += 1;
        heard
    }
}

fn path(key: &str) -> String {
    format!("/api/data/{key}")
}

/// Whose a value is. What fills it up must be there to the last byte.
pub fn writer(value: &Value) -> EventId {
    let writer = value["writer"].as_str().unwrap_or_else(|| panic!("{value} is no value of ours"));
    if let Some(found) = value["filling"].as_str() {
        assert_eq!(found, filling(writer, found.len()), "the value of {writer} is not whole");
    }
    writer.parse().unwrap_or_else(|error| panic!("{value} is no value of ours: {error}"))
}

/// What fills a value of this writer up: it is like no other writer's.
pub fn filling(writer: &str, bytes: usize) -> String {
    let piece = format!("{writer} ");
    let mut filling = piece.repeat(bytes.div_ceil(piece.len()));
    filling.truncate(bytes);
    filling
}

/// The judges order a record's states by their versions, which clients in general may not.
pub fn number(version: &str) -> u64 {
    version.parse().unwrap_or_else(|_| panic!("the version {version:?} is no number"))
}

/// A record as it stands in the answer of a transaction or a list.
pub fn sight(row: &Value) -> Sight {
    let key = row["key"].as_str().unwrap_or_else(|| panic!("{row} has no key")).to_owned();
    let version = row["version"].as_str().map(number);
    Sight { key, found: version.map(|_| writer(&row["value"])), version }
}

fn end(answer: &Answer) -> End {
    match answer.status {
        200..=299 => End::Acknowledged,
        503 => match answer.json()["transaction"].as_str() {
            Some(transaction) => End::Unknown(Some(transaction.to_owned())),
            None => End::Refused,
        },
        404 | 409 | 412 | 507 => {
            assert!(answer.json()["code"].is_i64(), "a refusal says why: {answer:?}");
            End::Refused
        }
        _ => panic!("an answer that nobody expects: {answer:?}"),
    }
}
