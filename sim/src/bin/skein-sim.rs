//! Simulates whole clusters under faults: many seeds for a while, or one seed with all that happens in it. With `--omit` one
//! mistake is made on purpose, to see that it is found. The columns of a trace are explained in `docs/testing.md`.

use std::io::Write as _;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Parser;
use skein_sim::simulation::campaign::{Campaign, Findings, conduct};
use skein_sim::simulation::mistake::{self, Mistakes};
use skein_sim::simulation::{Settings, run};

/// Runs of this many seeds must have seen everything that can happen.
const RUNS_OF_A_PROOF: u64 = 300;

/// Failing seeds that are shown.
const FAILURES_SHOWN: usize = 10;

/// The settings.
#[derive(Parser, Debug)]
#[command(about = "Simulates whole clusters of Skein under faults")]
struct Arguments {
    /// Replay this seed and print its trace.
    #[arg(long)]
    seed: Option<u64>,
    /// Without the trace: only what came of it.
    #[arg(long)]
    brief: bool,
    /// Run for so many seconds.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Run so many seeds at the most.
    #[arg(long, default_value_t = u64::MAX)]
    runs: u64,
    /// The first seed; taken from the clock if not given.
    #[arg(long)]
    from: Option<u64>,
    /// Calls that clients make in one run.
    #[arg(long, default_value_t = 500)]
    calls: u32,
    /// Threads, each of which runs seeds of its own.
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Make this mistake, or `all` in turn, and say after how many seeds it is found.
    #[arg(long, value_name = "NAME")]
    omit: Option<String>,
    /// Print how often each thing happened.
    #[arg(long)]
    coverage: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let sound = match (&arguments.omit, arguments.seed) {
        (Some(name), None) => find_mistakes(&arguments, name),
        (name, Some(seed)) => replay(&arguments, seed, name.as_deref()),
        (None, None) => search(&arguments),
    };
    if sound { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn replay(arguments: &Arguments, seed: u64, omit: Option<&str>) -> bool {
    let mistakes = match omit.map(mistake::named) {
        Some(None) => {
            eprintln!("there is no such mistake");
            return false;
        }
        Some(Some(seeded)) => seeded.mistakes,
        None => Mistakes::NONE,
    };
    let report = run(Settings { seed, calls: arguments.calls, mistakes, trace: !arguments.brief });
    // A reader that has seen enough may close the pipe.
    let _closed = std::io::stdout().write_all(report.trace.as_bytes());
    println!("seed {seed}: {} calls, {} steps, {:.1} s of virtual time", report.calls, report.steps, report.lasted as f64 / 1e6);
    match report.violation {
        Some(violation) => println!("broken: {}: {}", violation.property, violation.detail),
        None => println!("all promises kept"),
    }
    true
}

fn search(arguments: &Arguments) -> bool {
    std::panic::set_hook(Box::new(|_| {}));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let from = arguments.from.unwrap_or(now * 1_000_000);
    let findings = conduct(&campaign(arguments, from, Mistakes::NONE, false));
    println!(
        "{} runs from seed {from}, {} calls, {} steps in {:.1} s: {:.1} runs/s",
        findings.runs,
        findings.calls,
        findings.steps,
        findings.took.as_secs_f64(),
        findings.runs_per_second()
    );
    if arguments.coverage {
        findings.coverage.counts().for_each(|(name, count)| println!("{count:>10}  {name}"));
    }
    for (seed, violation) in findings.failures.iter().take(FAILURES_SHOWN) {
        println!("seed {seed} breaks {}: {}", violation.property, violation.detail);
        println!("  replay: cargo run --profile sim -p skein-sim --bin skein-sim -- --calls {} --seed {seed}", arguments.calls);
    }
    if findings.failures.len() > FAILURES_SHOWN {
        println!("and {} seeds more", findings.failures.len() - FAILURES_SHOWN);
    }
    let gaps = findings.coverage.gaps();
    let covered = gaps.is_empty() || findings.runs < RUNS_OF_A_PROOF;
    if !covered {
        println!("never happened: {}", gaps.join(", "));
    }
    findings.failures.is_empty() && covered && findings.runs > 0
}

fn find_mistakes(arguments: &Arguments, name: &str) -> bool {
    std::panic::set_hook(Box::new(|_| {}));
    println!("{:<4} {:<22} {:>6} {:>8}  found by", "rule", "mistake", "seeds", "seconds");
    let wanted = mistake::ALL.iter().filter(|seeded| name == "all" || seeded.name == name);
    let mut all_found = true;
    for seeded in wanted.clone() {
        let findings = conduct(&campaign(arguments, arguments.from.unwrap_or(1), seeded.mistakes, true));
        print_found(seeded, &findings);
        all_found &= !findings.failures.is_empty();
    }
    all_found && wanted.count() > 0
}

fn print_found(seeded: &mistake::Seeded, findings: &Findings) {
    let seconds = findings.took.as_secs_f64();
    match findings.failures.first() {
        Some((seed, violation)) => {
            let detail: String = violation.detail.chars().take(100).collect();
            let (rule, name, runs) = (seeded.rule, seeded.name, findings.runs);
            println!("{rule:<4} {name:<22} {runs:>6} {seconds:>8.1}  {}, seed {seed}: {detail}", violation.property);
        }
        None => println!("{:<4} {:<22} {:>6} {seconds:>8.1}  nothing", seeded.rule, seeded.name, findings.runs),
    }
}

fn campaign(arguments: &Arguments, from: u64, mistakes: Mistakes, stop_at_failure: bool) -> Campaign {
    Campaign {
        from,
        runs: arguments.runs,
        lasts: Duration::from_secs(arguments.seconds),
        threads: arguments.threads,
        calls: arguments.calls,
        mistakes,
        stop_at_failure,
    }
}
