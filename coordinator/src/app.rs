//! What the handlers share: one of everything that a coordinator has.

use std::sync::Arc;

use prometheus::Registry;
use skein_runtime::transport::Met;
use tokio::sync::Semaphore;

use crate::accounts::Accounts;
use crate::caller::limits::RateLimits;
use crate::config::SurfaceConfig;
use crate::data::Data;
use crate::http::edge::answers::Answers;
use crate::http::edge::body_memory::BodyMemory;
use crate::metrics::NodeMetrics;
use crate::operators::admission;
use crate::operators::cluster::DigestCache;
use crate::operators::console::Console;
use crate::operators::key::OperatorKey;
use crate::operators::roster::Roster;
use crate::sessions::Sessions;
use crate::store::cluster::Cluster;
use crate::store::outcomes::{Ledger, Outcomes};
use crate::store::write::Writer;
use crate::tokens::Tokens;
use crate::tweets::Tweets;

/// What the handlers share.
pub type App = Arc<AppState>;

/// One of everything that a coordinator has.
pub struct AppState {
    pub(crate) settings: SurfaceConfig,
    pub(crate) accounts: Accounts,
    pub(crate) sessions: Sessions,
    pub(crate) tokens: Tokens,
    pub(crate) operators: admission::Operators,
    pub(crate) tweets: Tweets,
    pub(crate) data: Data,
    pub(crate) console: Console,
    pub(crate) outcomes: Outcomes,
    pub(crate) limits: RateLimits,
    pub(crate) digests: DigestCache,
    pub(crate) under_way: Semaphore,
    pub(crate) body_memory: BodyMemory,
    pub(crate) answers: Answers,
    pub(crate) roster: Roster,
    pub(crate) members: Members,
    pub(crate) registry: Registry,
    pub(crate) metrics: NodeMetrics,
}

/// What is known of how the records are kept.
pub struct Members {
    /// What the workers say of themselves.
    pub met: Met,
    /// Whether this coordinator's own control store outlives it: without it the workers' logs are of no use.
    pub control_is_logged: bool,
}

impl AppState {
    /// The surface of a coordinator of these workers. Without a key, every user of this machine counts as an operator.
    #[must_use]
    pub fn new(
        settings: SurfaceConfig,
        operators: Option<OperatorKey>,
        (cluster, ledger): (Cluster, Arc<dyn Ledger>),
        (console, roster, members): (Console, Roster, Members),
        registry: Registry,
        metrics: NodeMetrics,
    ) -> Self {
        let limits = &settings.limits;
        let writer = Writer::new(cluster.clone(), limits.turn_time_max);
        AppState {
            accounts: Accounts::new(cluster.clone(), writer.clone(), limits.hashes_at_once_max, settings.idempotency_lifetime),
            sessions: Sessions::new(cluster.clone(), settings.session_lifetime),
            tokens: Tokens::new(cluster.clone(), writer.clone()),
            operators: admission::Operators::new(operators),
            tweets: Tweets::new(cluster.clone(), writer.clone(), limits.tweet_characters_max),
            data: Data::new(cluster.clone(), writer),
            limits: RateLimits::new(limits),
            digests: DigestCache::default(),
            outcomes: Outcomes::new(cluster, ledger),
            under_way: Semaphore::new(limits.requests_max),
            body_memory: BodyMemory::new(limits.body_bytes_max, metrics.body_bytes.clone()),
            answers: Answers::new(limits.answers.clone(), metrics.answer_bytes(), metrics.answers_refused()),
            console,
            roster,
            members,
            registry,
            metrics,
            settings,
        }
    }
}
