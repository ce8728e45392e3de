//! `--demo`: two tweets by two people in an empty store, so that there is something to see. All of it is one transaction that
//! expects the two accounts to be absent; a store that has tweets or these people already is left as it is.

use std::time::Duration;

use skein_protocol::operation::{Action, Consistency, Expect, Operation, Range};
use skein_protocol::step::AbortReason;
use tracing::info;
use uuid::Uuid;

use crate::accounts::{self, Account};
use crate::store::cluster::{Cluster, Error};
use crate::store::tables::TWEETS;
use crate::tweets::{self, Tweet};

/// Who says what, in the order of time.
const TWEETS_OF: [(&str, &str); 2] = [
    ("grace", "Every write here is a two-phase commit across all replicas."),
    ("ada", "Hello from Skein: a flock that keeps formation when one falls back."),
];

/// Tries before the store is left as it is.
const ATTEMPTS_MAX: u32 = 10;

/// The pause between two tries.
const PAUSE: Duration = Duration::from_millis(100);

/// Preloads the store if it is empty.
///
/// # Errors
/// The store's, after some tries.
pub async fn preload(cluster: &Cluster) -> Result<(), Error> {
    let mut attempt = 1;
    loop {
        match once(cluster).await {
            Err(Error::Overloaded | Error::Unavailable) if attempt < ATTEMPTS_MAX => {
                attempt += 1;
                tokio::time::sleep(PAUSE).await;
            }
            done => return done,
        }
    }
}

async fn once(cluster: &Cluster) -> Result<(), Error> {
    let range = Range { table: TWEETS.id, from: None, until: None, descending: true, rows_max: 1 };
    if !cluster.scan(range, Consistency::Strict).await?.rows.is_empty() {
        return Ok(());
    }
    let operations = TWEETS_OF.iter().flat_map(|(username, text)| {
        let tweet = Tweet::new(Uuid::now_v7(), username, text);
        let put = Operation { key: tweets::key(tweet.id), expect: Expect::Absent, action: Action::Put(tweet.value().into()) };
        [accounts::put(&Account::named(username), None), put]
    });
    match cluster.commit(operations.collect()).await {
        Ok(_) => info!("the store was empty: preloaded it with two tweets"),
        Err(Error::Aborted { reason: AbortReason::Expectation { .. }, .. }) => {}
        Err(error) => return Err(error),
    }
    Ok(())
}
