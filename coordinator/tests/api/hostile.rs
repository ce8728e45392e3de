//! What strangers may try: other methods and paths, other sites, bodies and heads that are wrong, too long or too slow, too
//! many at once. Every answer is a problem document with its bound, as far as HTTP lets one be given at all.

use std::time::Duration;

use hyper::Method;
use serde_json::json;
use skein_coordinator::config::{Auth, SurfaceConfig};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::harness::{Cluster, eventually, exchange, rest};

#[tokio::test]
async fn other_methods_and_paths_get_a_document() {
    let cluster = Cluster::start().await;
    let mut ann = cluster.logged_in("ann").await;
    let rows = [
        (Method::PATCH, "/api/tweet", "GET,HEAD,POST"),
        (Method::POST, "/api/tweet/x", "GET,HEAD,PUT,DELETE"),
        (Method::PUT, "/api/login", "GET,HEAD,POST,DELETE"),
        (Method::GET, "/api/account", "POST"),
        (Method::DELETE, "/api/cluster", "GET,HEAD"),
        (Method::POST, "/api/openapi.json", "GET,HEAD"),
        (Method::POST, "/api/docs", "GET,HEAD"),
        (Method::POST, "/api/transactions/1-1", "GET,HEAD"),
    ];
    for (method, path, allow) in rows {
        let answer = ann.send(method.clone(), path, &[], None).await;
        answer.problem(405, 705);
        let mut allowed: Vec<&str> = answer.header("allow").split(',').map(str::trim).collect();
        let mut expected: Vec<&str> = allow.split(',').collect();
        allowed.sort_unstable();
        expected.sort_unstable();
        assert_eq!(allowed, expected, "{method} {path}");
    }
    for path in ["/api", "/api/", "/api/nothing", "/api/login/x", "/api/docs/nothing.js", "/api/tweets"] {
        ann.get(path).await.problem(404, 704);
        ann.send(Method::POST, path, &[], None).await.headers.get("content-type").unwrap();
    }
    // Outside of /api the app answers.
    let page = ann.get("/nowhere").await.ok(404);
    assert!(page.header("content-type").starts_with("text/html"));
    assert!(ann.get("/manage").await.ok(200).header("content-type").starts_with("text/html"));
}

#[tokio::test]
async fn other_sites_may_not_change_anything() {
    let cluster = Cluster::start().await;
    let mut ann = cluster.logged_in("ann").await;
    let body = || Some(json!({ "text": "forged" }));
    for site in ["cross-site", "same-site"] {
        ann.send(Method::POST, "/api/tweet", &[("sec-fetch-site", site)], body()).await.problem(403, 712);
    }
    ann.send(Method::POST, "/api/tweet", &[("origin", "http://evil.example")], body()).await.problem(403, 712);
    ann.send(Method::DELETE, "/api/login", &[("origin", "null")], None).await.problem(403, 712);
    ann.send(Method::POST, "/api/login", &[("sec-fetch-site", "cross-site")], Some(json!({ "username": "x" })))
        .await
        .problem(403, 712);
    let own = format!("http://{}", cluster.address);
    ann.send(Method::POST, "/api/tweet", &[("origin", &own)], body()).await.ok(201);
    ann.send(Method::POST, "/api/tweet", &[("sec-fetch-site", "same-origin")], body()).await.ok(201);
    ann.send(Method::GET, "/api/tweet", &[("sec-fetch-site", "cross-site")], None).await.ok(200);
}

