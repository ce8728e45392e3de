//! The promises, each a plain question to one moment of the world. They ask the disks, the control store, the clients and
//! the observer's notes; never the coordinator's mind, since a promise that only it could see kept would not be one.

use skein_protocol::id::TxnId;
use skein_protocol::invariant;
use skein_protocol::membership::view::Standing;
use skein_protocol::message::Outcome;
use skein_protocol::operation::{Action, Expect, Key, Operation};
use skein_protocol::record::{Prepared, Snapshot};
use skein_protocol::step::{Reply, Timer};

use super::ClusterModel;
use super::client::Client;
use super::network::Order;
use super::world::{WorkerProcess, World};
use crate::part::Part;

/// A promise that holds at every moment.
pub struct Promise {
    /// Its name, as the checker reports it.
    pub name: &'static str,
    /// Whether it holds now.
    pub keeps: fn(&ClusterModel, &World) -> bool,
}

/// No two members of the active view, nor a member and the view's own outcomes, say different things of a transaction.
pub const AGREEMENT: Promise = Promise { name: "agreement", keeps: agreement };
/// What one member of the active view has applied, each has applied or holds prepared, on its disk too.
pub const REPLICATED: Promise = Promise { name: "replicated", keeps: replicated };
/// A client that heard *committed* finds its writes at each member of the active view, on its disk too.
pub const COMMITTED_STAYS: Promise = Promise { name: "committed stays", keeps: committed_stays };
/// What a client heard to be aborted is applied nowhere, ever.
pub const ABORTED_NEVER_WAS: Promise = Promise { name: "aborted never was", keeps: aborted_never_was };
/// A client hears one answer to its request, and later questions never contradict it or each other.
pub const ONE_ANSWER: Promise = Promise { name: "one answer", keeps: one_answer };
/// A request takes effect once, however often it was tried, and under no other id than the one that its client was told.
pub const ONCE: Promise = Promise { name: "once", keeps: once };
/// How the first active view above a transaction's own settles it, so it stays.
pub const SETTLED_STANDS: Promise = Promise { name: "settled stands", keeps: settled_stands };
/// Of two transactions that expect the same thing of a record and change it, one commits at the most.
pub const EXPECTATIONS: Promise = Promise { name: "expectations", keeps: expectations };
/// When nothing is under way, every client has its answer, nothing is in doubt, and the members hold the same.
pub const COMES_TO_REST: Promise = Promise { name: "comes to rest", keeps: comes_to_rest };
/// A reader finds what was acknowledged or read before it asked, or something later, and nothing that is not committed;
/// digests taken together are equal.
pub const READS_CURRENT: Promise = Promise { name: "reads current", keeps: reads_current };
/// What a worker says of itself is on its disk.
pub const SYNCED_FIRST: Promise = Promise { name: "synced first", keeps: synced_first };
/// The invariants that the core names hold of each machine after each input, and of the members of a view together.
pub const INVARIANTS: Promise = Promise { name: "invariants", keeps: invariants };
/// What a worker's log adds up to is what the worker holds.
pub const LOGGED: Promise = Promise { name: "logged", keeps: logged };
/// No machine panics, halts or breaks the contract of the core.
pub const SOUND: Promise = Promise { name: "sound", keeps: sound };

/// Every promise.
pub const ALL: [Promise; 14] = [
    AGREEMENT,
    REPLICATED,
    COMMITTED_STAYS,
    ABORTED_NEVER_WAS,
    ONE_ANSWER,
    ONCE,
    SETTLED_STANDS,
    EXPECTATIONS,
    COMES_TO_REST,
    READS_CURRENT,
    SYNCED_FIRST,
    INVARIANTS,
    LOGGED,
    SOUND,
];

fn agreement(_: &ClusterModel, world: &World) -> bool {
    let outcomes = world.store.as_ref().and_then(|record| record.active.as_ref()).map_or(&[][..], |a| &a.outcomes);
    world.history.ran.keys().all(|txn| {
        let settled = outcomes.iter().filter(|(listed, _)| listed == txn).map(|(_, outcome)| *outcome);
        let decided = world.members().filter_map(|member| member.disk.whole.decided.get(txn)).map(|d| d.outcome);
        let applied = world.members().filter(|member| has_written(&member.disk.whole, *txn)).map(|_| Outcome::Committed);
        all_equal(settled.chain(decided).chain(applied))
    })
}

fn replicated(_: &ClusterModel, world: &World) -> bool {
    let kept = |snapshot: &Snapshot, member: &WorkerProcess| {
        member.disk.whole.records.iter().all(|(key, stored)| {
            snapshot.prepared.contains_key(&stored.written_by)
                || snapshot.records.get(key).is_some_and(|other| other == stored || other.version > stored.version)
                || is_being_deleted(&member.disk.whole, key)
        })
    };
    let both = |other: &WorkerProcess, member| kept(&other.disk.whole, member) && kept(&other.disk.synced, member);
    world.members().all(|member| world.members().all(|other| both(other, member)))
}

