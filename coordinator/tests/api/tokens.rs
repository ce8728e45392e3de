//! Bearer tokens: what they open, how they end, who may make them, and how that is proved.

use hyper::Method;
use serde_json::{Value, json};
use skein_coordinator::config::{Auth, DataAccess, SurfaceConfig};
use skein_coordinator::operators::key::{OperatorKey, Signed};
use skein_runtime::transport::Secret;

use crate::harness::{Answer, Client, Cluster};

const SECRET: &str = "a secret for tests only";

const LOCAL: (&str, &str) = ("authorization", "Skein-Operator local");

/// Asks as an operator on this machine does.
async fn operator(client: &mut Client, method: Method, path: &str, body: Option<Value>) -> Answer {
    client.send(method, path, &[LOCAL], body).await
}

/// Makes a token; gives its id and the header that brings it.
async fn make(client: &mut Client, scope: &str) -> (String, String) {
    let form = json!({ "name": format!("to {scope}"), "scope": scope });
    let made = operator(client, Method::POST, "/api/tokens", Some(form)).await.ok(201).json();
    (made["id"].as_str().unwrap().to_owned(), format!("Bearer {}", made["token"].as_str().unwrap()))
}

async fn with(client: &mut Client, token: &str, method: Method, path: &str, body: Option<Value>) -> Answer {
    client.send(method, path, &[("authorization", token)], body).await
}

