//! `skein worker`: starts a worker, or changes for good which workers a cluster is meant to have (`add`, `remove`). A change is
//! asked of a coordinator as its operator ([`crate::operator`]); the address is the one under which that coordinator reaches the
//! worker. The exit code is 0 when it is done, 1 when it was refused or nobody answered, and 2 for bad settings, with every
//! error said.

use clap::{ArgMatches, Args, Command, FromArgMatches, Subcommand};
use hyper::{Method, StatusCode};
use serde_json::{Value, json};
use skein_coordinator::config::worker_address;
use skein_runtime::transport::Secret;
use skein_worker::config::WorkerArgs;

use crate::operator::Coordinator;
use crate::status::printable;

/// The command line of `skein worker`: either the settings of a worker, or a change. What is required of the one is not of the
/// other, which no derived parser can tell.
#[derive(Clone, Debug)]
pub enum WorkerLine {
    /// Starts a worker.
    Start(WorkerArgs),
    /// Changes a cluster.
    Change(ChangeArgs),
}

impl FromArgMatches for WorkerLine {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        if matches.subcommand_name().is_some() {
            ChangeArgs::from_arg_matches(matches).map(WorkerLine::Change)
        } else {
            WorkerArgs::from_arg_matches(matches).map(WorkerLine::Start)
        }
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = WorkerLine::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for WorkerLine {
    fn augment_args(command: Command) -> Command {
        let command = ChangeArgs::augment_subcommands(WorkerArgs::augment_args(command));
        command
            .subcommand_required(false)
            .arg_required_else_help(false)
            .subcommand_negates_reqs(true)
            .args_conflicts_with_subcommands(true)
    }

    fn augment_args_for_update(command: Command) -> Command {
        WorkerLine::augment_args(command)
    }
}

/// The command line of a change.
#[derive(Clone, Debug, Subcommand)]
pub enum ChangeArgs {
    /// Add a worker to a cluster for good: it copies all records and is a member after that
    ///
    /// As its operator: see `skein token`. How far it has come says `skein status`.
    #[command(override_usage = "skein worker add [OPTIONS] <HOST:PORT> [URL]")]
    Add {
        #[command(flatten)]
        change: Whom,
    },
    /// Remove a worker from a cluster for good, unless no other member holds all records
    ///
    /// As its operator: see `skein token`. A worker that was removed may be ended, and its log be deleted.
    #[command(override_usage = "skein worker remove [OPTIONS] <HOST:PORT> [URL]")]
    Remove {
        #[command(flatten)]
        change: Whom,
    },
}

/// Which worker, and of whose cluster.
#[derive(Clone, Debug, Args)]
pub struct Whom {
    /// The worker as the coordinator reaches it: HOST:PORT, a port of the coordinator's own machine, or worker-N of `skein up`
    #[arg(value_name = "HOST:PORT")]
    worker: String,

