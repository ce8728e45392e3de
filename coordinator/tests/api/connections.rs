//! Many connections, and what they hold: bounds of all and of each address, a reserve in which probes are answered, idle
//! connections that make way, and bodies that stall. Clients that mean no harm get through in all of these.

use std::net::SocketAddr;

use hyper::Method;
use serde_json::json;
use skein_coordinator::config::{Auth, SurfaceConfig};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;

use crate::harness::{Client, Cluster, PATIENCE, eventually, exchange, rest};

/// A request whose body never comes, so that its connection is busy.
const STALLED: &str =
    "POST /api/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{";

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")
}

async fn with(change: impl FnOnce(&mut SurfaceConfig)) -> Cluster {
    let mut settings = SurfaceConfig::new(Auth::Name);
    change(&mut settings);
    Cluster::with(settings).await
}

/// Busy connections, each known to have its place.
async fn busy(cluster: &Cluster, count: usize) -> Vec<TcpStream> {
    let mut streams = Vec::new();
    for number in 0..count {
        let mut stream = TcpStream::connect(cluster.address).await.unwrap();
        stream.write_all(STALLED.as_bytes()).await.unwrap();
        streams.push(stream);
        // One more: the connection that asks.
        let regular = format!("skein_http_connections{{node=\"coordinator\",place=\"regular\"}} {}\n", number + 2);
        eventually("the connection has its place", || async { metrics(cluster).await.contains(&regular) }).await;
    }
    streams
}

/// As a scraper sees them that makes a connection for each look.
async fn metrics(cluster: &Cluster) -> String {
    let mut stream = TcpStream::connect(cluster.address).await.unwrap();
    let request = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    exchange(&mut stream, request.as_bytes()).await
}

/// Bytes that bodies take.
async fn body_bytes(cluster: &Cluster) -> usize {
    let metrics = metrics(cluster).await;
    let bytes = metrics.lines().find_map(|line| line.strip_prefix("skein_http_body_bytes{node=\"coordinator\"} "));
    bytes.expect("it is counted").trim().parse().unwrap()
}

async fn once(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    exchange(&mut stream, request.as_bytes()).await
}

#[tokio::test]
async fn when_all_places_are_taken_probes_are_answered_and_others_told_so() {
    let cluster = with(|settings| settings.limits.connections_max = 3).await;
    let held = busy(&cluster, 2).await;
    let mut third = TcpStream::connect(cluster.address).await.unwrap();
    third.write_all(STALLED.as_bytes()).await.unwrap();
    eventually("all places are taken", || async {
        once(cluster.address, &get("/api/settings")).await.starts_with("HTTP/1.1 503")
    })
    .await;
    for path in ["/livez", "/readyz", "/metrics"] {
        let answer = once(cluster.address, &get(path)).await;
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("connection: close"), "{path}: {answer}");
    }
    let refused = once(cluster.address, &get("/api/settings")).await;
    for part in ["HTTP/1.1 503", "\"code\":715", "retry-after: 1", "connection: close"] {
        assert!(refused.contains(part), "{part} is missing in {refused}");
    }
    // One that asks for nothing is not waited for, and however many there are, a probe gets through.
    let mut silent = Vec::new();
    for _ in 0..200 {
        silent.push(TcpStream::connect(cluster.address).await.unwrap());
    }
    assert!(once(cluster.address, &get("/readyz")).await.starts_with("HTTP/1.1 200"));
    for stream in &mut silent {
        rest(stream).await;
    }
    drop((held, third));
    eventually("places are free again", || async { once_closing(&cluster).await.starts_with("HTTP/1.1 200") }).await;
    let empty = "skein_http_connections{node=\"coordinator\",place=\"reserve\"} 0";
    eventually("the reserve is empty", || async { metrics(&cluster).await.contains(empty) }).await;
}

