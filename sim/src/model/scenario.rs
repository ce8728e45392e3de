//! What a world consists of and what may befall it: the size, the clients' requests, the bounds of each kind of fault. The
//! bounds make the world finite; within them everything is tried.

use skein_protocol::operation::{Action, Expect, Key, Operation, TableId};
use skein_protocol::rules::Rules;

use super::network::Order;
use super::reader::Asks;

/// How often each thing may still happen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Bounds {
    /// The coordinator dies and starts again as a new run.
    pub coordinator_restarts: u8,
    /// A worker dies and starts again from its log. One that dies for good is one that is never connected again.
    pub worker_restarts: u8,
    /// A worker without a log on disk dies, and another, empty one starts in its place.
    pub replacements: u8,
    /// A connection is lost.
    pub cuts: u8,
    /// The control store fails a swap, made or not.
    pub failed_swaps: u8,
    /// The coordinator's sweep goes off.
    pub coordinator_sweeps: u8,
    /// A worker's sweep goes off.
    pub worker_sweeps: u8,
    /// The coordinator's wait within a view change ends.
    pub view_changes: u8,
    /// Refused transactions are tried again.
    pub retries: u8,
    /// How often workers that want to join are taken in.
    pub joins: u8,
    /// A client asks how a transaction ended that it had no answer for.
    pub questions: u8,
}

/// One world to explore.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Names the world on the command line and in the documents.
    pub name: &'static str,
    /// How many workers there are.
    pub workers: usize,
    /// A worker without memory for any write: it votes no where others vote yes.
    pub full: Option<usize>,
    /// What was committed before the exploration begins.
    pub before: Vec<Operation>,
    /// A worker that has been left out before the exploration begins, after that.
    pub away: Option<usize>,
    /// What was committed without it.
    pub missed: Vec<Operation>,
    /// What the clients ask for, one after the other, at any moment.
    pub requests: Vec<Vec<Operation>>,
    /// Who reads the first request's key, one after the other, at any moment.
    pub readers: Vec<Asks>,
    /// Whether connections keep order.
    pub order: Order,
    /// Whether a sync may cover some of the appended records only.
    pub partial_syncs: bool,
    /// Whether the exploration begins before the first view; else it begins when that is active and all is quiet.
    pub from_nothing: bool,
    /// The greatest view number that is explored.
    pub views: u64,
    /// What may happen.
    pub bounds: Bounds,
    /// The rules that the machines keep.
    pub rules: Rules,
    /// What must be seen to happen somewhere in this world, so that its promises are not kept by its being dull.
    pub sights: Vec<Sight>,
}

/// Something that a world must be able to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sight {
    /// A client hears *committed*.
    Commits,
    /// A client hears *aborted*.
    Aborts,
    /// A client hears that the outcome is not known.
    Unknown,
    /// A transaction in doubt commits with a view change.
    DoubtCommits,
    /// A transaction in doubt aborts with a view change.
    DoubtAborts,
    /// A request commits under another id than its first.
    Retried,
    /// A third view becomes active.
    ThirdView,
    /// A reader finds a write.
    Reads,
    /// After a view change all comes to rest with an answered client.
    Rests,
    /// A learner has something prepared while its copy is not complete.
    Learns,
    /// A learner begins its copy anew.
    BeginsAnew,
    /// Who was away is a member again.
    Rejoins,
}

impl Scenario {
    /// A world without faults: `workers` and these requests, up to three views.
    pub fn new(name: &'static str, workers: usize, requests: Vec<Vec<Operation>>) -> Self {
        Scenario {
            name,
            workers,
            full: None,
            before: Vec::new(),
            away: None,
            missed: Vec::new(),
            requests,
            readers: Vec::new(),
            order: Order::Kept,
            partial_syncs: false,
            from_nothing: false,
            views: 3,
            bounds: Bounds::default(),
            rules: Rules::ALL,
            sights: Vec::new(),
        }
    }
}

/// Removes a key, if it is there.
pub fn delete(key: &str) -> Operation {
    Operation { key: Key::new(TableId(0), key), expect: Expect::Any, action: Action::Delete }
}

/// A write of one key; its value tells which request it is of.
pub fn put(key: &str, expect: Expect, value: &str) -> Operation {
    Operation { key: Key::new(TableId(0), key), expect, action: Action::Put(value.into()) }
}
