//! Explores the worlds of the model to their end and prints how many moments each has, or the shortest way to a broken
//! promise. With `--without` it leaves each rule out in turn and prints after how many moments the break is found.

use std::process::ExitCode;

use clap::Parser;
use skein_sim::model::scenario::Scenario;
use skein_sim::model::search::{Findings, explore, find_break};
use skein_sim::model::{without, worlds};

/// The settings; the bounds left out are those of the world.
#[derive(Parser, Debug)]
#[command(about = "Explores the protocol of Skein in small worlds")]
struct Settings {
    /// Worlds to explore; all of them unless told, but for `everything`, the largest.
    worlds: Vec<String>,
    /// Leave each rule out and look for the break.
    #[arg(long)]
    without: bool,
    /// Look for the shortest way to a broken promise among this many states, instead of visiting all.
    #[arg(long, value_name = "STATES")]
    shortest: Option<usize>,
    /// Threads of the checker.
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// The greatest view number.
    #[arg(long)]
    views: Option<u64>,
    /// Workers.
    #[arg(long)]
    workers: Option<usize>,
    /// Restarts of the coordinator.
    #[arg(long)]
    coordinator_restarts: Option<u8>,
    /// Restarts of workers.
    #[arg(long)]
    worker_restarts: Option<u8>,
    /// Lost connections.
    #[arg(long)]
    cuts: Option<u8>,
    /// Waits within a view change that end.
    #[arg(long)]
    view_changes: Option<u8>,
    /// Failed swaps.
    #[arg(long)]
    failed_swaps: Option<u8>,
    /// Sweeps of the coordinator.
    #[arg(long)]
    coordinator_sweeps: Option<u8>,
    /// Sweeps of workers.
    #[arg(long)]
    worker_sweeps: Option<u8>,
}

fn main() -> ExitCode {
    let settings = Settings::parse();
    let sound = if settings.without { leave_rules_out(&settings) } else { explore_worlds(&settings) };
    if sound { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn explore_worlds(settings: &Settings) -> bool {
    let wanted = |name: &str| settings.worlds.is_empty() || settings.worlds.iter().any(|world| world == name);
    let mut scenarios: Vec<_> = worlds::all().into_iter().filter(|scenario| wanted(scenario.name)).collect();
    if settings.worlds.iter().any(|world| world == "everything") {
        scenarios.push(worlds::everything());
    }
    println!("{:<12} {:>11} {:>9} {:>11}", "world", "states", "seconds", "states/s");
    let mut sound = !scenarios.is_empty();
    for scenario in scenarios {
        let scenario = settings.change(scenario);
        let findings = match settings.shortest {
            Some(states_max) => find_break(&scenario, &[], states_max),
            None => explore(&scenario, settings.threads),
        };
        print_line(scenario.name, &findings);
        for sight in scenario.sights.iter().filter(|sight| findings.complete && !findings.has(sight.name())) {
            println!("never seen: {}", sight.name());
            sound = false;
        }
        if let Some(broken) = findings.broken() {
            println!("broken: {}\n{}", broken.name, broken.trace);
            sound = false;
        }
    }
    sound
}

fn leave_rules_out(settings: &Settings) -> bool {
    let mut all_found = true;
    for without in without::all().into_iter().chain(without::mistakes()) {
        let name = format!("{:?}", without.omission);
        if !settings.worlds.is_empty() && !settings.worlds.contains(&name) {
            continue;
        }
        let states_max = settings.shortest.unwrap_or(3_000_000);
        let findings = find_break(&settings.change(without.scenario), &without.promises, states_max);
        print_line(&format!("{} {name}", without.rule), &findings);
        match findings.discoveries.iter().find(|found| without.promises.contains(&found.name)) {
            Some(found) if settings.worlds.is_empty() => println!("  broken: {}", found.name),
            Some(found) => println!("  broken: {}\n{}", found.name, found.trace),
            None => all_found = false,
        }
    }
    all_found
}

fn print_line(name: &str, findings: &Findings) {
    let (seconds, speed) = (findings.took.as_secs_f64(), findings.states_per_second());
    println!("{name:<12} {:>11} {seconds:>9.1} {speed:>11.0}", findings.states);
}

impl Settings {
    fn change(&self, mut scenario: Scenario) -> Scenario {
        let bounds = &mut scenario.bounds;
        let changes = [
            (&mut bounds.coordinator_restarts, self.coordinator_restarts),
            (&mut bounds.worker_restarts, self.worker_restarts),
            (&mut bounds.cuts, self.cuts),
            (&mut bounds.view_changes, self.view_changes),
            (&mut bounds.failed_swaps, self.failed_swaps),
            (&mut bounds.coordinator_sweeps, self.coordinator_sweeps),
            (&mut bounds.worker_sweeps, self.worker_sweeps),
        ];
        for (bound, change) in changes {
            *bound = change.unwrap_or(*bound);
        }
        scenario.views = self.views.unwrap_or(scenario.views);
        scenario.workers = self.workers.unwrap_or(scenario.workers);
        scenario
    }
}
