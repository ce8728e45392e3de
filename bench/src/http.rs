//! The lines of the table: which servers are started, what is asked of them, and in which order. Everything runs at once and
//! idles but for the line that is measured; the lines are measured in turn, and the turns repeated, so that whatever else the
//! machine does meets all of them alike.

use std::path::{Path, PathBuf};

use anyhow::Context;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::client::{fill, log_in};
use crate::load::{Load, Measured, Request};
use crate::machine;
use crate::processes::Process;
use crate::table::{Row, Table, median};

/// The text of every tweet: 100 characters, as many as a tweet may have by default.
pub const TEXT: &str = "A skein is a flock of geese in flight: one leads, all keep formation, and the others take turns at it";

/// Connections of every line but one.
const CONNECTIONS: usize = 64;

/// Tweets that the line of pages reads from.
const PAGED: usize = 100_000;

/// Tweets that the lines of single reads go round.
const READ: usize = 1_000;

/// Workers of a cluster.
const WORKERS: usize = 3;

/// How a run is made.
pub struct Plan {
    /// The executable of Skein.
    pub skein: PathBuf,
    /// The ceiling's.
    pub ceiling: PathBuf,
    /// The script of the load.
    pub script: PathBuf,
    /// Where logs and data go.
    pub directory: PathBuf,
    /// Seconds of each measurement.
    pub seconds: u64,
    /// How often each line is measured.
    pub rounds: usize,
    /// Lines whose name does not contain this are left out; ceilings stay.
    pub only: String,
}

struct Line {
    name: &'static str,
    load: Load,
    ceiling: Option<&'static str>,
    bar: Option<f64>,
}

/// A cluster of processes of its own.
pub struct Cluster {
    workers: Vec<Process>,
    /// Its coordinator.
    pub coordinator: Process,
}

impl Cluster {
    /// Three workers with logs that are synced before each vote, and a coordinator.
    pub fn start(skein: &Path, directory: &Path) -> anyhow::Result<Self> {
        let data = |name: &str| directory.join(name).display().to_string();
        let mut workers = Vec::new();
        for number in 1..=WORKERS {
            let name = format!("worker-{number}");
            let args = ["worker", "0", "--data", &data(&name), "--sync", "always", "--memory-max", "8GiB"];
            workers.push(Process::start(skein, &args, &directory.join(format!("{name}.log")))?);
        }
        let coordinator_data = data("coordinator");
        let mut args = vec!["coordinator", "0"];
        args.extend(workers.iter().map(Process::cluster));
        args.extend(["--data", &coordinator_data, "--auth", "name"]);
        let coordinator = Process::start(skein, &args, &directory.join("coordinator.log"))?;
        Ok(Cluster { workers, coordinator })
    }

    /// All its processes.
    pub fn pids(&self) -> Vec<u32> {
        self.workers.iter().map(Process::pid).chain([self.coordinator.pid()]).collect()
    }
}

/// `skein up` with workers in memory.
pub fn up(skein: &Path, log: &Path) -> anyhow::Result<Process> {
    let workers = WORKERS.to_string();
    Process::start(skein, &["up", "--http", "127.0.0.1:0", "--workers", &workers, "--memory-max", "8GiB"], log)
}

/// The body of every post.
pub fn body() -> String {
    serde_json::json!({ "text": TEXT.chars().take(100).collect::<String>() }).to_string()
}

