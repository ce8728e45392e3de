//! The worlds that are explored. The small ones end within seconds and their state counts are pinned, so that a change
//! of the machines that changes what can happen is seen; the large ones are for a machine with time to spare.

use skein_protocol::operation::{Consistency, Expect, Operation};

use super::network::Order;
use super::reader::Asks;
use super::scenario::{Bounds, Scenario, Sight, delete, put};

/// Every world, the small ones first.
pub fn all() -> Vec<Scenario> {
    let small = vec![
        calm(),
        formation(),
        leaders(),
        restarts(),
        doubt(),
        three(),
        conflict(),
        reads(),
        overtaken(),
        digests(),
        strangers(),
        rejoin(),
        survivor(),
    ];
    let large = vec![cuts(), refusal(), unordered(), triple(), relearn(), onlookers()];
    small.into_iter().chain(large).collect()
}

fn one_write() -> Vec<Vec<Operation>> {
    vec![vec![put("k", Expect::Any, "v")]]
}

/// Two writes that both expect the record to be absent.
fn two_writes() -> Vec<Vec<Operation>> {
    vec![vec![put("k", Expect::Absent, "v")], vec![put("k", Expect::Absent, "w")]]
}

/// One transaction on two workers, and nothing goes wrong.
pub fn calm() -> Scenario {
    Scenario { partial_syncs: true, sights: vec![Sight::Commits], ..Scenario::new("calm", 2, one_write()) }
}

/// The first view forms from nothing while the coordinator dies and the control store fails.
pub fn formation() -> Scenario {
    Scenario {
        from_nothing: true,
        bounds: Bounds { coordinator_restarts: 1, failed_swaps: 1, view_changes: 1, ..Bounds::default() },
        sights: vec![Sight::Commits, Sight::Rests],
        views: 2,
        ..Scenario::new("formation", 2, one_write())
    }
}

/// One transaction on two workers, and the coordinator dies twice, at the commit or within the view change.
pub fn leaders() -> Scenario {
    Scenario {
        bounds: Bounds { coordinator_restarts: 2, failed_swaps: 1, view_changes: 1, ..Bounds::default() },
        sights: vec![Sight::Commits, Sight::DoubtCommits, Sight::DoubtAborts, Sight::ThirdView, Sight::Rests],
        ..Scenario::new("leaders", 2, one_write())
    }
}

/// One transaction on two workers, which restart and lose what was not synced.
pub fn restarts() -> Scenario {
    Scenario {
        bounds: Bounds { worker_restarts: 2, ..Bounds::default() },
        partial_syncs: true,
        sights: vec![Sight::Commits, Sight::DoubtCommits, Sight::DoubtAborts, Sight::Retried, Sight::ThirdView, Sight::Rests],
        ..Scenario::new("restarts", 2, one_write())
    }
}

/// One transaction on two workers that takes longer than its client or the workers have patience for.
pub fn doubt() -> Scenario {
    Scenario {
        bounds: Bounds { coordinator_sweeps: 2, worker_sweeps: 1, worker_restarts: 1, questions: 1, ..Bounds::default() },
        sights: vec![Sight::Commits, Sight::Unknown, Sight::DoubtCommits, Sight::DoubtAborts, Sight::Retried, Sight::Rests],
        ..Scenario::new("doubt", 2, one_write())
    }
}

/// One transaction on three workers, and the coordinator dies.
pub fn three() -> Scenario {
    Scenario {
        bounds: Bounds { coordinator_restarts: 1, ..Bounds::default() },
        sights: vec![Sight::Commits, Sight::DoubtCommits, Sight::DoubtAborts],
        ..Scenario::new("three", 3, one_write())
    }
}

/// Two transactions that both expect one record to be absent, on two workers.
pub fn conflict() -> Scenario {
    Scenario {
        bounds: Bounds { coordinator_restarts: 1, worker_restarts: 1, ..Bounds::default() },
        sights: vec![Sight::Commits, Sight::Aborts, Sight::DoubtCommits, Sight::DoubtAborts, Sight::Rests],
        ..Scenario::new("conflict", 2, two_writes())
    }
}

/// One write on two workers, and two that read it in either way, while a connection is lost.
pub fn reads() -> Scenario {
    Scenario {
        readers: vec![Asks::Key(Consistency::Arrival), Asks::Table(Consistency::Strict)],
        bounds: Bounds { cuts: 1, view_changes: 1, retries: 1, ..Bounds::default() },
        sights: vec![Sight::Commits, Sight::Reads, Sight::DoubtCommits, Sight::DoubtAborts, Sight::Rests],
        ..Scenario::new("reads", 2, one_write())
    }
}

/// One write on two workers and two that read it, over connections that don't keep order: a read may come in before the
/// decision of a write that was acknowledged before it was asked, as it may from another coordinator.
pub fn overtaken() -> Scenario {
    Scenario {
        order: Order::Any,
        readers: vec![Asks::Key(Consistency::Arrival), Asks::Table(Consistency::Arrival)],
        bounds: Bounds { retries: 1, ..Bounds::default() },
        sights: vec![Sight::Commits, Sight::Reads],
        ..Scenario::new("overtaken", 2, one_write())
    }
}

