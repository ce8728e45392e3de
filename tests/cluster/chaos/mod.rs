//! Chaos: worlds that are drawn from seeds ([`world`]), with clients at work, in which every second or two something goes wrong
//! ([`storm`]). At the end of each everybody is back, all workers but one are killed, everything is read from the last, and the judges
//! look at all that clients ever did. `make chaos` plays one world after the other, half a minute each; `make chaos SECONDS=600 SEED=7`
//! plays that of one seed for longer.

mod fault;
mod names;
mod roster;
mod storm;
mod world;

use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::clients::Clients;
use crate::harness::cluster::Cluster;
use crate::harness::stall::say;
use crate::history::pauses::{self, Pause};
use crate::history::{End, Moment, fates};
use crate::load::Load;
use crate::scene::{last_judgement, summary};
use storm::Storm;
use world::World;

/// How long a run lasts, and a world of it if no seed is given.
const SECONDS: u64 = 60;
const WORLD_SECONDS: u64 = 30;

/// Kinds of faults that happen at the least where not all have to.
const KINDS_MIN: usize = 3;

/// How soon what was in doubt is known once everybody is back.
const KNOWN_WITHIN: Duration = Duration::from_secs(5);

/// The longest pause of writes while the coordinator lives. How long a pause is is promised for one fault alone (`pauses.rs`); of
/// several at once, one after the other on a busy machine, only that writes go on while they last. It is usually a second or two.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// A setting of the run.
fn setting(name: &str) -> Option<String> {
    std::env::vars().find(|(found, text)| found == name && !text.is_empty()).map(|(_, text)| text)
}

fn number(name: &str) -> Option<u64> {
    setting(name).map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is a number, not {text:?}")))
}

fn seconds_of(moment: Moment) -> f64 {
    Duration::from_nanos(moment).as_secs_f64()
}

#[tokio::test(flavor = "multi_thread")]
async fn chaos() {
    let seconds = number("SKEIN_CHAOS_SECONDS").unwrap_or(SECONDS);
    let other = setting("SKEIN_CHAOS_WORLD").unwrap_or_default();
    let plays: Vec<(u64, u64)> = match number("SKEIN_CHAOS_SEED") {
        Some(seed) => vec![(seed, seconds)],
        // The first one shows each kind of fault.
        None => {
            let first = World::seed_for_all_kinds(rand::random::<u64>() % 1_000_000);
            let others = (1..seconds / WORLD_SECONDS).map(|_| rand::random::<u64>() % 1_000_000);
            std::iter::once(first).chain(others).map(|seed| (seed, seconds.min(WORLD_SECONDS))).collect()
        }
    };
    for (seed, seconds) in plays {
        let world = World::of(seed).with(&other).unwrap_or_else(|error| panic!("{error}"));
        let again = if other.is_empty() { String::new() } else { format!(" WORLD='{other}'") };
        say(&format!(
            "chaos: {seconds} s from seed {seed}; again with `make chaos SECONDS={seconds} SEED={seed}{again}`\n{world}"
        ));
        play(world, seed, Duration::from_secs(seconds)).await;
    }
}

/// One world from its beginning to its judgement.
async fn play(world: World, seed: u64, duration: Duration) {
    let cluster = Cluster::start(world.plan());
    let clients = Clients::start(&cluster.url(), world.work(seed)).await;
    let load = Load::start(&cluster.url(), world.crowd(seed)).await;
    clients.writes(100).await;
    let mut storm = Storm::new(cluster, world, seed);
    let from = clients.now();
    storm.rage(duration, &clients).await;
    storm.calm(&clients).await;
    let to = clients.now();
    clients.writes(100).await;
    let mut stopped = load.stop().await;
    let origin = clients.origin();
    let mut history = clients.stop().await;

    storm.cluster.agreed(world.workers).await;
    let (told, learnt) = fates::ask(&storm.cluster.url(), &history, KNOWN_WITHIN).await;
    let last = storm.random.index(world.workers);
    let others: Vec<usize> = (0..world.workers).filter(|index| *index != last).collect();
    storm.cluster.kill_workers(&others);
    storm.cluster.agreed(1).await;
    let url = storm.cluster.url();
    let (verdicts, _) = last_judgement(&url, &mut history, &told, origin).await;
    stopped.check(&url).await;

    let longest = pauses::longest(&history, from, to);
    let beside = |pause: &Pause| storm.down.iter().all(|(since, until)| *until < pause.began || pause.ended() < *since);
    let of_workers = pauses::all(&history, from, to).into_iter().filter(beside).max().unwrap_or_default();
    let is_meanwhile = |(began, ended, _): &&(Moment, Moment, String)| *began <= of_workers.ended() && of_workers.began <= *ended;
    let meanwhile = storm.timeline.iter().filter(is_meanwhile);
    let meanwhile: Vec<String> = meanwhile
        .map(|(began, ended, what)| format!("{what} from {:.1} s to {:.1} s", seconds_of(*began), seconds_of(*ended)))
        .collect();
    let count = |of: &std::sync::atomic::AtomicUsize| of.load(Ordering::Relaxed);
    let light = &stopped.answered;
    say(&format!(
        "chaos: {:.0} s from seed {seed} are over\n{}\nlight clients: {} writes, {} unknown, {} refused or not sent, {} lists; {} records \
         are as they must be",
        seconds_of(to - from),
        summary(&history, &learnt),
        count(&light.writes),
        count(&light.unknown),
        count(&light.refused),
        count(&light.lists),
        stopped.records(),
    ));
    say(&format!(
        "longest pause of acknowledged writes: {:.2} s, and {:.2} s while the coordinator lived, from {:.1} s on ({})\n{}\n{verdicts}\n\
         from worker {last} alone, the others killed",
        longest.took.as_secs_f64(),
        of_workers.took.as_secs_f64(),
        seconds_of(of_workers.began),
        meanwhile.join("; "),
        storm.summary(),
    ));
    let missing = storm.missing();
    assert!(missing.is_empty(), "this never happened, so the run shows nothing: {missing:?}");
    assert!(storm.kinds() >= KINDS_MIN, "hardly anything went wrong, so the run shows nothing: {}", storm.summary());
    assert_eq!(learnt.still_unknown + learnt.no_longer_known, 0, "not everybody could learn what became of a write: {learnt:?}");
    assert!(of_workers.fair(origin) < PAUSE_MAX, "writes stood still for {:?}", of_workers.took);
    assert!(storm.views.len() > 1, "faults that change no view are none: {:?}", storm.views);
    assert!(verdicts.searched.records > 0 && verdicts.there > 0, "{verdicts:?}");
    assert!(world.light == 0 || count(&light.writes) > 0, "no light client ever wrote anything");
    let idle = (0..world.clients).filter(|client| {
        history.count(|event| event.id.client == *client && event.end == End::Acknowledged && !event.writes.is_empty()) == 0
    });
    assert_eq!(idle.count(), 0, "clients that never wrote anything");
}