/// Asks for something that is no probe's, on a connection of its own.
async fn once_closing(cluster: &Cluster) -> String {
    once(cluster.address, "GET /api/settings HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await
}

#[tokio::test]
async fn one_address_leaves_places_to_the_others() {
    let cluster = with(|settings| {
        (settings.limits.connections_max, settings.limits.connections_per_address_max) = (8, 2);
    })
    .await;
    // Of this machine each address may have half of all.
    let _held = busy(&cluster, 3).await;
    let mut fourth = TcpStream::connect(cluster.address).await.unwrap();
    fourth.write_all(STALLED.as_bytes()).await.unwrap();
    eventually("one address has what it may have", || async { once_closing(&cluster).await.starts_with("HTTP/1.1 503") }).await;
    let other = TcpSocket::new_v4().unwrap();
    other.bind("127.0.0.2:0".parse().unwrap()).unwrap();
    let mut other = other.connect(cluster.address).await.unwrap();
    other.write_all(get("/api/settings").as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    tokio::io::AsyncReadExt::read_exact(&mut other, &mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
    assert!(metrics(&cluster).await.contains("skein_http_connections_refused_total{bound=\"address\",node=\"coordinator\"}"));
}

#[tokio::test]
async fn idle_connections_make_way_when_places_run_short() {
    let cluster = with(|settings| settings.limits.connections_max = 8).await;
    let mut idle: Vec<Client> = (0..8).map(|_| cluster.client()).collect();
    for client in &mut idle {
        client.get("/livez").await;
    }
    // Far sooner than the time after which an idle connection is closed in any case.
    eventually("a newcomer finds a place", || async { once_closing(&cluster).await.starts_with("HTTP/1.1 200") }).await;
    assert!(PATIENCE < SurfaceConfig::new(Auth::Name).limits.header_time_max);
    for client in &mut idle {
        client.get("/livez").await.ok(200);
    }
}

#[tokio::test]
async fn bodies_that_stall_take_a_bounded_memory_and_others_get_through() {
    const BYTES_MAX: usize = 1 << 20;
    const LENGTH: usize = 290_000;
    let cluster = with(|settings| settings.limits.body_bytes_max = BYTES_MAX).await;
    let mut ann = cluster.logged_in("ann").await;
    let head = format!(
        "POST /api/transactions HTTP/1.1\r\nHost: localhost\r\nCookie: {}\r\nContent-Type: application/json\r\n\
         Content-Length: 300000\r\n\r\n",
        ann.cookie.clone().unwrap()
    );
    let mut stalling = JoinSet::new();
    for number in 0..20 {
        if number == 1 {
            eventually("the first one is let in", || async { body_bytes(&cluster).await >= LENGTH }).await;
        }
        let (head, address) = (head.clone(), cluster.address);
        stalling.spawn(async move {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(head.as_bytes()).await.ok();
            stream.write_all(&[b' '; LENGTH]).await.ok();
            rest(&mut stream).await
        });
    }
    let mut answers = Vec::new();
    while !stalling.is_empty() {
        while let Some(answer) = stalling.try_join_next() {
            answers.push(answer.unwrap());
        }
        ann.tweet("next to them").await;
        let taken = body_bytes(&cluster).await;
        assert!(taken <= BYTES_MAX, "{taken}");
    }
    // One that is let in is waited for, and told in the end that it was too slow. Where the other end closes before all was
    // sent, the answer may be lost.
    let let_in = answers.iter().filter(|answer| answer.starts_with("HTTP/1.1 408")).count();
    assert!(let_in > 0 && let_in * LENGTH <= BYTES_MAX, "{let_in} bodies were let in");
    let told = answers.iter().filter(|answer| answer.starts_with("HTTP/1.1 503") && answer.contains("\"code\":715")).count();
    assert!(told > 0, "no client was told why: {answers:?}");
    eventually("nothing is taken any more", || async { body_bytes(&cluster).await == 0 }).await;
    let answer = ann.send(Method::POST, "/api/transactions", &[], Some(json!({ "reads": ["a".repeat(500)] }))).await;
    answer.ok(200);
}
