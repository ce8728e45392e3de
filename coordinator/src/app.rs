//! Where a coordinator's surface is put together: one of each slice that handlers may take. A handler names the slices that it
//! uses (`State(tweets): State<Arc<Tweets>>`), and a room's routes are generic over what holds them, so that no room knows this file
//! or another room. Only [`crate::http`] and the start of the process name [`App`].

use std::sync::Arc;

use axum::extract::FromRef;
use prometheus::Registry;

use crate::accounts::Accounts;
use crate::bookmarks::Bookmarks;
use crate::caller::Callers;
use crate::caller::limits::RateLimits;
use crate::config::SurfaceConfig;
use crate::data::Data;
use crate::http::edge::Edge;
use crate::metrics::NodeMetrics;
use crate::operators::admission::Operators;
use crate::operators::cluster::{Members, Overview};
use crate::operators::console::Console;
use crate::operators::key::OperatorKey;
use crate::operators::roster::Roster;
use crate::sessions::Sessions;
use crate::store::cluster::Cluster;
use crate::store::outcomes::{Ledger, Outcomes};
use crate::store::write::Writer;
use crate::tokens::Tokens;
use crate::tweets::Tweets;

/// The slices of one coordinator. The router clones it several times for each request, so that all slices are behind one `Arc`:
/// axum's derive of `FromRef` would have each clone count every slice.
#[derive(Clone)]
pub struct App(Arc<Slices>);

/// Makes each line a slice: a field, and the way in which a handler gets it.
macro_rules! slices {
    ($($name:ident: $Slice:ty,)*) => {
        struct Slices {
            $($name: Arc<$Slice>,)*
        }

        $(impl FromRef<App> for Arc<$Slice> {
            fn from_ref(App(slices): &App) -> Self {
                Arc::clone(&slices.$name)
            }
        })*
    };
}

slices! {
    settings: SurfaceConfig,
    edge: Edge,
    callers: Callers,
    limits: RateLimits,
    accounts: Accounts,
    sessions: Sessions,
    tokens: Tokens,
    tweets: Tweets,
    bookmarks: Bookmarks,
    data: Data,
    outcomes: Outcomes,
    operators: Operators,
    overview: Overview,
    roster: Roster,
    console: Console,
    registry: Registry,
}

/// What a surface is made of.
pub struct Parts {
    /// How it is set.
    pub settings: SurfaceConfig,
    /// What operators sign with; without it, every user of this machine counts as an operator.
    pub operator_key: Option<OperatorKey>,
    /// The way to the records.
    pub cluster: Cluster,
    /// What the coordinator remembers of how transactions ended.
    pub ledger: Arc<dyn Ledger>,
    /// The way to what operators ask.
    pub console: Console,
    /// Which workers the cluster is meant to have.
    pub roster: Roster,
    /// What is known of how the records are kept.
    pub members: Members,
    /// What `/metrics` shows.
    pub registry: Registry,
    /// Where this coordinator counts.
    pub metrics: NodeMetrics,
}

impl App {
    /// The surface of a coordinator with these parts.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let Parts { settings, operator_key, cluster, ledger, console, roster, members, registry, metrics } = parts;
        let settings = Arc::new(settings);
        let bounds = &settings.limits;
        let writer = Writer::new(cluster.clone(), bounds.turn_time_max);
        let edge = Arc::new(Edge::new(Arc::clone(&settings), metrics));
        let limits = Arc::new(RateLimits::new(bounds));
        let sessions = Arc::new(Sessions::new(cluster.clone(), settings.session_lifetime));
        let tokens = Arc::new(Tokens::new(cluster.clone(), writer.clone()));
        let callers = Callers {
            settings: Arc::clone(&settings),
            sessions: Arc::clone(&sessions),
            tokens: Arc::clone(&tokens),
            limits: Arc::clone(&limits),
        };
        let accounts = Accounts::new(cluster.clone(), writer.clone(), bounds.hashes_at_once_max, settings.idempotency_lifetime);
        App(Arc::new(Slices {
            callers: Arc::new(callers),
            limits,
            accounts: Arc::new(accounts),
            sessions,
            tokens,
            tweets: Arc::new(Tweets::new(cluster.clone(), writer.clone(), bounds.tweet_characters_max)),
            bookmarks: Arc::new(Bookmarks::new(cluster.clone(), writer.clone())),
            data: Arc::new(Data::new(cluster.clone(), writer)),
            outcomes: Arc::new(Outcomes::new(cluster, ledger)),
            operators: Arc::new(Operators::new(operator_key, Arc::clone(&edge))),
            overview: Arc::new(Overview::new(console.clone(), members)),
            roster: Arc::new(roster),
            console: Arc::new(console),
            registry: Arc::new(registry),
            edge,
            settings,
        }))
    }
}
