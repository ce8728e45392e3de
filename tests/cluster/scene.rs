//! A cluster behind its proxies, clients at work on it, and the judgement when the test has done its worst: what every test of
//! a fault has in common.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::clients::{Clients, Work, read_all};
use crate::harness::client::Client;
use crate::harness::cluster::{Cluster, Plan};
use crate::harness::stall;
use crate::harness::wait::until;
use crate::history::fates::{self, Fate, Learnt};
use crate::history::survival::Survivors;
use crate::history::verdicts::Verdicts;
use crate::history::{End, EventId, History};

/// The pause of each client between two requests: two processors run the clients, too.
const CLIENTS_PAUSE: Duration = Duration::from_millis(5);

/// How soon a worker is left out that can't be reached: within 1.5 s, and one more on a busy machine.
pub const LEFT_OUT_WITHIN: Duration = Duration::from_millis(2_500);

/// How soon whatever must happen in the end does: a worker that can be reached is a member again, one that can't is none.
const SURELY_WITHIN: Duration = Duration::from_secs(30);

/// How soon the outcome of whatever was in doubt is known once the cluster is whole.
const KNOWN_WITHIN: Duration = Duration::from_secs(5);

/// What came of it, in which no judge found anything.
pub struct Judged {
    pub history: History,
    pub told: BTreeMap<EventId, Fate>,
    pub found: Survivors,
    pub learnt: Learnt,
}

/// A cluster and its clients.
pub struct Scene {
    pub cluster: Cluster,
    pub clients: Clients,
    watcher: Client,
}

impl Scene {
    /// So many workers with logs, each behind its proxy, and so many clients that have begun to write.
    pub async fn begin(workers: usize, clients: u32, seed: u64) -> Self {
        Scene::of(Plan::proxied(workers), clients, seed).await
    }

    /// The same with a plan of the test's own.
    pub async fn of(plan: Plan, clients: u32, seed: u64) -> Self {
        let cluster = Cluster::start(plan);
        let work = Work { clients, seed, pause: CLIENTS_PAUSE, value_bytes_max: 0 };
        let clients = Clients::start(&cluster.url(), work).await;
        let watcher = Client::new(&cluster.url());
        let scene = Scene { cluster, clients, watcher };
        scene.clients.writes(100).await;
        scene
    }

    /// What `/api/cluster` says.
    pub async fn standing(&mut self) -> Value {
        self.watcher.get("/api/cluster").await.json()
    }

    /// Waits until a worker is no member any more and writes go on; says how long it took, without the time in which the machine
    /// itself stood still. It may take [`LEFT_OUT_WITHIN`], to which `stall::holds` holds it.
    pub async fn left_out(&mut self, index: usize) -> Duration {
        let address = self.cluster.seen_address(index).to_owned();
        let what = format!("worker {index} is left out");
        let out = async || (!members(&self.watcher.get("/api/cluster").await.json()).contains(&address)).then_some(());
        let begun = Instant::now();
        until(&what, SURELY_WITHIN, out).await;
        let took = stall::fair_since(begun);
        println!("{what} after {took:?}, of {:?}", begun.elapsed());
        self.clients.writes(50).await;
        took
    }

    /// Waits until a worker is a member again and writes go on; says how long it took.
    pub async fn back(&mut self, index: usize) -> Duration {
        let address = self.cluster.seen_address(index).to_owned();
        let what = format!("worker {index} is a member again");
        let back = async || members(&self.watcher.get("/api/cluster").await.json()).contains(&address).then_some(());
        let took = until(&what, SURELY_WITHIN, back).await.1;
        println!("{what} after {took:?}");
        self.clients.writes(50).await;
        took
    }

    /// Stops the clients, learns what was in doubt, waits until all replicas are the same, reads everything once more, and
    /// asks the judges.
    ///
    /// # Panics
    ///
    /// When a promise was broken.
    pub async fn judge(self) -> Judged {
        let Scene { cluster, clients, .. } = self;
        let origin = clients.origin();
        let mut history = clients.stop().await;
        let (told, learnt) = fates::ask(&cluster.url(), &history, KNOWN_WITHIN).await;
        cluster.agreed(cluster.plan.workers).await;
        let (verdicts, found) = last_judgement(&cluster.url(), &mut history, &told, origin).await;
        println!("{}\n{verdicts}", summary(&history, &learnt));
        Judged { history, told, found, learnt }
    }
}

/// Reads everything once more and asks the judges.
///
/// # Panics
///
/// When a promise was broken.
pub async fn last_judgement(
    url: &str,
    history: &mut History,
    told: &BTreeMap<EventId, Fate>,
    origin: Instant,
) -> (Verdicts, Survivors) {
    let found = read_all(url, history, origin).await;
    match Verdicts::of(history, told, &found) {
        Ok(verdicts) => (verdicts, found),
        Err(violation) => panic!("{} is broken: {}", violation.promise, violation.detail),
    }
}

/// The numbers of a run.
pub fn summary(history: &History, learnt: &Learnt) -> String {
    let acknowledged = history.count(|event| event.end == End::Acknowledged);
    let refused = history.count(|event| event.end == End::Refused);
    let named = history.count(|event| matches!(event.end, End::Unknown(Some(_))));
    let lost = history.count(|event| event.end == End::Unknown(None));
    let Learnt { committed, aborted, no_longer_known, still_unknown, took } = learnt;
    format!(
        "requests: {acknowledged} done, {refused} refused, {} unknown ({named} with a transaction, {lost} without an answer)\n\
         asked later: {committed} committed, {aborted} aborted, {no_longer_known} no longer known, {still_unknown} unknown after {took:?}",
        named + lost
    )
}

/// The addresses of the members.
pub fn members(standing: &Value) -> Vec<String> {
    let members = standing["members"].as_array().unwrap_or_else(|| panic!("no members: {standing}"));
    members.iter().map(|member| member["address"].as_str().expect("a member has an address").to_owned()).collect()
}