/// Whether a transaction that is prepared here deletes this key: elsewhere it may be gone already.
fn is_being_deleted(snapshot: &Snapshot, key: &Key) -> bool {
    let deletes = |operation: &Operation| operation.key == *key && operation.action == Action::Delete;
    snapshot.prepared.values().any(|prepared| prepared.operations.iter().any(deletes))
}

fn committed_stays(model: &ClusterModel, world: &World) -> bool {
    let learned = |client: &Client| {
        let committed = client.told().any(|outcome| outcome == Outcome::Committed);
        client.in_doubt().filter(|_| committed).is_none_or(|txn| {
            let prepared = |member: &WorkerProcess| member.disk.synced.prepared.contains_key(&txn);
            world.history.applied.contains(&txn) || world.members().all(prepared)
        })
    };
    before_stays(model, world)
        && world.clients.iter().all(|client| learned(client))
        && world.clients.iter().zip(&model.scenario.requests).all(|(client, operations)| {
            client.replies.iter().all(|reply| match reply {
                Reply::Committed { txn, versions } => {
                    let kept = |snapshot: &Snapshot| {
                        let written = |(operation, version): (&Operation, _)| {
                            let stored = snapshot.records.get(&operation.key);
                            match operation.action {
                                Action::Put(_) => stored.is_some_and(|stored| stored.version >= version),
                                Action::Delete => stored.is_none_or(|stored| stored.version > version),
                                Action::Check => true,
                            }
                        };
                        let versions = versions.iter().copied();
                        snapshot.prepared.contains_key(txn) || operations.iter().zip(versions).all(written)
                    };
                    versions.len() == operations.len()
                        && world.history.settled.get(txn) != Some(&Outcome::Aborted)
                        && world.members().all(|member| kept(&member.disk.whole) && kept(&member.disk.synced))
                }
                _ => true,
            })
        })
}

/// What was committed before the exploration began is at each member, unless a request has deleted it.
fn before_stays(model: &ClusterModel, world: &World) -> bool {
    world.history.before.iter().all(|(key, version)| {
        let kept = |snapshot: &Snapshot| snapshot.records.get(key).is_some_and(|stored| stored.version >= *version);
        world.members().all(|member| kept(&member.disk.whole) && kept(&member.disk.synced))
            || world.history.is_deleted(&model.scenario, key)
    })
}

fn aborted_never_was(_: &ClusterModel, world: &World) -> bool {
    let history = &world.history;
    world.clients.iter().enumerate().all(|(request, client)| {
        let aborted = client.replies.iter().any(|reply| matches!(reply, Reply::Aborted { .. } | Reply::Refused(_)));
        let was = |txn| history.applied.contains(&txn) || history.settled.get(&txn) == Some(&Outcome::Committed);
        let learned = client.told().any(|outcome| outcome == Outcome::Aborted);
        (!aborted || !history.attempts(request).any(was)) && (!learned || !client.in_doubt().is_some_and(was))
    })
}

fn one_answer(_: &ClusterModel, world: &World) -> bool {
    world.clients.iter().all(|client| client.replies.len() <= 1 && all_equal(client.told()))
}

fn once(_: &ClusterModel, world: &World) -> bool {
    let applied = |request| world.history.attempts(request).filter(|txn| world.history.applied.contains(txn)).count();
    // Who was told *unknown* was told of one transaction; after that no other is tried.
    let other = |request: usize, told: TxnId| {
        world.history.attempts(request).any(|txn| txn != told && world.history.applied.contains(&txn))
    };
    let untold = |(request, client): (usize, &Part<Client>)| client.in_doubt().is_none_or(|told| !other(request, told));
    (0..world.clients.len()).all(|request| applied(request) <= 1) && world.clients.iter().enumerate().all(untold)
}

fn settled_stands(_: &ClusterModel, world: &World) -> bool {
    let history = &world.history;
    let told = |txn: &TxnId, outcome: Outcome| {
        let asked = |client: &Client| client.in_doubt() == Some(*txn);
        world.clients.iter().filter(|client| asked(client)).all(|client| client.told().all(|told| told == outcome))
    };
    history.settled.iter().all(|(txn, outcome)| {
        told(txn, *outcome)
            && match outcome {
                Outcome::Aborted => !history.applied.contains(txn),
                Outcome::Committed => world
                    .members()
                    .all(|member| member.disk.whole.decided.get(txn).is_none_or(|decided| decided.outcome == Outcome::Committed)),
            }
    })
}

