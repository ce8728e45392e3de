//! Chaos: five workers behind their proxies, 32 clients, and every two seconds something goes wrong. At the end everybody is
//! back, four of the five are killed, everything is read from the last, and the judges look at all that clients ever did.
//! `make chaos SECONDS=600 SEED=7` runs it for longer; what is injected, when and for how long follows from the seed, and so
//! does the choice among the workers that may be harmed at that moment.

mod fault;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use hyper::Method;
use serde_json::Value;
use skein_sim::simulation::random::Random;

use crate::clients::Clients;
use crate::harness::client::Client;
use crate::harness::cluster::{Cluster, Plan};
use crate::harness::stall::say;
use crate::harness::wait::until;
use crate::history::pauses::{self, Pause};
use crate::history::{End, Moment, fates};
use crate::scene::{last_judgement, members, summary};
use fault::{Fault, Kind};

const WORKERS: usize = 5;
const CLIENTS: u32 = 32;
const CLIENTS_PAUSE: Duration = Duration::from_millis(20);
const SECONDS: u64 = 60;

/// How often something goes wrong, and how often the run looks whether a fault is to end.
const EVERY: Duration = Duration::from_secs(2);
const TICK: Duration = Duration::from_millis(50);

/// How much longer a run lasts at the most until each kind of fault has happened: one may be in vain, since its worker just then
/// had no connection that could be cut, or nothing to sync.
const LONGER: Duration = Duration::from_secs(60);

/// A worker that was harmed may still be about to be left out for this long; it is not the one that all depends on.
const SOUND_AFTER: Duration = Duration::from_secs(4);

/// How soon everybody is back when nothing goes wrong any more, and how soon what was in doubt is known.
const WHOLE_WITHIN: Duration = Duration::from_secs(60);
const KNOWN_WITHIN: Duration = Duration::from_secs(5);

/// The longest pause of writes while the coordinator lives. How long a pause is is promised for one fault alone (`pauses.rs`); of
/// several at once, one after the other on a busy machine, only that writes go on while they last. It is usually a second or two.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// A run.
struct Chaos {
    cluster: Cluster,
    watcher: Client,
    random: Random,
    /// Kinds that are still to come before any comes again; one that was in vain comes once more.
    deck: Vec<Kind>,
    ongoing: Vec<(Instant, Fault)>,
    /// When each worker was last all right again.
    sound_since: [Instant; WORKERS],
    happened: BTreeMap<Kind, usize>,
    in_vain: usize,
    spared: usize,
    views: BTreeSet<u64>,
    /// When the coordinator was down, in moments of the history.
    down: Vec<(Moment, Moment)>,
    /// All that went wrong: from when to when, and what.
    timeline: Vec<(Moment, Moment, String)>,
    most_at_once: usize,
}

/// A setting of the run.
fn setting(name: &str) -> Option<u64> {
    let (_, text) = std::env::vars().find(|(found, text)| found == name && !text.is_empty())?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is a number, not {text:?}")))
}

fn seconds_of(moment: Moment) -> f64 {
    Duration::from_nanos(moment).as_secs_f64()
}