/// Measures all lines.
pub async fn run(plan: &Plan) -> anyhow::Result<Table> {
    let directory = &plan.directory;
    let ceiling = Process::start(&plan.ceiling, &[], &directory.join("ceiling.log"))?;
    let memory = up(&plan.skein, &directory.join("up.log"))?;
    let paged = up(&plan.skein, &directory.join("paged.log"))?;
    let cluster = Cluster::start(&plan.skein, directory)?;

    let (memory_cookie, paged_cookie) = (log_in(memory.http(), "bench").await?, log_in(paged.http(), "bench").await?);
    let cluster_cookie = log_in(cluster.coordinator.http(), "bench").await?;
    let body = body();
    let ceiling_ids = ids(directory, "ceiling", &fill(ceiling.http(), "", &body, READ, READ).await?)?;
    let memory_ids = ids(directory, "up", &fill(memory.http(), &memory_cookie, &body, READ, READ).await?)?;
    if "page".contains(&plan.only) {
        fill(paged.http(), &paged_cookie, &body, PAGED, 0).await.context("filling the store of the pages")?;
    }

    let post = || Request::Post("/api/tweet".to_owned(), body.clone());
    let each = |ids: &PathBuf| Request::GetEach("/api/tweet/".to_owned(), ids.clone());
    let load = |process: &Process, cookie: &str, request: Request| Load {
        host: process.http().to_owned(),
        cookie: cookie.to_owned(),
        request,
        connections: CONNECTIONS,
        pids: vec![process.pid()],
    };
    let line = |name, load, ceiling, bar| Line { name, load, ceiling, bar };
    let mut lines = vec![
        line("ceiling POST", load(&ceiling, "", post()), None, None),
        line("ceiling GET", load(&ceiling, "", each(&ceiling_ids)), None, None),
        line("POST, in memory", load(&memory, &memory_cookie, post()), Some("ceiling POST"), Some(0.25)),
        line("GET, in memory", load(&memory, &memory_cookie, each(&memory_ids)), Some("ceiling GET"), Some(0.45)),
        line(
            "POST, processes, synced",
            Load { pids: cluster.pids(), ..load(&cluster.coordinator, &cluster_cookie, post()) },
            Some("ceiling POST"),
            Some(0.12),
        ),
        line("page of 50 of 100,000", load(&paged, &paged_cookie, Request::Get("/api/tweet".to_owned())), None, None),
        line("POST, in memory, 1 connection", Load { connections: 1, ..load(&memory, &memory_cookie, post()) }, None, None),
        line(
            "POST, synced, 1 connection",
            Load { connections: 1, pids: cluster.pids(), ..load(&cluster.coordinator, &cluster_cookie, post()) },
            None,
            None,
        ),
    ];
    lines.retain(|line| line.name.starts_with("ceiling") || line.name.contains(&plan.only));

    let mut rounds: Vec<Vec<Measured>> = lines.iter().map(|_| Vec::new()).collect();
    for round in 1..=plan.rounds {
        for (line, rounds) in lines.iter().zip(&mut rounds) {
            let measured = line.load.measure(&plan.script, plan.seconds).with_context(|| line.name.to_owned())?;
            eprintln!(
                "round {round}: {}: {:.0} requests/s, {:.1} us of server CPU each, others {:.2} CPUs",
                line.name, measured.requests_per_second, measured.server_cpu_us, measured.other_processors
            );
            rounds.push(measured);
        }
    }
    Ok(table(plan.seconds, lines.into_iter().zip(rounds).collect()))
}

fn table(seconds: u64, measured: Vec<(Line, Vec<Measured>)>) -> Table {
    let medians: Vec<(&str, Measured)> = measured.iter().map(|(line, rounds)| (line.name, median(rounds))).collect();
    let rate = |name: &str| medians.iter().find(|(other, _)| *other == name).map(|(_, median)| median.requests_per_second);
    let rows = measured.into_iter().map(|(Line { name, ceiling, bar, .. }, rounds)| {
        let ratio = ceiling.and_then(rate).map(|ceiling| median(&rounds).requests_per_second / ceiling);
        Row { name, median: median(&rounds), rounds, ceiling, ratio, bar }
    });
    let date = OffsetDateTime::now_utc().format(&Rfc3339).expect("this century can be written");
    Table { date, machine: machine::description(), seconds, rows: rows.collect() }
}

fn ids(directory: &Path, name: &str, ids: &[String]) -> anyhow::Result<PathBuf> {
    let path = directory.join(format!("{name}.ids"));
    std::fs::write(&path, ids.join("\n"))?;
    Ok(path)
}
