//! What strangers can do to the HTTP ports of real processes: hold on to connections, send what is not HTTP, stall. Probes must
//! get through to a process all the same, and its memory must stay within what its container has.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;

use crate::harness::cluster::{Cluster, Plan};
use crate::harness::process::Process;
use crate::harness::wait::until;

/// How long an answer may take on a busy machine.
const ANSWERED_WITHIN: Duration = Duration::from_secs(20);

const PROBE: &str = "GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

fn address(url: &str) -> String {
    url.trim_start_matches("http://").to_owned()
}

/// Sends a request on a connection of its own and reads until the other end closes.
async fn exchange(address: &str, request: &str) -> String {
    exchange_from("127.0.0.1", address, request).await
}

/// The same, from another address of this machine.
async fn exchange_from(source: &str, address: &str, request: &str) -> String {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind(format!("{source}:0").parse().expect("an address")).expect("this machine has the address");
    let mut stream = socket.connect(address.parse().expect("an address")).await.expect("the port is open");
    stream.write_all(request.as_bytes()).await.ok();
    let mut answer = Vec::new();
    let read = tokio::time::timeout(ANSWERED_WITHIN, stream.read_to_end(&mut answer)).await;
    read.unwrap_or_else(|_| panic!("no answer to {request:?}")).ok();
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_are_kept_do_not_silence_a_worker() {
    let mut cluster = Cluster::start(Plan::in_memory().patient());
    let address = address(cluster.worker(0).url());
    let connected = Arc::new(AtomicUsize::new(0));
    let mut keeping = JoinSet::new();
    for _ in 0..100 {
        keeping.spawn(keep(address.clone(), Arc::clone(&connected)));
    }
    let all_asked = async || (connected.load(Ordering::Relaxed) >= 64).then_some(());
    until("as many connections were kept as a worker takes", ANSWERED_WITHIN, all_asked).await;
    for _ in 0..20 {
        assert!(exchange(&address, PROBE).await.starts_with("HTTP/1.1 200"));
    }
    let metrics = exchange(&address, &PROBE.replace("/readyz", "/metrics")).await;
    let standing = metrics.lines().filter(|line| line.starts_with("skein_http_connections{"));
    let standing: usize = standing.map(|line| line.rsplit(' ').next().unwrap().parse::<usize>().unwrap()).sum();
    assert!((1..=64 + 256).contains(&standing), "{standing} connections stand");
    keeping.shutdown().await;
}

/// Holds on to a connection, and asks often enough that it is never idle for long. When it is closed, makes another one.
async fn keep(address: String, connected: Arc<AtomicUsize>) {
    let mut asking = tokio::time::interval(Duration::from_millis(500));
    loop {
        asking.tick().await;
        let Ok(mut stream) = TcpStream::connect(&address).await else { continue };
        connected.fetch_add(1, Ordering::Relaxed);
        let mut answer = [0; 1024];
        while stream.write_all(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n").await.is_ok()
            && matches!(stream.read(&mut answer).await, Ok(1..))
        {
            asking.tick().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workers_page_takes_http_by_the_book_and_no_name_that_leads_here() {
    let mut cluster = Cluster::start(Plan::in_memory());
    let address = address(cluster.worker(0).url());
    let get = |target: &str, headers: &str| format!("GET {target} HTTP/1.1\r\n{headers}Connection: close\r\n\r\n");
    let many: String = (0..100).map(|number| format!("X-{number}: y\r\n")).collect();
    let rows = [
        (get("/readyz", "Host: localhost\r\n"), "200"),
        (get(&format!("http://{address}/readyz"), &format!("Host: {address}\r\n")), "200"),
        ("GET /readyz HTTP/1.0\r\n\r\n".to_owned(), "200"),
        (get("/readyz", "Host: evil.example\r\n"), "421"),
        (get("/metrics", "Host: evil.example:8080\r\n"), "421"),
        (get("http://evil.example/metrics", "Host: evil.example\r\n"), "421"),
        (get("/readyz", ""), "400"),
        (get("/readyz", "Host: localhost\r\nHost: localhost\r\n"), "400"),
        (get("/readyz", "Host: ann@localhost\r\n"), "400"),
        (get("http://evil.example/readyz", "Host: localhost\r\n"), "400"),
        (get("/readyz#top", "Host: localhost\r\n"), "400"),
        (get("http://192.0.2.1/readyz", "Host: 192.0.2.1\r\n"), "421"),
        (get("/readyz", "Host: localhost\r\nTwo Words: x\r\n"), "400"),
        (get("/readyz", "Host: localhost\r\nTransfer-Encoding: gzip, chunked\r\n"), "400"),
        (get("/readyz", &format!("Host: localhost\r\n{many}")), "431"),
        (get("/readyz", &format!("Host: localhost\r\nX: {}\r\n", "y".repeat(20_000))), "431"),
        (get(&format!("/readyz?{}", "x".repeat(9_000)), "Host: localhost\r\n"), "414"),
    ];
    for (request, status) in rows {
        let answer = exchange(&address, &request).await;
        assert_eq!(answer.split(' ').nth(1), Some(status), "{request:?}: {answer}");
        let said = answer.split_once("\r\n\r\n").expect("an end of the head").1;
        assert!(!said.is_empty(), "{request:?}: every answer says what is wrong: {answer}");
    }
}

/// Connections with half a request that come at once, and how often they do: 400 in a second.
const HALVES: usize = 40;
const HALVES_EVERY: Duration = Duration::from_millis(100);

/// Probes next to them.
const PROBES: usize = 200;

#[tokio::test(flavor = "multi_thread")]
async fn probes_are_answered_next_to_half_requests_without_end_from_their_own_address() {
    let mut cluster = Cluster::start(Plan::in_memory().patient());
    let address = address(cluster.worker(0).url());
    let mut halves = JoinSet::new();
    let sending = address.clone();
    let opened = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&opened);
    let flood = tokio::spawn(async move {
        let mut again = tokio::time::interval(HALVES_EVERY);
        loop {
            again.tick().await;
            while halves.try_join_next().is_some() {}
            for _ in 0..HALVES {
                let (sending, counted) = (sending.clone(), Arc::clone(&counted));
                halves.spawn(async move {
                    let Ok(mut stream) = TcpStream::connect(sending).await else { return };
                    counted.fetch_add(1, Ordering::Relaxed);
                    stream.write_all(b"GET /readyz HTTP/1.1\r\nHo").await.ok();
                    // Until the other end closes.
                    stream.read_to_end(&mut Vec::new()).await.ok();
                });
            }
        }
    });
    let many = async || (opened.load(Ordering::Relaxed) > 10 * HALVES).then_some(());
    until("all places of the address are taken many times over", ANSWERED_WITHIN, many).await;
    for number in 0..PROBES {
        let answer = exchange(&address, PROBE).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "probe {number} got {answer:?}");
    }
    flood.abort();
}

/// Bytes of memory that a process has had at the most.
fn most_memory(process: &Process) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.id())).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("the system counts it");
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_stall_leave_the_coordinator_its_memory() {
    /// Connections, each with a third of a megabyte.
    const STALLING: usize = 1_500;
    const LENGTH: usize = 300_000;
    /// The bound on bodies, and what so many connections take in addition.
    const GROWS_BY_MAX: u64 = 192 << 20;

    let mut cluster = Cluster::start(Plan::in_memory().patient());
    let address = address(&cluster.url());
    let log_in = |name: &str| {
        let body = format!("{{\"username\":\"{name}\"}}");
        format!(
            "POST /api/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
             Connection: close\r\n\r\n{body}",
            body.len()
        )
    };
    let answer = exchange(&address, &log_in("ann")).await;
    let cookie = answer.split("skein_session=").nth(1).and_then(|rest| rest.split(';').next()).expect("a session").to_owned();
    let before = most_memory(cluster.coordinator());
    let head = format!(
        "POST /api/transactions HTTP/1.1\r\nHost: localhost\r\nCookie: skein_session={cookie}\r\n\
         Content-Type: application/json\r\nContent-Length: {LENGTH}\r\n\r\n"
    );
    let mut stalling = JoinSet::new();
    for _ in 0..STALLING {
        let (head, address) = (head.clone(), address.clone());
        stalling.spawn(async move {
            let mut stream = TcpStream::connect(address).await.expect("the port is open");
            // The other end may close before all is sent.
            stream.write_all(head.as_bytes()).await.ok();
            stream.write_all(&[b' '; LENGTH - 1]).await.ok();
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).await.ok();
            String::from_utf8_lossy(&answer).into_owned()
        });
    }
    let (mut refused, mut people) = (0, 0);
    until("all bodies have had an answer", ANSWERED_WITHIN, async || {
        people += 1;
        let answer = exchange_from("127.0.0.2", &address, &log_in(&format!("person-{people}"))).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "others log in meanwhile: {answer}");
        while let Some(answer) = stalling.try_join_next() {
            let answer = answer.unwrap();
            refused += usize::from(answer.starts_with("HTTP/1.1 503") && answer.contains("retry-after"));
        }
        stalling.is_empty().then_some(())
    })
    .await;
    assert!(refused > 0, "no client was told why");
    let grown = most_memory(cluster.coordinator()) - before;
    assert!(grown < GROWS_BY_MAX, "it grew by {} MiB", grown >> 20);
}