#[tokio::test]
async fn bodies_are_json_of_the_right_form_and_length() {
    let cluster = Cluster::start().await;
    let mut ann = cluster.logged_in("ann").await;
    let path = ann.tweet("one").await;
    for (method, path) in
        [(Method::POST, "/api/tweet"), (Method::PUT, path.as_str()), (Method::POST, "/api/login"), (Method::POST, "/api/account")]
    {
        for media_type in ["text/plain", "application/jsonx", "multipart/form-data", "application/json; charset=latin1", ""] {
            let answer = ann.raw(method.clone(), path, &[("content-type", media_type)], "{}".into()).await;
            answer.problem_in(415, 707, "Content-Type");
        }
        ann.raw(method.clone(), path, &[], "{}".into()).await.problem(415, 707);
        let twice = [("content-type", "application/json"), ("content-type", "text/plain")];
        ann.raw(method.clone(), path, &twice, "{}".into()).await.problem_in(415, 707, "Content-Type");
        let packed = [("content-type", "application/json"), ("content-encoding", "gzip")];
        ann.raw(method.clone(), path, &packed, "{}".into()).await.problem_in(415, 707, "Content-Encoding");
        let json = [("content-type", "application/json; charset=utf-8")];
        let field = if path.starts_with("/api/tweet") { "text" } else { "username" };
        for body in ["{\"text\":1,\"username\":1}", "{}"] {
            ann.raw(method.clone(), path, &json, body.into()).await.problem_in(400, 708, field);
        }
        for body in ["", "{", "[]", "nonsense", "{\"text\":\"\\ud800\",\"username\":\"\\ud800\"}"] {
            ann.raw(method.clone(), path, &json, body.into()).await.problem_in(400, 708, "body");
        }
        // Of an array nothing is taken, and how this program calls its forms is nobody's business.
        for body in ["[\"ann\",\"x\"]", " [\"ann\"]", "\"ann\"", "null", "7"] {
            let document = ann.raw(method.clone(), path, &json, body.into()).await.problem_in(400, 708, "body");
            assert_eq!(document["detail"], "body: it must be a JSON object", "{body}");
        }
        let long = format!("{{\"text\":\"{}\"}}", "x".repeat(16 * 1024));
        let document = ann.raw(method.clone(), path, &json, long.into()).await.problem_in(413, 710, "body");
        assert_eq!(document["errors"][0]["bound"], 16 * 1024);
    }
}

#[tokio::test]
async fn a_body_without_length_is_bounded_too() {
    let cluster = Cluster::start().await;
    let ann = cluster.logged_in("ann").await;
    let mut stream = TcpStream::connect(cluster.address).await.unwrap();
    let head = format!(
        "POST /api/tweet HTTP/1.1\r\nHost: localhost\r\nCookie: {}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\
         Connection: close\r\n\r\n",
        ann.cookie.unwrap()
    );
    let chunk = format!("4000\r\n{}\r\n", "x".repeat(0x4000));
    let answer = exchange(&mut stream, format!("{head}{chunk}{chunk}0\r\n\r\n").as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 413") && answer.contains("\"code\":710"), "{answer}");
}

#[tokio::test]
async fn heads_are_bounded() {
    let cluster = Cluster::start().await;
    let mut client = cluster.client();
    let long = "x".repeat(20 * 1024);
    client.send(Method::GET, "/api/cluster", &[("x-long", &long)], None).await.problem_in(431, 711, "headers");
    let names: Vec<String> = (0..100).map(|number| format!("x-{number}")).collect();
    let many: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "y")).collect();
    let document = client.send(Method::GET, "/api/cluster", &many, None).await.problem_in(431, 711, "headers");
    assert_eq!(document["errors"][0]["bound"], 64);
    client.get(&format!("/api/cluster?{}", "x".repeat(9000))).await.problem_in(414, 723, "path");
    // What is far beyond every bound is not read to its end.
    let head = format!("GET / HTTP/1.1\r\nHost: localhost\r\nX-Huge: {}", "x".repeat(32 * 1024));
    let lines: String = (0..1_000).map(|number| format!("X-{number}: y\r\n")).collect();
    let many = format!("GET / HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n");
    let path = format!("GET /{}", "x".repeat(32 * 1024));
    for (head, status, field) in
        [(&head[..32 * 1024], "431", "headers"), (&many, "431", "headers"), (&path[..32 * 1024], "414", "path")]
    {
        let mut stream = TcpStream::connect(cluster.address).await.unwrap();
        let answer = exchange(&mut stream, head.as_bytes()).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
        let document: serde_json::Value = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
        assert_eq!(document["errors"][0]["field"], field, "{answer}");
        assert!(document["errors"][0]["bound"].is_u64(), "{answer}");
    }
    let mut stream = TcpStream::connect(cluster.address).await.unwrap();
    let huge = format!("GET / HTTP/1.1\r\nHost: localhost\r\nX-Huge: {}\r\n\r\n", "x".repeat(200 * 1024));
    stream.write_all(huge.as_bytes()).await.ok();
    let answer = rest(&mut stream).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431"), "{answer}");
    client.get("/livez").await.ok(200);
}