/// One request of each kind, and whether it writes.
fn requests() -> [(Method, &'static str, Option<Value>, bool); 6] {
    [
        (Method::PUT, "/api/data/a", Some(json!(1)), true),
        (Method::GET, "/api/data/a", None, false),
        (Method::GET, "/api/data?limit=1", None, false),
        (Method::POST, "/api/transactions", Some(json!({ "reads": ["a"] })), false),
        (Method::POST, "/api/transactions", Some(json!({ "writes": [{ "key": "b", "value": 1 }] })), true),
        (Method::DELETE, "/api/data/a", None, true),
    ]
}

#[tokio::test]
async fn a_token_opens_what_its_scope_says_until_it_is_revoked() {
    let cluster = Cluster::start().await;
    let mut client = cluster.client();
    let (_, writer) = make(&mut client, "write").await;
    let (reader_id, reader) = make(&mut client, "read").await;
    for (method, path, body, writes) in requests() {
        if writes {
            let answer = with(&mut client, &reader, method.clone(), path, body.clone()).await;
            answer.problem(403, 730);
            assert!(answer.header("www-authenticate").contains("insufficient_scope"), "{answer:?}");
        } else {
            with(&mut client, &reader, method.clone(), path, body.clone()).await.ok(200);
        }
        assert!(with(&mut client, &writer, method, path, body).await.status < 300);
    }
    let revoked = operator(&mut client, Method::DELETE, &format!("/api/tokens/{reader_id}"), None).await.ok(204);
    assert!(!revoked.header("skein-transaction").is_empty());
    for (method, path, body, _) in requests() {
        let answer = with(&mut client, &reader, method, path, body).await;
        answer.problem(401, 731);
        assert_eq!(answer.header("www-authenticate"), "Bearer realm=\"Skein\", error=\"invalid_token\"");
    }
    operator(&mut client, Method::DELETE, &format!("/api/tokens/{reader_id}"), None).await.problem(404, 732);
}

/// The coordinator has each in mind when it is revoked, and is not told: each kind of request finds out by itself.
#[tokio::test]
async fn the_first_request_after_a_token_was_revoked_is_refused_of_whichever_kind_it_is() {
    let cluster = Cluster::start().await;
    let mut client = cluster.client();
    for (method, path, body, _) in requests() {
        let (id, writer) = make(&mut client, "write").await;
        with(&mut client, &writer, Method::PUT, "/api/data/a", Some(json!("before"))).await;
        operator(&mut client, Method::DELETE, &format!("/api/tokens/{id}"), None).await.ok(204);
        with(&mut client, &writer, method, path, body).await.problem(401, 731);
    }
    let (_, reader) = make(&mut client, "read").await;
    assert_eq!(with(&mut client, &reader, Method::GET, "/api/data/a", None).await.ok(200).json(), json!("before"));
    with(&mut client, &reader, Method::GET, "/api/data/b", None).await.problem(404, 726);
}

#[tokio::test]
async fn a_restart_of_the_coordinator_takes_no_token_away_and_brings_none_back() {
    let directory = tempfile::tempdir().unwrap();
    let mut cluster = Cluster::on(SurfaceConfig::new(Auth::Name), Some(directory.path().to_owned())).await;
    let mut client = cluster.client();
    let (id, writer) = make(&mut client, "write").await;
    with(&mut client, &writer, Method::PUT, "/api/data/a", Some(json!(1))).await.ok(201);
    for revoked in [false, true] {
        cluster.stop_coordinator().await.unwrap();
        cluster.start_coordinator().await;
        client.move_to(cluster.address);
        if !revoked {
            with(&mut client, &writer, Method::PUT, "/api/data/a", Some(json!(2))).await.ok(200);
            operator(&mut client, Method::DELETE, &format!("/api/tokens/{id}"), None).await.ok(204);
        }
    }
    for (method, path, body, _) in requests() {
        with(&mut client, &writer, method, path, body).await.problem(401, 731);
    }
}

#[tokio::test]
async fn what_is_no_token_opens_nothing_and_a_cookie_is_none() {
    let cluster = Cluster::start().await;
    let mut ann = cluster.logged_in("ann").await;
    let (_, writer) = make(&mut ann, "write").await;
    let made_up = format!("Bearer skein_{}", "A".repeat(43));
    for wrong in ["Bearer", "Bearer x", "bearer skein_", &made_up, &writer[..writer.len() - 1], &format!("{writer}x")] {
        with(&mut ann, wrong, Method::GET, "/api/data/a", None).await.problem(401, 731);
    }
    let twice = [("authorization", writer.as_str()), ("authorization", writer.as_str())];
    ann.send(Method::GET, "/api/data/a", &twice, None).await.problem(401, 731);
    // Another scheme is a proxy's concern, and leaves the cookie to count.
    with(&mut ann, "Basic YW5uOng=", Method::PUT, "/api/data/a", Some(json!(1))).await.ok(201);
    with(&mut ann, &writer.replace("Bearer", "bEARER "), Method::GET, "/api/data/a", None).await.ok(200);
    let answer = cluster.client().get("/api/data/a").await;
    answer.problem(401, 700);
    let challenges: Vec<_> = answer.headers.get_all("www-authenticate").iter().collect();
    assert_eq!(challenges, ["Cookie realm=\"Skein\"", "Bearer realm=\"Skein\""]);
    // A token is no login.
    let mut program = cluster.client();
    with(&mut program, &writer, Method::GET, "/api/tweet", None).await.problem(401, 700);
    with(&mut program, &writer, Method::GET, "/api/tokens", None).await.problem(401, 734);
    with(&mut program, &writer, Method::GET, "/api/transactions/1-1", None).await;
}

#[tokio::test]
async fn where_only_tokens_open_data_no_login_does() {
    let settings = SurfaceConfig { data_access: DataAccess::Tokens, ..SurfaceConfig::new(Auth::Name) };
    let cluster = Cluster::with(settings).await;
    let mut ann = cluster.logged_in("ann").await;
    for (method, path, body, _) in requests() {
        let answer = ann.send(method, path, &[], body).await;
        answer.problem(401, 731);
        assert_eq!(answer.header("www-authenticate"), "Bearer realm=\"Skein\"");
    }
    let (_, writer) = make(&mut ann, "write").await;
    with(&mut ann, &writer, Method::PUT, "/api/data/a", Some(json!(1))).await.ok(201);
    ann.tweet("still there").await;
}

#[tokio::test]
async fn tokens_have_keys_of_idempotency_and_limits_of_their_own() {
    let mut settings = SurfaceConfig::new(Auth::Name);
    settings.limits.writes =
        Some(skein_coordinator::caller::attempts::Allowance { tries: 2, per: std::time::Duration::from_secs(3600) });
    let cluster = Cluster::with(settings).await;
    let mut ann = cluster.logged_in("ann").await;
    let (_, one) = make(&mut ann, "write").await;
    let (_, other) = make(&mut ann, "write").await;
    let key = ("idempotency-key", "k");
    for (token, value) in [(&one, 1), (&other, 2)] {
        let headers = [("authorization", token.as_str()), key];
        let first = ann.send(Method::PUT, "/api/data/a", &headers, Some(json!(value))).await;
        let again = ann.send(Method::PUT, "/api/data/a", &headers, Some(json!(value))).await;
        assert!(first.status < 300 && first.text == again.text, "{first:?} {again:?}");
        ann.send(Method::DELETE, "/api/data/a", &headers[..1], None).await.problem(429, 720);
    }
    ann.send(Method::PUT, "/api/data/a", &[key], Some(json!(3))).await.ok(200);
}

#[tokio::test]
async fn what_is_shown_of_a_token_is_no_secret() {
    let cluster = Cluster::start().await;
    let mut client = cluster.client();
    let form = json!({ "name": "the first", "scope": "read", "days": 7 });
    let answer = operator(&mut client, Method::POST, "/api/tokens", Some(form)).await.ok(201);
    let made = answer.json();
    assert_eq!(answer.header("location"), format!("/api/tokens/{}", made["id"].as_str().unwrap()));
    assert_eq!(answer.header("cache-control"), "no-store");
    assert!(made["token"].as_str().unwrap().starts_with("skein_"));
    let (id, token) = make(&mut client, "write").await;
    let listed = operator(&mut client, Method::GET, "/api/tokens", None).await.ok(200);
    assert!(!listed.text.contains("skein_") && !listed.text.contains(token.trim_start_matches("Bearer skein_")));
    let tokens = listed.json()["tokens"].as_array().unwrap().clone();
    let shown = |token: &Value| -> Vec<String> {
        ["id", "name", "scope"].iter().map(|name| token[name].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(shown(&tokens[0]), [made["id"].as_str().unwrap(), "the first", "read"]);
    assert_eq!(shown(&tokens[1]), [id.as_str(), "to write", "write"]);
    assert_eq!((&tokens[0]["expires_at"], &tokens[1]["expires_at"]), (&made["expires_at"], &Value::Null));
    assert!(made["expires_at"].as_str().unwrap() > made["created_at"].as_str().unwrap());
}

#[tokio::test]
async fn the_form_of_a_token_and_their_number_have_bounds() {
    let cluster = Cluster::start().await;
    let mut client = cluster.client();
    for (form, code, field) in [
        (json!({ "name": "", "scope": "read" }), 606, "name"),
        (json!({ "name": "n".repeat(65), "scope": "read" }), 606, "name"),
        (json!({ "name": "x", "scope": "read", "days": 0 }), 606, "days"),
        (json!({ "name": "x", "scope": "read", "days": 3661 }), 606, "days"),
        (json!({ "name": "x", "scope": "all" }), 708, "scope"),
        (json!({ "name": "x" }), 708, "scope"),
        (json!({ "name": 7, "scope": "read" }), 708, "name"),
        (json!({ "name": "x", "scope": "read", "days": "7" }), 708, "days"),
        (json!({ "name": "x", "scope": "read", "token": "skein_mine" }), 708, "token"),
    ] {
        operator(&mut client, Method::POST, "/api/tokens", Some(form)).await.problem_in(400, code, field);
    }
    let text = [LOCAL, ("content-type", "text/plain")];
    client.raw(Method::POST, "/api/tokens", &text, "{}".into()).await.problem(415, 707);
    for id in ["x", "0000000000000000", "00000000000000000"] {
        operator(&mut client, Method::DELETE, &format!("/api/tokens/{id}"), None).await.problem(404, 732);
    }
    // Several at a time, so that the bound is met by racers too.
    let makers = (0..4).map(|_| {
        let mut client = cluster.client();
        tokio::spawn(async move {
            let mut made = 0;
            loop {
                let form = json!({ "name": "one of many", "scope": "read" });
                let answer = operator(&mut client, Method::POST, "/api/tokens", Some(form)).await;
                match answer.status {
                    201 => made += 1,
                    _ if answer.json()["code"] == 733 => return made,
                    _ => drop(answer.problem(409, 718)),
                }
            }
        })
    });
    let mut made = 0;
    for maker in makers.collect::<Vec<_>>() {
        made += maker.await.unwrap();
    }
    assert_eq!(made, 256);
    let tokens = operator(&mut client, Method::GET, "/api/tokens", None).await.ok(200).json();
    let tokens = tokens["tokens"].as_array().unwrap();
    assert_eq!(tokens.len(), 256);
    let path = format!("/api/tokens/{}", tokens[7]["id"].as_str().unwrap());
    operator(&mut client, Method::DELETE, &path, None).await.ok(204);
    make(&mut client, "read").await;
}

#[tokio::test]
async fn without_a_secret_only_a_tool_on_this_machine_is_an_operators() {
    let cluster = Cluster::start().await;
    let mut ann = cluster.logged_in("ann").await;
    ann.get("/api/tokens").await.problem(401, 734);
    let own = format!("http://{}", cluster.address);
    for mark in [
        ("origin", own.as_str()),
        ("sec-fetch-site", "same-origin"),
        ("sec-fetch-site", "none"),
        ("referer", own.as_str()),
        ("x-forwarded-for", "127.0.0.1"),
        ("forwarded", "for=127.0.0.1"),
        ("x-forwarded-proto", "https"),
        ("via", "1.1 proxy"),
    ] {
        let form = json!({ "name": "forged", "scope": "write" });
        let headers = [LOCAL, mark];
        ann.send(Method::POST, "/api/tokens", &headers, Some(form)).await.problem(401, 734);
        ann.send(Method::GET, "/api/tokens", &headers, None).await.problem(401, 734);
    }
    ann.send(Method::GET, "/api/tokens", &[LOCAL, ("host", "evil.example")], None).await.problem(421, 725);
    for other in ["Basic x", "Skein-Operator", "local", "Bearer local"] {
        with(&mut ann, other, Method::GET, "/api/tokens", None).await.problem(401, 734);
    }
    assert_eq!(operator(&mut ann, Method::GET, "/api/tokens", None).await.ok(200).json()["tokens"], json!([]));
    // Behind a proxy everybody seems to be on this machine.
    let behind = SurfaceConfig { trust_proxy: true, ..SurfaceConfig::new(Auth::Name) };
    let cluster = Cluster::with(behind).await;
    operator(&mut cluster.client(), Method::GET, "/api/tokens", None).await.problem(401, 734);
}

/// A request that is signed as if it went to this server and path.
async fn signed(client: &mut Client, secret: &str, (method, path): (Method, &str), body: &str, proof: Option<&str>) -> Answer {
    let key = OperatorKey::of(&Secret::parse(secret).unwrap());
    let authority = client.authority();
    let request = Signed { method: method.as_str(), authority: &authority, path, body: body.as_bytes() };
    let made = key.sign(request);
    let headers = [("authorization", proof.unwrap_or(&made)), ("content-type", "application/json")];
    client.raw(method, path, &headers, body.to_owned().into()).await
}

#[tokio::test]
async fn with_a_secret_only_a_signature_is_an_operators_and_each_counts_once() {
    let cluster = Cluster::kept_by(SurfaceConfig::new(Auth::Name), SECRET).await;
    let mut client = cluster.client();
    let form = json!({ "name": "signed", "scope": "read" }).to_string();
    let (post, list) = ((Method::POST, "/api/tokens"), (Method::GET, "/api/tokens"));
    operator(&mut client, Method::GET, "/api/tokens", None).await.problem(401, 734);
    client.get("/api/tokens").await.problem(401, 734);
    signed(&mut client, "another secret for tests", post.clone(), &form, None).await.problem(401, 734);
    signed(&mut client, SECRET, post.clone(), &form, None).await.ok(201);
    // What was overheard is good for nothing: not again, not for another request, not for another body.
    let key = OperatorKey::of(&Secret::parse(SECRET).unwrap());
    let authority = client.authority();
    let request = Signed { method: "POST", authority: &authority, path: "/api/tokens", body: form.as_bytes() };
    let overheard = key.sign(request);
    let other = form.replace("read", "write");
    signed(&mut client, SECRET, post.clone(), &other, Some(&overheard)).await.problem(401, 734);
    signed(&mut client, SECRET, list.clone(), "", Some(&overheard)).await.problem(401, 734);
    signed(&mut client, SECRET, (Method::POST, "/api/tokens?x"), &form, Some(&overheard)).await.problem(401, 734);
    signed(&mut client, SECRET, post.clone(), &form, Some(&overheard)).await.ok(201);
    signed(&mut client, SECRET, post.clone(), &form, Some(&overheard)).await.problem(401, 734);
    let mangled = overheard.replace("time=1", "time=2");
    signed(&mut client, SECRET, post, &form, Some(&mangled)).await.problem(401, 734);
    let long = format!("{{\"name\":\"{}\"}}", "x".repeat(17_000));
    signed(&mut client, SECRET, (Method::POST, "/api/tokens"), &long, None).await.problem(413, 710);
    let tokens = signed(&mut client, SECRET, list, "", None).await.ok(200).json();
    assert_eq!(tokens["tokens"].as_array().unwrap().len(), 2);
    assert!(!tokens.to_string().contains(SECRET));
}
