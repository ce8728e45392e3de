//! What must be seen to happen in a world. A promise kept by a world in which nothing ever commits, or nothing is ever in
//! doubt, says little; so each world names what it is able to show, and the checker must find an example.

use skein_protocol::membership::view::Standing;
use skein_protocol::message::Outcome;
use skein_protocol::step::Reply;

use super::ClusterModel;
use super::property;
use super::scenario::Sight;
use super::world::{WorkerProcess, World};

impl Sight {
    /// Its name, as the checker reports it.
    pub fn name(self) -> &'static str {
        match self {
            Sight::Commits => "commits",
            Sight::Aborts => "aborts",
            Sight::Unknown => "unknown",
            Sight::DoubtCommits => "in doubt, commits",
            Sight::DoubtAborts => "in doubt, aborts",
            Sight::Retried => "retried",
            Sight::ThirdView => "third view",
            Sight::Reads => "reads",
            Sight::Rests => "rests",
            Sight::Learns => "learns",
            Sight::BeginsAnew => "begins anew",
            Sight::Rejoins => "rejoins",
        }
    }

    /// Whether it is seen at a moment.
    pub fn seen(self) -> fn(&ClusterModel, &World) -> bool {
        match self {
            Sight::Commits => |_, world| replied(world, |reply| matches!(reply, Reply::Committed { .. })),
            Sight::Aborts => |_, world| replied(world, |reply| matches!(reply, Reply::Aborted { .. })),
            Sight::Unknown => |_, world| replied(world, |reply| matches!(reply, Reply::Unknown { .. })),
            Sight::DoubtCommits => |_, world| doubt_ends(world, Outcome::Committed),
            Sight::DoubtAborts => |_, world| doubt_ends(world, Outcome::Aborted),
            Sight::Retried => |_, world| {
                let again = |request| world.history.attempts(request).skip(1).any(|txn| world.history.applied.contains(&txn));
                (0..world.clients.len()).any(again)
            },
            Sight::ThirdView => |_, world| active_view(world) == 3,
            Sight::Reads => |_, world| world.readers.iter().any(|reader| reader.rows().is_some_and(|rows| !rows.is_empty())),
            Sight::Learns => |_, world| {
                learners(world).any(|learner| {
                    learner.machine.participant().is_incomplete() && learner.disk.whole.prepared.values().len() > 0
                })
            },
            Sight::BeginsAnew => |_, world| {
                learners(world).any(|learner| learner.machine.records().is_empty() && !learner.disk.synced.records.is_empty())
            },
            Sight::Rejoins => |model, world| {
                model.scenario.away.is_some_and(|away| world.members().any(|it| it.node() == world.workers[away].node()))
            },
            Sight::Rests => |_, world| property::is_quiet(world) && active_view(world) > 1 && replied(world, |_| true),
        }
    }
}

/// Those that learn, as they see it themselves.
fn learners(world: &World) -> impl Iterator<Item = &WorkerProcess> {
    world.workers.iter().filter(|worker| worker.machine.standing() == Some(Standing::Learner))
}

fn active_view(world: &World) -> u64 {
    world.store.as_ref().and_then(|record| record.active.as_ref()).map_or(0, |active| active.view.number.0)
}

fn replied(world: &World, wanted: fn(&Reply) -> bool) -> bool {
    world.clients.iter().any(|client| client.replies.iter().any(wanted))
}

/// The active view settles so a transaction that a member still holds prepared.
fn doubt_ends(world: &World, outcome: Outcome) -> bool {
    let active = world.store.as_ref().and_then(|record| record.active.as_ref());
    let settled = active.map_or(&[][..], |active| &active.outcomes);
    let in_doubt = |txn| world.members().any(|member| member.disk.whole.prepared.contains_key(txn));
    settled.iter().any(|(txn, ended)| *ended == outcome && in_doubt(txn))
}