#[tokio::test(flavor = "multi_thread")]
async fn chaos() {
    let seconds = setting("SKEIN_CHAOS_SECONDS").unwrap_or(SECONDS);
    let seed = setting("SKEIN_CHAOS_SEED").unwrap_or_else(|| rand::random::<u64>() % 1_000_000);
    say(&format!("chaos: {seconds} s from seed {seed}; again with `make chaos SECONDS={seconds} SEED={seed}`"));
    let cluster = Cluster::start(Plan::proxied(WORKERS));
    let clients = Clients::start(&cluster.url(), CLIENTS, seed, CLIENTS_PAUSE).await;
    clients.writes(100).await;
    let mut chaos = Chaos::new(cluster, seed);
    let from = clients.now();
    chaos.rage(Duration::from_secs(seconds), &clients).await;
    chaos.calm(&clients).await;
    let to = clients.now();
    let missing = chaos.missing();
    clients.writes(100).await;
    let origin = clients.origin();
    let mut history = clients.stop().await;

    let Chaos { mut cluster, mut random, happened, in_vain, spared, views, down, timeline, most_at_once, .. } = chaos;
    cluster.agreed(WORKERS).await;
    let (told, learnt) = fates::ask(&cluster.url(), &history, KNOWN_WITHIN).await;
    let last = random.index(WORKERS);
    let others: Vec<usize> = (0..WORKERS).filter(|index| *index != last).collect();
    cluster.kill_workers(&others);
    cluster.agreed(1).await;
    let (verdicts, _) = last_judgement(&cluster.url(), &mut history, &told, origin).await;

    let longest = pauses::longest(&history, from, to);
    let beside = |pause: &Pause| down.iter().all(|(since, until)| *until < pause.began || pause.ended() < *since);
    let of_workers = pauses::all(&history, from, to).into_iter().filter(beside).max().unwrap_or_default();
    let meanwhile: Vec<String> = timeline
        .iter()
        .filter(|(began, ended, _)| *began <= of_workers.ended() && of_workers.began <= *ended)
        .map(|(began, ended, what)| format!("{what} from {:.1} s to {:.1} s", seconds_of(*began), seconds_of(*ended)))
        .collect();
    let faults: Vec<String> = Kind::ALL.iter().map(|kind| format!("{kind} {}", happened.get(kind).unwrap_or(&0))).collect();
    say(&format!("chaos: {:.0} s from seed {seed} are over\n{}", seconds_of(to - from), summary(&history, &learnt)));
    say(&format!(
        "longest pause of acknowledged writes: {:.2} s, and {:.2} s while the coordinator lived, from {:.1} s on ({})\nviews: {}\n\
         faults: {}; {in_vain} in vain, {spared} spared the last worker, {most_at_once} at once at the most\n{verdicts}\n\
         from worker {last} alone, the others killed",
        longest.took.as_secs_f64(),
        of_workers.took.as_secs_f64(),
        seconds_of(of_workers.began),
        meanwhile.join("; "),
        views.len(),
        faults.join(", "),
    ));
    assert!(missing.is_empty(), "this never happened, so the run shows nothing: {missing:?}");
    assert_eq!(learnt.still_unknown + learnt.no_longer_known, 0, "not everybody could learn what became of a write: {learnt:?}");
    assert!(of_workers.fair(origin) < PAUSE_MAX, "writes stood still for {:?}", of_workers.took);
    assert!(views.len() > 2, "faults that change no view are none: {views:?}");
    assert!(verdicts.searched.records > 0 && verdicts.there > 0, "{verdicts:?}");
    let idle = (0..CLIENTS).filter(|client| {
        history.count(|event| event.id.client == *client && event.end == End::Acknowledged && !event.writes.is_empty()) == 0
    });
    assert_eq!(idle.count(), 0, "clients that never wrote anything");
}

impl Chaos {
    fn new(cluster: Cluster, seed: u64) -> Self {
        let watcher = Client::new(&cluster.url());
        Chaos {
            cluster,
            watcher,
            random: Random::new(seed),
            deck: Vec::new(),
            ongoing: Vec::new(),
            sound_since: [Instant::now(); WORKERS],
            happened: BTreeMap::new(),
            in_vain: 0,
            spared: 0,
            views: BTreeSet::new(),
            down: Vec::new(),
            timeline: Vec::new(),
            most_at_once: 0,
        }
    }

    /// Lets things go wrong for so long, and for longer if something has not gone wrong yet.
    async fn rage(&mut self, duration: Duration, clients: &Clients) {
        let (begun, mut next) = (Instant::now(), Instant::now());
        let mut ticks = tokio::time::interval(TICK);
        while begun.elapsed() < duration || (!self.missing().is_empty() && begun.elapsed() < duration + LONGER) {
            ticks.tick().await;
            self.end_faults(false);
            let Some(standing) = self.standing().await else { continue };
            self.ready_again(&standing, clients);
            if Instant::now() >= next {
                next += EVERY;
                self.strike(&standing, clients);
                self.most_at_once = self.most_at_once.max(self.ongoing.len());
            }
        }
    }

    /// Ends all faults and waits until every worker is a member and writes are taken.
    async fn calm(&mut self, clients: &Clients) {
        self.end_faults(true);
        let whole = async || {
            let standing = self.standing().await?;
            self.ready_again(&standing, clients);
            (members(&standing).len() == WORKERS && standing["serving"] == true).then_some(())
        };
        until("everybody is back", WHOLE_WITHIN, whole).await;
        assert_eq!(
            self.down.iter().filter(|(_, until)| *until == Moment::MAX).count(),
            0,
            "the coordinator said that it is ready"
        );
    }