    /// Whom to ask: a coordinator, http://HOST:PORT
    #[arg(env = "SKEIN_URL", hide_env_values = true, default_value = "http://127.0.0.1:8080")]
    url: String,
}

/// What is to be changed, and by whom.
pub struct Errand {
    coordinator: Coordinator,
    worker: String,
    adds: bool,
}

impl ChangeArgs {
    /// Checks everything and says all that is wrong. The cluster's secret comes from the environment alone.
    ///
    /// # Errors
    /// One sentence for each setting that can't be used.
    pub fn check(&self, secret: Option<&Secret>) -> Result<Errand, Vec<String>> {
        let mut wrong = Vec::new();
        let (whom, adds) = match self {
            ChangeArgs::Add { change } => (change, true),
            ChangeArgs::Remove { change } => (change, false),
        };
        let worker = worker_address::parse_or_name(&whom.worker).map_err(|error| wrong.push(error)).ok();
        let coordinator = Coordinator::new(&whom.url, secret).map_err(|error| wrong.push(error)).ok();
        match (coordinator, worker) {
            (Some(coordinator), Some(worker)) => Ok(Errand { coordinator, worker, adds }),
            _ => Err(wrong),
        }
    }
}

/// Does it, and says whether it is done.
pub async fn run(errand: Errand) -> bool {
    let done = errand.run().await;
    if let Err(error) = &done {
        eprintln!("error: {}", printable(&format!("{error:#}")));
    }
    done.is_ok()
}

impl Errand {
    async fn run(&self) -> anyhow::Result<()> {
        let Errand { coordinator, worker, adds } = self;
        let path = "/api/cluster/workers";
        // Asked all the same: what was there a moment ago may have been removed by another operator since.
        let before = if *adds { coordinator.ask(Method::GET, path, None, StatusCode::OK).await?.document } else { Value::Null };
        let answer = if *adds {
            coordinator.ask(Method::POST, path, Some(&json!({ "address": worker })), StatusCode::OK).await?
        } else {
            coordinator.ask(Method::DELETE, &format!("{path}/{worker}"), None, StatusCode::OK).await?
        };
        println!("{}", outcome(*adds, worker, &before));
        eprintln!("{}", meant(&answer.document));
        Ok(())
    }
}

/// What has come about; `before` has the workers as they were.
fn outcome(adds: bool, worker: &str, before: &Value) -> String {
    let was_there = before["workers"].as_array().is_some_and(|workers| workers.iter().any(|there| there == worker));
    match (adds, was_there) {
        (true, true) => format!("already there: {worker}"),
        (true, false) => format!("added {worker}"),
        (false, _) => format!("removed {worker}"),
    }
}

/// Which workers the cluster is meant to have.
fn meant(document: &Value) -> String {
    let workers = document["workers"].as_array().map(Vec::as_slice).unwrap_or_default();
    let workers: Vec<String> = workers.iter().filter_map(Value::as_str).map(printable).collect();
    let noun = if workers.len() == 1 { "worker" } else { "workers" };
    format!("the cluster is meant to have {} {noun}: {}", workers.len(), workers.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        worker: WorkerLine,
    }

    fn parse(line: &[&str]) -> Result<WorkerLine, clap::Error> {
        Line::try_parse_from(["worker"].iter().chain(line)).map(|line| line.worker)
    }

    fn check(line: &[&str]) -> Result<Errand, Vec<String>> {
        let WorkerLine::Change(change) = parse(line).unwrap() else { panic!("no change") };
        change.check(None)
    }

    #[test]
    fn an_address_alone_starts_a_worker() {
        let WorkerLine::Start(start) = parse(&["0.0.0.0:7000", "--sync", "always"]).unwrap() else { panic!("a change") };
        assert_eq!(start.cluster, "0.0.0.0:7000");
        assert!(parse(&[]).is_err(), "neither an address nor a change");
        assert!(parse(&["7000", "add", "7001"]).is_err(), "both");
    }

    #[test]
    fn what_was_there_already_is_not_said_to_be_added() {
        let before = json!({ "workers": ["a:1"] });
        assert_eq!(outcome(true, "a:1", &before), "already there: a:1");
        assert_eq!(outcome(true, "a:2", &before), "added a:2");
        assert_eq!(outcome(false, "a:1", &Value::Null), "removed a:1");
        assert_eq!(meant(&before), "the cluster is meant to have 1 worker: a:1");
        assert_eq!(meant(&json!({ "workers": ["a:1", "a:2"] })), "the cluster is meant to have 2 workers: a:1, a:2");
    }

    #[test]
    fn a_change_names_a_worker_and_perhaps_a_coordinator() {
        let errand = check(&["add", "7004"]).unwrap();
        assert_eq!((errand.worker.as_str(), errand.adds), ("127.0.0.1:7004", true));
        let errand = check(&["remove", "worker-3:7000", "http://a:1"]).unwrap();
        assert_eq!((errand.worker.as_str(), errand.adds), ("worker-3:7000", false));
        assert_eq!(check(&["add", "a/b", "nowhere"]).err().unwrap().len(), 2);
    }
}
