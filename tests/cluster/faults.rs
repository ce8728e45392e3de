//! One fault at a time, under load, with the history of all clients judged at the end. Each test shows that its fault really
//! happened: a fault that was not injected proves nothing.

use std::time::Duration;

use crate::harness::cluster::Plan;
use crate::harness::proxy::{Injected, Weather};
use crate::harness::stall;
use crate::history::End;
use crate::scene::{Judged, LEFT_OUT_WITHIN, Scene};

const WORKERS: usize = 3;
const CLIENTS: u32 = 8;

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_killed_is_left_out_and_comes_back() {
    let mut scene = Scene::begin(WORKERS, CLIENTS, 1).await;
    for index in [1, 2] {
        let killed = async || {
            scene.cluster.kill_worker(index);
            let took = scene.left_out(index).await;
            scene.cluster.start_worker(index);
            scene.back(index).await;
            took
        };
        stall::holds("a worker that was killed is left out", LEFT_OUT_WITHIN, killed).await;
    }
    scene.judge().await;
}

/// A paused worker keeps its connections, its locks and its memory, and wakes up in another view.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_paused_beyond_every_timeout_is_left_out_and_comes_back() {
    let mut scene = Scene::begin(WORKERS, CLIENTS, 2).await;
    for index in [0, 2] {
        let paused = async || {
            scene.cluster.worker(index).pause();
            let took = scene.left_out(index).await;
            assert!(scene.cluster.worker(index).is_paused());
            scene.cluster.worker(index).resume();
            scene.back(index).await;
            took
        };
        stall::holds("a worker that was paused is left out", LEFT_OUT_WITHIN, paused).await;
    }
    scene.judge().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_the_network_cuts_off_is_left_out_and_comes_back() {
    let mut scene = Scene::begin(WORKERS, CLIENTS, 3).await;
    let weathers = [Weather::partition(), Weather::deaf(), Weather::mute(), Weather::half_open()];
    for (round, weather) in weathers.into_iter().enumerate() {
        let index = round % WORKERS;
        let cut_off = async || {
            let before = scene.cluster.proxy(index).injected();
            scene.cluster.proxy(index).set(weather);
            let took = scene.left_out(index).await;
            let after = scene.cluster.proxy(index).injected();
            let lost = |injected: Injected| injected.bytes_held + injected.bytes_swallowed;
            assert!(lost(after) > lost(before), "{weather:?} did no harm: {before:?} {after:?}");
            scene.cluster.proxy(index).heal();
            scene.back(index).await;
            took
        };
        stall::holds(&format!("a worker is left out by {weather:?}"), LEFT_OUT_WITHIN, cut_off).await;
    }
    scene.judge().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_cut_costs_nobody_anything() {
    let mut scene = Scene::begin(WORKERS, CLIENTS, 4).await;
    for index in 0..WORKERS {
        let before = scene.cluster.proxy(index).injected();
        scene.cluster.proxy(index).cut();
        scene.clients.writes(50).await;
        let after = scene.cluster.proxy(index).injected();
        assert!(after.connections_cut > before.connections_cut, "{after:?}");
        scene.back(index).await;
        assert!(scene.cluster.proxy(index).injected().connections_made > before.connections_made);
    }
    scene.judge().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_network_is_not_taken_for_a_dead_one() {
    // Three times the beats of the default: a machine that stands still for a second is not what this is about.
    let mut plan = Plan::proxied(WORKERS);
    plan.coordinator_flags.extend(["--heartbeats-missed", "12"]);
    let mut scene = Scene::of(plan, CLIENTS, 5).await;
    let view = scene.standing().await["view"].clone();
    for index in 0..WORKERS {
        scene.cluster.proxy(index).set(Weather::slow(Duration::from_millis(20 * (index as u64 + 1))));
    }
    scene.clients.writes(150).await;
    for index in 0..WORKERS {
        assert!(scene.cluster.proxy(index).injected().bytes_delayed > 0);
        scene.cluster.proxy(index).heal();
    }
    scene.clients.writes(50).await;
    assert_eq!(scene.standing().await["view"], view);
    scene.judge().await;
}

/// Cut off from all for longer than clients wait: they are told that nobody knows, with a transaction to ask for, and within
/// five seconds of the healing each of them can learn the outcome.
#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_knew_while_all_were_cut_off_is_known_soon_after() {
    let scene = Scene::begin(WORKERS, CLIENTS, 7).await;
    for index in 0..WORKERS {
        scene.cluster.proxy(index).set(Weather::partition());
    }
    scene.clients.doubt().await;
    for index in 0..WORKERS {
        assert!(scene.cluster.proxy(index).injected().bytes_held > 0);
        scene.cluster.proxy(index).heal();
    }
    let Judged { history, learnt, .. } = scene.judge().await;
    let named = history.count(|event| matches!(&event.end, End::Unknown(transaction) if transaction.is_some()));
    assert!(named > 0, "nobody was told of a transaction");
    assert_eq!(learnt.committed + learnt.aborted, named, "not all is known: {learnt:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_at_once_dies_and_comes_back() {
    let mut scene = Scene::begin(WORKERS, CLIENTS, 6).await;
    for _ in 0..2 {
        scene.cluster.kill_all();
        scene.cluster.start_all();
        scene.clients.writes(100).await;
    }
    scene.judge().await;
}

/// The same, and the coordinator that told them so dies: another run of it can tell as well.
#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_knew_outlives_the_coordinator() {
    let mut scene = Scene::begin(WORKERS, CLIENTS, 8).await;
    // What was sent came in nowhere; was prepared everywhere and nobody heard of it; or neither.
    for weather in [Weather::deaf(), Weather::mute(), Weather::partition()] {
        scene.clients.writes(50).await;
        for index in 0..WORKERS {
            scene.cluster.proxy(index).set(weather);
        }
        scene.clients.doubt().await;
        scene.cluster.kill_coordinator();
        for index in 0..WORKERS {
            scene.cluster.proxy(index).heal();
        }
        scene.cluster.start_all();
    }
    let Judged { history, learnt, .. } = scene.judge().await;
    let named = history.count(|event| matches!(&event.end, End::Unknown(transaction) if transaction.is_some()));
    assert!(named > 0, "nobody was told of a transaction");
    assert_eq!(learnt.committed + learnt.aborted, named, "not all is known: {learnt:?}");
}
