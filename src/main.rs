//! The executable of Skein, thin on purpose: it reads the command line and hands over to the process that was asked for.
//! Standard output carries one line, said once the process serves; logs go to standard error. The exit code is 0 after an
//! orderly end, 1 when the process can't go on, and 2 for bad settings, with every error said and nothing bound.

#![cfg_attr(test, allow(clippy::unwrap_used))]

use std::process::ExitCode;

use clap::{Arg, CommandFactory, FromArgMatches, Parser, Subcommand};
use skein_coordinator::config::CoordinatorArgs;

use crate::roster::WorkerLine;
use crate::secret::SecretArgs;
use crate::status::StatusArgs;
use crate::token::TokenArgs;
use crate::up::UpArgs;

mod alone;
mod operator;
mod process;
mod roster;
mod secret;
mod settings;
mod status;
mod token;
mod up;

/// Faster than the system's by a tenth of a write, and it gives memory back.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A self-hosted microblog and data service on a replicated, transactional in-memory store.
#[derive(Debug, Parser)]
#[command(name = "skein", version, max_term_width = 110)]
struct CommandLine {
    /// Which events are logged: a level (error, warn, info, debug, trace), or levels per module as in info,skein_runtime=debug
    #[arg(long, global = true, value_name = "FILTER", env = "SKEIN_LOG", hide_env_values = true, default_value = "info")]
    log: String,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a whole cluster in this one process: workers and a coordinator with the app
    ///
    /// If SKEIN_CLUSTER_SECRET or SKEIN_CLUSTER_SECRET_FILE is set, it is what operators must know (`skein token`); the workers
    /// have a secret of their own that never leaves the process.
    Up(UpArgs),
    /// Hold a replica: take part in transactions, with or without a write-ahead log; or add and remove workers of a cluster
    ///
    /// The cluster's secret is read from SKEIN_CLUSTER_SECRET, or from the file that SKEIN_CLUSTER_SECRET_FILE names; it has
    /// at least 16 bytes and is required as soon as the cluster address is not loopback.
    Worker(WorkerLine),
    /// Serve clients: run transactions over the workers named, and change views when one of them is gone
    ///
    /// The cluster's secret is read from SKEIN_CLUSTER_SECRET, or from the file that SKEIN_CLUSTER_SECRET_FILE names; it has
    /// at least 16 bytes and is required as soon as a worker is not on loopback.
    Coordinator(CoordinatorArgs),
    /// Say how a running process stands: exit code 0 ready, 1 not ready, 2 bad settings
    Status(StatusArgs),
    /// Make, list and revoke the bearer tokens of programs: exit code 0 done, 1 refused or not reachable, 2 bad settings
    ///
    /// Only who knows the cluster's secret may: it is read from SKEIN_CLUSTER_SECRET, or from the file that
    /// SKEIN_CLUSTER_SECRET_FILE names, and never sent. A coordinator on loopback that has none believes its own machine.
    Token(TokenArgs),
    /// Make a secret for a cluster, in a file that others can't read; one that is there stays as it is
    Secret(SecretArgs),
}

fn main() -> ExitCode {
    let line = command_line();
    match line.command {
        Command::Up(args) => {
            let settings = settings::with_secret(|secret| args.check(secret));
            process::serve("skein", line.log, settings, up::up)
        }
        Command::Worker(WorkerLine::Change(change)) => match settings::with_secret(|secret| change.check(secret.as_ref())) {
            Ok(errand) => process::ask(roster::run(errand)),
            Err(errors) => settings::refuse(&errors),
        },
        Command::Worker(WorkerLine::Start(args)) => {
            let settings = settings::with_secret(|secret| args.check(secret));
            process::serve("skein-worker", line.log, settings, alone::worker)
        }
        Command::Coordinator(args) => {
            let settings = settings::with_secret(|secret| args.check(secret));
            process::serve("skein-coordinator", line.log, settings, alone::coordinator)
        }
        Command::Status(args) => match args.check() {
            Ok(question) => process::ask(status::status(question)),
            Err(errors) => settings::refuse(&errors),
        },
        Command::Token(args) => match settings::with_secret(|secret| args.check(secret.as_ref())) {
            Ok(errand) => process::ask(token::run(errand)),
            Err(errors) => settings::refuse(&errors),
        },
        Command::Secret(args) => secret::make(&args),
    }
}

/// Reads the command line. A number below zero is taken for a value, not for an unknown flag, so that what is wrong with it is said with its
/// bounds and with all the rest.
fn command_line() -> CommandLine {
    let takes_numbers = |arg: Arg| if arg.get_action().takes_values() { arg.allow_negative_numbers(true) } else { arg };
    let command = CommandLine::command().mut_subcommands(|command| command.mut_args(takes_numbers));
    CommandLine::from_arg_matches(&command.get_matches()).unwrap_or_else(|error| error.exit())
}
