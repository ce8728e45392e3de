//! Rows of a format that this program does not know, as after a step back to an older program. What depends on them is refused
//! with an error that names the table and both formats, and they stay as they are.

use serde_json::{Value, json};
use skein_coordinator::store::memory::Memory;
use skein_coordinator::store::row::Table;
use skein_coordinator::store::tables::{ACCOUNTS, BOOKMARKS, IDEMPOTENCY, OUTCOMES, SESSIONS, TOKENS, TWEETS};
use skein_coordinator::tokens::{Scope, Secret};
use skein_protocol::operation::Row;

use super::{Conversation, Exchange, all_rows, left_behind, tokens};

/// What one program left behind, with all rows of a table as a program of the next format might write them.
fn with_newer(table: Table) -> (Memory, Vec<Exchange>) {
    let (memory, said) = left_behind(3);
    let newer = memory.rows(table.id).into_iter().map(|row| {
        let text = String::from_utf8(row.value.to_vec()).unwrap();
        let text = text.replacen(&format!("\"format\":{}", table.format), &format!("\"format\":{}", table.format + 1), 1);
        Row { value: text.into_bytes().into(), ..row }
    });
    memory.load(newer.collect::<Vec<_>>());
    (memory, said)
}

/// The error that names the table and both formats.
fn says_newer(said: &str, table: Table) {
    let formats =
        format!("table {} has format {}, this Skein reads formats up to {}", table.name, table.format + 1, table.format);
    assert!(said.contains(&formats), "{said}");
}

/// Nobody must be logged in for it.
fn asks_outcome(asked: &Exchange) -> bool {
    asked.path.starts_with("/api/transactions/")
}

#[tokio::test]
async fn requests_that_need_a_row_of_a_newer_format_are_refused_and_change_nothing() {
    // Which requests of those that were once answered need a row of the table.
    type Needs = fn(&Exchange) -> bool;
    let tables: [(Table, Needs); 6] = [
        (ACCOUNTS, |asked| asked.method == "POST" && asked.path == "/api/login"),
        (SESSIONS, |asked| asked.headers.iter().any(|(name, _)| name == "cookie") && !asks_outcome(asked)),
        (TWEETS, |asked| asked.path.starts_with("/api/tweet") && asked.reads()),
        (BOOKMARKS, |asked| asked.path.starts_with("/api/bookmarks") && asked.reads()),
        (IDEMPOTENCY, Exchange::has_key),
        (OUTCOMES, asks_outcome),
    ];
    for (table, needs) in tables {
        let (memory, said) = with_newer(table);
        let before = all_rows(&memory);
        let all = Conversation::with(&memory);
        let asked: Vec<&Exchange> = said.iter().filter(|asked| needs(asked)).collect();
        assert!(asked.len() >= 2, "{table:?}");
        for asked in asked {
            let (heard, _) = all.hear(asked).await;
            assert_eq!((heard.status, &heard.answer["code"]), (500, &json!(799)), "{heard:?}");
            says_newer(heard.answer["detail"].as_str().unwrap(), table);
        }
        assert_eq!(all_rows(&memory), before, "{table:?}");
    }
}

#[tokio::test]
async fn tweets_of_a_newer_format_are_neither_edited_nor_deleted() {
    let (memory, said) = with_newer(TWEETS);
    let before = all_rows(&memory);
    let all = Conversation::with(&memory);
    let mut edit = said.iter().find(|asked| asked.method == "PUT" && asked.path.starts_with("/api/tweet/")).unwrap().clone();
    edit.headers.retain(|(name, _)| name == "cookie");
    let delete = Exchange { method: "DELETE".to_owned(), body: Value::Null, ..edit.clone() };
    for asked in [edit, delete] {
        let (heard, _) = all.hear(&asked).await;
        assert_eq!(heard.status, 500, "{heard:?}");
        says_newer(heard.answer["detail"].as_str().unwrap(), TWEETS);
    }
    assert_eq!(all_rows(&memory), before);
}

#[tokio::test]
async fn bookmarks_of_a_newer_format_are_neither_counted_nor_removed() {
    let (memory, said) = with_newer(BOOKMARKS);
    let before = all_rows(&memory);
    let all = Conversation::with(&memory);
    let mut put = said.iter().find(|asked| asked.method == "PUT" && asked.path.starts_with("/api/bookmarks/")).unwrap().clone();
    put.headers.retain(|(name, _)| name == "cookie");
    let delete = Exchange { method: "DELETE".to_owned(), ..put.clone() };
    // Another tweet is counted with the marks that are there.
    let other = said.iter().find(|asked| asked.answer["text"] == "without a key").unwrap().answer["id"].as_str().unwrap();
    let new = Exchange { path: format!("/api/bookmarks/{other}"), ..put.clone() };
    for asked in [put, delete, new] {
        let (heard, _) = all.hear(&asked).await;
        assert_eq!(heard.status, 500, "{heard:?}");
        says_newer(heard.answer["detail"].as_str().unwrap(), BOOKMARKS);
    }
    assert_eq!(all_rows(&memory), before);
}

#[tokio::test]
async fn a_new_login_leaves_sessions_of_a_newer_format_alone() {
    let (memory, said) = with_newer(SESSIONS);
    let before = memory.rows(SESSIONS.id);
    let all = Conversation::with(&memory);
    let cookie = said.iter().find_map(|asked| asked.headers.iter().find(|(name, _)| name == "cookie")).unwrap();
    let mut login = said.iter().find(|asked| asked.method == "POST" && asked.path == "/api/login").unwrap().clone();
    login.headers.push(cookie.clone());
    let (heard, _) = all.hear(&login).await;
    assert_eq!(heard.status, 200, "{heard:?}");
    let after = memory.rows(SESSIONS.id);
    assert_eq!(after.len(), before.len() + 1);
    assert!(before.iter().all(|row| after.contains(row)), "one was ended");
}

#[tokio::test]
async fn tokens_of_a_newer_format_let_nobody_in_and_are_neither_listed_nor_counted_nor_revoked() {
    let (memory, said) = with_newer(TOKENS);
    let before = all_rows(&memory);
    let all = Conversation::with(&memory);
    for asked in said.iter().filter(|asked| asked.path == "/api/data/by-token") {
        let (heard, _) = all.hear(asked).await;
        assert_eq!(heard.status, 500, "{heard:?}");
        says_newer(heard.answer["detail"].as_str().unwrap(), TOKENS);
    }
    let tokens = tokens(&memory);
    says_newer(&tokens.list().await.unwrap_err().to_string(), TOKENS);
    says_newer(&tokens.create("one more", Scope::Read, None).await.err().unwrap().to_string(), TOKENS);
    let bearer = said.iter().find_map(|asked| asked.headers.iter().find(|(name, _)| name == "authorization")).unwrap();
    let id = Secret::parse(bearer.1.strip_prefix("Bearer ").unwrap()).unwrap().id();
    says_newer(&tokens.revoke(id).await.unwrap_err().to_string(), TOKENS);
    assert_eq!(all_rows(&memory), before);
}