/// Two writes that have nothing to do with each other, and the digests of both workers.
pub fn digests() -> Scenario {
    Scenario {
        readers: vec![Asks::Digests],
        sights: vec![Sight::Commits],
        ..Scenario::new("digests", 2, vec![vec![put("k", Expect::Any, "v")], vec![put("l", Expect::Any, "w")]])
    }
}

/// One transaction on two workers without logs, one of which dies; an empty one starts in its place and is taken as a learner.
pub fn strangers() -> Scenario {
    Scenario {
        views: 2,
        bounds: Bounds { replacements: 1, coordinator_restarts: 1, view_changes: 1, ..Bounds::default() },
        sights: vec![Sight::Commits, Sight::DoubtCommits, Sight::DoubtAborts, Sight::Rests],
        ..Scenario::new("strangers", 2, one_write())
    }
}

/// A worker that was left out comes back: what it held is old, and so is what it missed. While it copies record by record, one
/// transaction writes a record and deletes another.
pub fn rejoin() -> Scenario {
    Scenario {
        before: ["k", "l", "m", "n"].map(|key| put(key, Expect::Any, "0")).into(),
        away: Some(1),
        missed: vec![put("k", Expect::Any, "1"), delete("m")],
        bounds: Bounds { joins: 1, ..Bounds::default() },
        views: 4,
        sights: vec![Sight::Commits, Sight::Learns, Sight::Rejoins, Sight::Rests],
        ..Scenario::new("rejoin", 2, vec![vec![put("l", Expect::Any, "v"), delete("n")]])
    }
}

/// The same with fewer records, and the one that it copied from is lost, for a while or for good.
pub fn survivor() -> Scenario {
    Scenario {
        name: "survivor",
        before: ["l", "n"].map(|key| put(key, Expect::Any, "0")).into(),
        missed: vec![put("l", Expect::Any, "1")],
        bounds: Bounds { joins: 1, cuts: 1, view_changes: 2, ..Bounds::default() },
        views: 5,
        ..rejoin()
    }
}

/// The same, where the learner, or the one that it copies from, restarts during the copy.
pub fn relearn() -> Scenario {
    Scenario {
        name: "relearn",
        bounds: Bounds { joins: 1, worker_restarts: 1, ..Bounds::default() },
        views: 5,
        sights: vec![Sight::Commits, Sight::Learns, Sight::BeginsAnew, Sight::Rejoins, Sight::DoubtCommits, Sight::Rests],
        ..rejoin()
    }
}

/// A worker that was left out comes back while somebody writes and somebody reads.
pub fn onlookers() -> Scenario {
    Scenario {
        name: "onlookers",
        missed: vec![put("k", Expect::Any, "1")],
        before: vec![put("k", Expect::Any, "0")],
        readers: vec![Asks::Key(Consistency::Arrival), Asks::Table(Consistency::Strict)],
        bounds: Bounds { joins: 1, retries: 1, ..Bounds::default() },
        sights: vec![Sight::Commits, Sight::Learns, Sight::Reads, Sight::Rejoins, Sight::Rests],
        requests: one_write(),
        ..rejoin()
    }
}

/// One transaction on two workers, whose connections are lost, for good too.
pub fn cuts() -> Scenario {
    Scenario {
        bounds: Bounds { cuts: 2, view_changes: 2, coordinator_sweeps: 1, questions: 1, ..Bounds::default() },
        sights: vec![
            Sight::Commits,
            Sight::Unknown,
            Sight::DoubtCommits,
            Sight::DoubtAborts,
            Sight::Retried,
            Sight::ThirdView,
            Sight::Rests,
        ],
        ..Scenario::new("cuts", 2, one_write())
    }
}

/// One transaction that one of two workers refuses, while everything fails once.
pub fn refusal() -> Scenario {
    Scenario {
        full: Some(0),
        bounds: Bounds { coordinator_restarts: 1, worker_restarts: 1, cuts: 1, view_changes: 1, ..Bounds::default() },
        sights: vec![Sight::Aborts, Sight::DoubtCommits, Sight::DoubtAborts, Sight::Rests],
        ..Scenario::new("refusal", 2, one_write())
    }
}

/// One transaction on two workers over connections that don't keep order.
pub fn unordered() -> Scenario {
    Scenario {
        order: Order::Any,
        bounds: Bounds { coordinator_restarts: 1, cuts: 1, view_changes: 1, ..Bounds::default() },
        sights: vec![Sight::Commits, Sight::DoubtCommits, Sight::DoubtAborts, Sight::Rests],
        ..Scenario::new("unordered", 2, one_write())
    }
}

/// One transaction on three workers, and the coordinator dies and a connection is lost.
pub fn triple() -> Scenario {
    let bounds = Bounds { cuts: 1, view_changes: 1, ..three().bounds };
    Scenario { name: "triple", bounds, ..three() }
}

/// Two conflicting transactions on two workers, and everything fails once. Too large for every day.
pub fn everything() -> Scenario {
    let bounds = Bounds { cuts: 1, view_changes: 1, failed_swaps: 1, ..conflict().bounds };
    Scenario { name: "everything", bounds, ..conflict() }
}
