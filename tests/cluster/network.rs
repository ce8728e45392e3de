//! The proxy does what the fault tests believe of it: it delays, holds back, swallows and cuts, keeps the order of bytes, leaves
//! a dead connection dead, and counts only what happened.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::harness::proxy::{Flow, Injected, Path, Proxy, Weather};
use crate::harness::wait::until;

/// How long anything may take that is to happen.
const WITHIN: Duration = Duration::from_secs(10);

/// How long nothing may happen that is not to happen.
const NOTHING_FOR: Duration = Duration::from_millis(200);

/// A proxy before a server that sends back what it gets.
async fn echo() -> Proxy {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let proxy = Proxy::start(0, listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let (mut from, mut to) = stream.split();
                tokio::io::copy(&mut from, &mut to).await.ok();
            });
        }
    });
    proxy
}

async fn connect(proxy: &Proxy) -> TcpStream {
    TcpStream::connect(proxy.address()).await.unwrap()
}

async fn read(stream: &mut TcpStream, expected: &[u8]) {
    let mut found = vec![0; expected.len()];
    tokio::time::timeout(WITHIN, stream.read_exact(&mut found)).await.expect("it comes").unwrap();
    assert_eq!(found, expected);
}

async fn reads_nothing(stream: &mut TcpStream) {
    let mut byte = [0];
    assert!(tokio::time::timeout(NOTHING_FOR, stream.read(&mut byte)).await.is_err(), "something came");
}

async fn injects(proxy: &Proxy, what: &str, enough: impl Fn(Injected) -> bool) {
    until(what, WITHIN, async || enough(proxy.injected()).then_some(())).await;
}

#[tokio::test]
async fn in_fair_weather_it_forwards_and_injects_nothing() {
    let proxy = echo().await;
    let mut stream = connect(&proxy).await;
    let sent: Vec<u8> = (0..1_000_000_u32).map(|number| (number % 251) as u8).collect();
    let (mut from, mut to) = stream.split();
    let (written, ()) = tokio::join!(to.write_all(&sent), async {
        let mut found = vec![0; sent.len()];
        from.read_exact(&mut found).await.unwrap();
        assert!(found == sent, "bytes were changed or came in another order");
    });
    written.unwrap();
    stream.shutdown().await.unwrap();
    assert_eq!(stream.read(&mut [0]).await.unwrap(), 0, "an end is forwarded");
    assert_eq!(proxy.injected(), Injected { connections_made: 1, ..Injected::default() });
}

#[tokio::test]
async fn what_is_held_comes_in_order_when_it_is_over() {
    let proxy = echo().await;
    let mut stream = connect(&proxy).await;
    stream.write_all(b"before").await.unwrap();
    read(&mut stream, b"before").await;
    for (weather, direction) in [(Weather::deaf(), 0), (Weather::mute(), 1), (Weather::partition(), 2)] {
        let before = proxy.injected().bytes_held;
        proxy.set(weather);
        stream.write_all(b"one").await.unwrap();
        stream.write_all(b"two").await.unwrap();
        reads_nothing(&mut stream).await;
        injects(&proxy, "bytes are held", |injected| injected.bytes_held > before).await;
        let mut late = connect(&proxy).await;
        late.write_all(b"late").await.unwrap();
        reads_nothing(&mut late).await;
        proxy.heal();
        read(&mut stream, b"onetwo").await;
        read(&mut late, b"late").await;
        assert_eq!(proxy.injected().connections_stalled, direction + 1);
    }
    assert_eq!(proxy.injected().bytes_swallowed, 0);
}

#[tokio::test]
async fn a_connection_that_lost_bytes_stays_dead_and_a_new_one_works() {
    let proxy = echo().await;
    let mut stream = connect(&proxy).await;
    stream.write_all(b"before").await.unwrap();
    read(&mut stream, b"before").await;
    proxy.set(Weather::half_open());
    stream.write_all(b"lost").await.unwrap();
    injects(&proxy, "bytes are swallowed", |injected| injected.bytes_swallowed == 4).await;
    proxy.heal();
    stream.write_all(b"after").await.unwrap();
    injects(&proxy, "the rest is swallowed too", |injected| injected.bytes_swallowed == 9).await;
    reads_nothing(&mut stream).await;
    let mut new = connect(&proxy).await;
    new.write_all(b"new").await.unwrap();
    read(&mut new, b"new").await;
}

#[tokio::test]
async fn a_direction_swallows_alone() {
    let proxy = echo().await;
    let mut stream = connect(&proxy).await;
    stream.write_all(b"before").await.unwrap();
    read(&mut stream, b"before").await;
    let from_worker = Path { flow: Flow::Swallowed, ..Path::default() };
    proxy.set(Weather { from_worker, ..Weather::default() });
    stream.write_all(b"echo").await.unwrap();
    injects(&proxy, "the answer is swallowed", |injected| injected.bytes_swallowed == 4).await;
    reads_nothing(&mut stream).await;
}

#[tokio::test]
async fn a_cut_is_heard_at_once_and_a_new_connection_works() {
    let proxy = echo().await;
    let mut stream = connect(&proxy).await;
    stream.write_all(b"before").await.unwrap();
    read(&mut stream, b"before").await;
    proxy.cut();
    let heard = tokio::time::timeout(WITHIN, stream.read(&mut [0])).await.expect("it is heard");
    assert_eq!(heard.map_err(|error| error.kind()), Err(std::io::ErrorKind::ConnectionReset));
    assert_eq!(proxy.injected().connections_cut, 1);
    let mut new = connect(&proxy).await;
    new.write_all(b"new").await.unwrap();
    read(&mut new, b"new").await;
    assert_eq!(proxy.injected().connections_cut, 1);
}

#[tokio::test]
async fn what_is_delayed_comes_later_and_in_order() {
    let proxy = echo().await;
    let mut stream = connect(&proxy).await;
    stream.write_all(b"before").await.unwrap();
    read(&mut stream, b"before").await;
    let delay = Duration::from_millis(100);
    proxy.set(Weather::slow(delay));
    let begun = Instant::now();
    stream.write_all(b"slow").await.unwrap();
    injects(&proxy, "bytes are delayed", |injected| injected.bytes_delayed == 4).await;
    proxy.heal();
    stream.write_all(b"fast").await.unwrap();
    read(&mut stream, b"slowfast").await;
    assert!(begun.elapsed() >= delay, "it took only {:?}", begun.elapsed());
    assert_eq!(proxy.injected().bytes_delayed, 4);
}

#[tokio::test]
async fn without_a_worker_a_connection_is_refused() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let proxy = Proxy::start(0, address);
    let refused = async {
        // The reset may come before the connection is known to stand.
        let mut stream = TcpStream::connect(proxy.address()).await?;
        stream.read(&mut [0]).await
    };
    let heard = tokio::time::timeout(WITHIN, refused).await.expect("it is heard");
    assert!(matches!(heard, Err(_) | Ok(0)), "{heard:?}");
    assert_eq!(proxy.injected(), Injected::default());
}