fn expectations(model: &ClusterModel, world: &World) -> bool {
    let requests = &model.scenario.requests;
    let applied: Vec<&Operation> = world
        .history
        .ran
        .iter()
        .filter(|(txn, _)| world.history.applied.contains(txn))
        .flat_map(|(_, run)| &requests[run.request])
        .filter(|operation| operation.action != Action::Check)
        .filter(|operation| matches!(operation.expect, Expect::Absent | Expect::Version(_)))
        .collect();
    let same = |a: &Operation, b: &Operation| a.key == b.key && a.expect == b.expect;
    applied.iter().enumerate().all(|(place, a)| applied[..place].iter().all(|b| !same(a, b)))
}

fn reads_current(model: &ClusterModel, world: &World) -> bool {
    let key = &model.scenario.requests[0][0].key;
    world.readers.iter().all(|reader| {
        let current = reader.rows().is_none_or(|rows| {
            let committed = rows.iter().all(|row| world.history.applied.contains(&row.written_by));
            committed && reader.version(key) >= reader.floor
        });
        let equal = reader.replies.iter().all(|reply| match reply {
            Reply::Digests { digests, .. } => all_equal(digests.iter().map(|(_, digest)| digest)),
            _ => true,
        });
        reader.replies.len() <= 1 && current && equal
    })
}

fn comes_to_rest(model: &ClusterModel, world: &World) -> bool {
    let reachable = world.members().any(|member| member.link.is_some());
    if !reachable || !is_quiet(world) || has_disordered_learner(model, world) {
        return true;
    }
    let run = Some(world.coordinator.run);
    let answered = world.clients.iter().all(|client| client.asked != run || !client.replies.is_empty())
        && world.readers.iter().all(|reader| reader.asked != run || !reader.replies.is_empty());
    let settled = !world.is_view_pending() && world.members().all(|member| member.disk.whole.prepared.is_empty());
    let all_in = world.coordinator.timers.contains(&Timer::Join) || world.members().count() == world.workers.len();
    answered && settled && all_in && all_equal(world.members().map(|member| &member.disk.whole.records))
}

/// A learner where connections don't keep order: it may not have heard of the view that it learns in when a transaction of it came, or
/// its donor may have been asked for records before that view was active there. What ends that are beats and sweeps.
fn has_disordered_learner(model: &ClusterModel, world: &World) -> bool {
    let active = world.store.as_ref().and_then(|record| record.active.as_ref());
    model.scenario.order != Order::Kept && active.is_some_and(|active| !active.view.learners().is_empty())
}

/// Nothing is under way that the machines wait for: no message, sync, swap or timer but those that run for ever and that which takes
/// in who has come back, and no worker out of reach.
pub fn is_quiet(world: &World) -> bool {
    let at_rest = |worker: &WorkerProcess| {
        worker.disk.unsynced.is_empty()
            && worker.remnants.is_empty()
            && worker.link.as_ref().is_some_and(|link| link.down.is_empty() && link.up.is_empty())
    };
    world.fault.is_none()
        && world.coordinator.swap.is_none()
        && !world.coordinator.timers.iter().any(|timer| matches!(timer, Timer::ViewChange | Timer::Retry))
        && world.workers.iter().all(at_rest)
}

fn synced_first(_: &ClusterModel, world: &World) -> bool {
    !world.history.unbacked
}

fn invariants(_: &ClusterModel, world: &World) -> bool {
    let members = world.members().map(|member| &*member.machine);
    world.history.violations.is_empty() && invariant::of_members(members).is_empty()
}

fn logged(_: &ClusterModel, world: &World) -> bool {
    world.workers.iter().all(|worker| {
        let (machine, log) = (&worker.machine, &worker.disk.whole);
        machine.unsynced() == worker.disk.unsynced.len()
            && (machine.cluster(), machine.view()) == (log.cluster, log.view)
            && *machine.records() == log.records
            && *machine.decided() == log.decided
            && machine.prepared().len() == log.prepared.len()
            && machine.prepared().zip(log.prepared.values()).all(|(held, logged)| is_logged_as(held, logged, log))
    })
}

/// A learner logs what it prepares without versions, and as a member knows them from what it holds.
fn is_logged_as(held: &Prepared, logged: &Prepared, log: &Snapshot) -> bool {
    let completed = logged.versions.is_empty() && log.standing == Some(Standing::Member);
    held == logged || completed && *held == Prepared { versions: held.versions.clone(), ..logged.clone() }
}

fn sound(_: &ClusterModel, world: &World) -> bool {
    world.fault.is_none()
}

fn has_written(snapshot: &Snapshot, txn: TxnId) -> bool {
    snapshot.records.values().any(|stored| stored.written_by == txn)
}

fn all_equal<T: PartialEq>(mut values: impl Iterator<Item = T>) -> bool {
    values.next().is_none_or(|first| values.all(|other| other == first))
}