#[tokio::test]
async fn what_is_not_http_is_closed() {
    let cluster = Cluster::start().await;
    for bytes in [&b"\x16\x03\x01\x02\x00\x01\x00"[..], b"SKEIN\n\x01", b"GET / HTTP/9.9\r\n\r\n", b"\r\n\r\n\0\0\0\0"] {
        let mut stream = TcpStream::connect(cluster.address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        stream.shutdown().await.unwrap();
        let answer = rest(&mut stream).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    }
    cluster.client().get("/livez").await.ok(200);
}

#[tokio::test]
async fn http_is_taken_by_the_book() {
    let cluster = Cluster::start().await;
    let own = cluster.address;
    let post = "POST /api/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
    let refused = [
        ("no Host", "GET /livez HTTP/1.1\r\n\r\n".to_owned(), "Host"),
        ("two Hosts", "GET /livez HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n".to_owned(), "Host"),
        ("a user in Host", "GET /livez HTTP/1.1\r\nHost: ann@localhost\r\n\r\n".to_owned(), "Host"),
        ("an empty Host", "GET /livez HTTP/1.1\r\nHost:\r\n\r\n".to_owned(), "Host"),
        ("two Hosts in HTTP/1.0", "GET /livez HTTP/1.0\r\nHost: localhost\r\nHost: a\r\n\r\n".to_owned(), "Host"),
        ("another server", "GET http://evil.example/livez HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(), "target"),
        ("another scheme", format!("GET ftp://{own}/livez HTTP/1.1\r\nHost: {own}\r\n\r\n"), "target"),
        ("a user in the target", format!("GET http://ann@{own}/livez HTTP/1.1\r\nHost: {own}\r\n\r\n"), "target"),
        ("a tunnel", format!("CONNECT {own} HTTP/1.1\r\nHost: {own}\r\n\r\n"), "target"),
        ("a star", "GET * HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(), "target"),
        ("a fragment", "GET /livez#top HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(), "target"),
        ("a fragment after a query", "GET /api/tweet?limit=1# HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(), "target"),
        ("another coding", format!("{post}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"), "Transfer-Encoding"),
        ("chunks in chunks", format!("{post}Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n"), "Transfer-Encoding"),
        (
            "two lines of codings",
            format!("{post}Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
            "Transfer-Encoding",
        ),
        ("a coding without an end", format!("{post}Transfer-Encoding: gzip\r\n\r\n"), "Transfer-Encoding"),
        (
            "a coding in HTTP/1.0",
            "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_owned(),
            "Transfer-Encoding",
        ),
        ("two lengths", format!("{post}Content-Length: 1\r\nContent-Length: 2\r\n\r\n{{}}"), "Content-Length"),
        (
            "a length next to chunks",
            format!("{post}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
            "Content-Length",
        ),
        ("a control character", "GET /livez HTTP/1.1\r\nHost: localhost\r\nX: a\0b\r\n\r\n".to_owned(), "headers"),
        ("a space in a name", "GET /livez HTTP/1.1\r\nHost : localhost\r\n\r\n".to_owned(), "headers"),
        ("a folded line", "GET /livez HTTP/1.1\r\nHost: localhost\r\nX: a\r\n b\r\n\r\n".to_owned(), "headers"),
        ("three words", "GET /livez now HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(), "request line"),
        ("another version", "GET /livez HTTP/9.9\r\nHost: localhost\r\n\r\n".to_owned(), "version"),
        ("another protocol", "\u{16}\u{3}\u{1}\u{2}".to_owned(), "request line"),
    ];
    for (what, request, field) in refused {
        let mut stream = TcpStream::connect(cluster.address).await.unwrap();
        let answer = exchange(&mut stream, request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 400") || answer.starts_with("HTTP/1.0 400"), "{what}: {answer}");
        let (head, document) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.to_ascii_lowercase().contains("connection: close") || what.contains("1.0"), "{what}: {answer}");
        let document: serde_json::Value = serde_json::from_str(document).unwrap();
        assert_eq!((&document["code"], &document["errors"][0]["field"]), (&json!(709), &json!(field)), "{what}: {answer}");
    }
    let taken = [
        ("HTTP/1.0 without Host", "GET /livez HTTP/1.0\r\n\r\n".to_owned()),
        ("its own address", format!("GET http://{own}/livez HTTP/1.1\r\nHost: {own}\r\nConnection: close\r\n\r\n")),
        ("chunks", format!("{post}Transfer-Encoding: chunked\r\n\r\n12\r\n{{\"username\":\"ann\"}}\r\n0\r\n\r\n")),
    ];
    for (what, request) in taken {
        let mut stream = TcpStream::connect(cluster.address).await.unwrap();
        let answer = exchange(&mut stream, request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 200") || answer.starts_with("HTTP/1.0 200"), "{what}: {answer}");
    }
}

#[tokio::test]
async fn requests_that_follow_one_another_are_told_apart() {
    let cluster = Cluster::start().await;
    let body = "{\"username\":\"ann\",\"password\":\"# GET /#\"}";
    let post = format!(
        "POST /api/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let get = "GET /livez HTTP/1.1\r\nHost: localhost\r\nX: #\r\n\r\n";
    let mut stream = TcpStream::connect(cluster.address).await.unwrap();
    let all = format!("{get}{post}{post}{get}GET /livez# HTTP/1.1\r\nHost: localhost\r\n\r\n{get}");
    let answer = exchange(&mut stream, all.as_bytes()).await;
    let statuses: Vec<&str> = answer.match_indices("HTTP/1.1 ").map(|(at, _)| &answer[at + 9..at + 12]).collect();
    assert_eq!(statuses, ["200", "200", "200", "200", "400"], "{answer}");
}

#[tokio::test]
async fn slow_heads_and_bodies_do_not_hold_a_connection_for_ever() {
    let mut settings = SurfaceConfig::new(Auth::Name);
    // Short for a test, and long enough for a head that is sent at once on a machine that stands still for a while.
    settings.limits.header_time_max = Duration::from_secs(2);
    let cluster = Cluster::with(settings).await;
    let mut slow = TcpStream::connect(cluster.address).await.unwrap();
    let answer = exchange(&mut slow, b"GET /api/cluster HTTP/1.1\r\nHost:").await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408"), "{answer}");
    // One that is idle after an answer is closed, too.
    let mut idle = TcpStream::connect(cluster.address).await.unwrap();
    let answer = exchange(&mut idle, b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let mut stalled = TcpStream::connect(cluster.address).await.unwrap();
    let head = "POST /api/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\nConnection: close\r\n\r\n{";
    let answer = exchange(&mut stalled, head.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("\"code\":721"), "{answer}");
}

#[tokio::test]
async fn too_many_requests_at_once_are_refused_at_once_and_probes_are_not() {
    let mut settings = SurfaceConfig::new(Auth::Name);
    settings.limits.requests_max = 1;
    let cluster = Cluster::with(settings).await;
    let mut slow = TcpStream::connect(cluster.address).await.unwrap();
    let head = "POST /api/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{";
    slow.write_all(head.as_bytes()).await.unwrap();
    eventually("the only place is taken", || async {
        let answer = cluster.client().get("/api/settings").await;
        if answer.status == 503 {
            let document = answer.problem(503, 715);
            assert!(document.get("transaction").is_none());
            assert!(answer.header("retry-after").parse::<u64>().unwrap() >= 1);
        }
        answer.status == 503
    })
    .await;
    cluster.client().get("/readyz").await.ok(200);
    drop(slow);
    eventually("the place is free again", || async { cluster.client().get("/api/settings").await.status == 200 }).await;
}

#[tokio::test]
async fn shutting_down_finishes_what_is_under_way() {
    let mut cluster = Cluster::start().await;
    let mut slow = TcpStream::connect(cluster.address).await.unwrap();
    let body = "{\"username\":\"ann\"}";
    let head = format!(
        "POST /api/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    slow.write_all(head.as_bytes()).await.unwrap();
    slow.write_all(&body.as_bytes()[..5]).await.unwrap();
    // The server has read the head once it counts a second request as coming after it.
    cluster.client().get("/livez").await.ok(200);
    let address = cluster.address;
    let stopping = tokio::spawn(async move { cluster.stop_coordinator().await });
    eventually("no more connections are taken", || async { TcpStream::connect(address).await.is_err() }).await;
    let answer = exchange(&mut slow, &body.as_bytes()[5..]).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    stopping.await.unwrap().unwrap();
}

#[tokio::test]
async fn on_loopback_a_name_that_was_made_to_lead_here_is_refused() {
    let rebound = [("host", "evil.example:8080"), ("sec-fetch-site", "same-origin")];
    let credentials = || Some(json!({ "username": "ann" }));
    let cluster = Cluster::start().await;
    let mut client = cluster.client();
    client.send(Method::POST, "/api/login", &rebound, credentials()).await.problem_in(421, 725, "Host");
    client.send(Method::GET, "/api/cluster", &rebound, None).await.problem(421, 725);
    client.send(Method::GET, "/", &[("host", "evil.example")], None).await.problem(421, 725);
    for host in ["localhost:8080", "127.0.0.1", "[::1]:8080"] {
        client.send(Method::GET, "/api/cluster", &[("host", host)], None).await.ok(200);
    }
    // A proxy in front is reached by names.
    let cluster = Cluster::with(SurfaceConfig { trust_proxy: true, ..SurfaceConfig::new(Auth::Name) }).await;
    cluster.client().send(Method::POST, "/api/login", &[("host", "skein.example")], credentials()).await.ok(200);
}