    /// What the coordinator says, if it answers.
    async fn standing(&mut self) -> Option<Value> {
        let answer = self.watcher.send(Method::GET, "/api/cluster", &[], None).await.ok()?;
        let standing = answer.json();
        self.views.extend(standing["view"].as_u64());
        Some(standing)
    }

    /// Notes that a coordinator that was started again serves.
    fn ready_again(&mut self, standing: &Value, clients: &Clients) {
        if standing["serving"] == true
            && let Some((_, until)) = self.down.last_mut().filter(|(_, until)| *until == Moment::MAX)
        {
            self.cluster.coordinator().await_ready();
            *until = clients.now();
        }
    }

    fn end_faults(&mut self, all: bool) {
        for (until, mut fault) in std::mem::take(&mut self.ongoing) {
            if !all && Instant::now() < until {
                fault.look(&mut self.cluster);
                self.ongoing.push((until, fault));
                continue;
            }
            let (kind, worker) = (fault.kind, fault.worker);
            let happened = fault.end(&mut self.cluster);
            self.count(kind, happened);
            self.sound_since[worker] = Instant::now();
        }
    }

    fn count(&mut self, kind: Kind, happened: bool) {
        match happened {
            true => *self.happened.entry(kind).or_default() += 1,
            false => {
                self.in_vain += 1;
                self.deck.push(kind);
            }
        }
    }

    /// What has not happened so far.
    fn missing(&self) -> Vec<Kind> {
        Kind::ALL.into_iter().filter(|kind| !self.happened.contains_key(kind)).collect()
    }

    /// The next fault, if the cluster can bear it: one worker of the active view must stay whole.
    fn strike(&mut self, standing: &Value, clients: &Clients) {
        if self.deck.is_empty() {
            self.deck = Kind::ALL.to_vec();
        }
        let place = self.random.index(self.deck.len());
        let kind = self.deck.swap_remove(place);
        if !kind.is_of_a_worker() {
            if self.down.last().is_some_and(|(_, until)| *until == Moment::MAX) {
                self.deck.push(kind);
                self.spared += 1;
                return;
            }
            self.restart(kind, clients);
            return;
        }
        let harmed: Vec<usize> = self.ongoing.iter().map(|(_, fault)| fault.worker).collect();
        let members = members(standing);
        let sound: Vec<usize> = (0..WORKERS)
            .filter(|index| members.iter().any(|member| member == self.cluster.seen_address(*index)))
            .filter(|index| !harmed.contains(index) && self.sound_since[*index].elapsed() > SOUND_AFTER)
            .collect();
        let may_be_harmed: Vec<usize> =
            (0..WORKERS).filter(|index| !harmed.contains(index) && sound.iter().any(|other| other != index)).collect();
        if may_be_harmed.is_empty() {
            self.deck.push(kind);
            self.spared += 1;
            return;
        }
        let worker = self.random.pick(&may_be_harmed);
        let duration = kind.duration(&mut self.random);
        let fault = Fault::begin(kind, worker, &mut self.cluster, &mut self.random);
        let (began, lasts) = (clients.now(), u64::try_from(duration.as_nanos()).expect("it is short"));
        self.timeline.push((began, began + lasts, format!("{kind}, {worker}")));
        self.ongoing.push((Instant::now() + duration, fault));
    }

    /// Kills the coordinator, or everything, and starts it again; whether it serves shows later.
    fn restart(&mut self, kind: Kind, clients: &Clients) {
        let killed = clients.now();
        if kind == Kind::Everything {
            // Nobody is paused or cut off any more; who was dead is started with the others.
            for (_, fault) in std::mem::take(&mut self.ongoing) {
                let kind = fault.kind;
                let happened = fault.overtaken(&mut self.cluster);
                self.count(kind, happened);
            }
            self.cluster.kill_all();
            self.cluster.spawn_all();
            self.sound_since = [Instant::now(); WORKERS];
        } else {
            self.cluster.kill_coordinator();
            self.cluster.begin_coordinator();
        }
        self.down.push((killed, Moment::MAX));
        self.timeline.push((killed, clients.now(), kind.to_string()));
        self.count(kind, true);
    }
}
