//! How long clients notice it when a worker dies: the longest time in which no write was acknowledged to any of them, over
//! twenty kills, each worker started again and a member again before the next one dies.

use std::time::Duration;

use crate::harness::stall;
use crate::history::Moment;
use crate::history::pauses::all;
use crate::scene::Scene;

const WORKERS: usize = 3;
const CLIENTS: u32 = 16;
const KILLS: usize = 20;

/// The longest pause that is allowed, without the time in which the machine itself stood still.
const PAUSE_MAX: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread")]
async fn no_kill_of_a_worker_stops_writes_for_two_seconds() {
    stall::holds("the longest pause of writes when a worker is killed", PAUSE_MAX, longest_of_all).await;
}

/// The longest pause of all kills.
async fn longest_of_all() -> Duration {
    let mut scene = Scene::begin(WORKERS, CLIENTS, 21).await;
    let mut kills = Vec::new();
    for kill in 0..KILLS {
        let index = kill % WORKERS;
        let from = scene.clients.now();
        scene.cluster.kill_worker(index);
        scene.left_out(index).await;
        scene.cluster.start_worker(index);
        scene.back(index).await;
        kills.push((from, scene.clients.now()));
    }
    let origin = scene.clients.origin();
    let history = scene.judge().await.history;
    let fair = |(from, to): &(Moment, Moment)| all(&history, *from, *to).iter().map(|pause| pause.fair(origin)).max();
    let pauses: Vec<Duration> = kills.iter().filter_map(fair).collect();
    let most = *pauses.iter().max().expect("there were kills");
    println!("the longest pause of writes in {KILLS} kills: {most:?}; of each: {pauses:?}");
    most
}
