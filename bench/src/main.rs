//! `make bench`: one run, one table. It starts the servers, puts the same load on each in turn, and says what part of the
//! ceiling's speed is left, what a million tweets take in memory, how long a worker takes to start from them, what is left of
//! the writes while a worker copies a million records, and what writers notice of readers of long lists. What it found and why stands in `docs/performance.md`.

mod client;
mod flame;
mod http;
mod load;
mod machine;
mod memory;
mod processes;
mod readers;
mod rejoin;
mod table;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, Subcommand};

/// Measures Skein.
#[derive(Debug, Parser)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
    /// The executables under measurement
    #[arg(long, global = true, value_name = "DIR", default_value = "target/release")]
    executables: PathBuf,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Requests per second beside the ceiling; exit code 1 if a bar is missed
    Http {
        /// Seconds of each measurement
        #[arg(long, default_value_t = 5)]
        seconds: u64,
        /// How often each line is measured
        #[arg(long, default_value_t = 3)]
        rounds: usize,
        /// Only lines whose name contains this, and the ceilings
        #[arg(long, default_value = "")]
        only: String,
        /// Where the table goes as JSON
        #[arg(long, value_name = "FILE")]
        json: Option<PathBuf>,
    },
    /// What a million tweets take in a worker's memory, and how long it takes to start from their log
    Memory {
        /// How many tweets
        #[arg(long, default_value_t = 1_000_000)]
        tweets: usize,
    },
    /// Writes per second while a worker comes back that has a million records to copy; exit code 1 if too few are left
    Rejoin {
        /// How many records
        #[arg(long, default_value_t = 1_000_000)]
        records: usize,
        /// Seconds of each measurement before
        #[arg(long, default_value_t = 10)]
        seconds: u64,
    },
    /// The p99 of writes next to 64 readers of long lists, over that without them
    Readers {
        /// Seconds of each measurement
        #[arg(long, default_value_t = 5)]
        seconds: u64,
    },
    /// Flame graphs of the POST, in memory and synced, made with perf and inferno
    Flame {
        /// Seconds of each picture
        #[arg(long, default_value_t = 8)]
        seconds: u64,
        /// Where they go
        #[arg(long, value_name = "DIR", default_value = "docs/images")]
        output: PathBuf,
    },
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let CommandLine { command, executables } = CommandLine::parse();
    let skein = executables.join("skein");
    let script = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/load/request.lua"));
    let directory = tempfile::Builder::new().prefix("skein-bench-").tempdir()?;
    match command {
        Command::Http { seconds, rounds, only, json } => {
            let plan = http::Plan {
                skein,
                ceiling: executables.join("skein-ceiling"),
                script,
                directory: directory.path().to_owned(),
                seconds,
                rounds: rounds.max(1),
                only,
            };
            let table = http::run(&plan).await?;
            println!("{}", table.markdown());
            if let Some(path) = json {
                let text = serde_json::to_string_pretty(&table)?;
                std::fs::write(&path, text + "\n").with_context(|| format!("{} can't be written", path.display()))?;
            }
            Ok(if table.holds() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Command::Memory { tweets } => {
            memory::run(&skein, directory.path(), tweets).await?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Rejoin { records, seconds } => {
            let holds = rejoin::run(&skein, directory.path(), records, seconds).await?;
            Ok(if holds { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Command::Readers { seconds } => {
            readers::run(&skein, directory.path(), seconds).await?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Flame { seconds, output } => {
            flame::run(&skein, &script, directory.path(), seconds, &output).await?;
            Ok(ExitCode::SUCCESS)
        }
    }
}
