//! Many seeds, on as many threads as wanted. Each run is single-threaded and knows nothing of the others; only here are
//! there threads and a clock. The set as a whole is a proof only if everything that may happen did: its coverage is a gate.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::checks::Violation;
use super::faults::Coverage;
use super::mistake::Mistakes;
use super::phases::{Settings, run};

/// Which seeds to run, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct Campaign {
    /// The first seed; the others follow it.
    pub from: u64,
    /// How many at the most.
    pub runs: u64,
    /// How long at the most.
    pub lasts: Duration,
    /// On how many threads.
    pub threads: usize,
    /// Calls of one run.
    pub calls: u32,
    /// What is done wrong.
    pub mistakes: Mistakes,
    /// Whether the first failure is enough.
    pub stop_at_failure: bool,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    /// Runs that were made.
    pub runs: u64,
    /// Calls in all of them.
    pub calls: u64,
    /// Inputs that machines took in all of them.
    pub steps: u64,
    /// How long it took.
    pub took: Duration,
    /// Seeds that broke a promise, in order, with what they broke.
    pub failures: Vec<(u64, Violation)>,
    /// What happened in all runs together.
    pub coverage: Coverage,
}

/// Runs seeds until there are enough.
#[must_use]
pub fn conduct(campaign: &Campaign) -> Findings {
    let started = Instant::now();
    let (next, enough) = (AtomicU64::new(0), AtomicBool::new(false));
    let findings = Mutex::new(Findings::default());
    std::thread::scope(|scope| {
        for _ in 0..campaign.threads.max(1) {
            scope.spawn(|| {
                while started.elapsed() < campaign.lasts && !enough.load(Ordering::Relaxed) {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= campaign.runs {
                        return;
                    }
                    let seed = campaign.from + number;
                    let Campaign { calls, mistakes, .. } = *campaign;
                    let report = run(Settings { seed, calls, mistakes, trace: false });
                    let mut findings = findings.lock().expect("no holder of this lock panics");
                    findings.runs += 1;
                    findings.calls += report.calls;
                    findings.steps += report.steps;
                    findings.coverage.add(&report.coverage);
                    if let Some(violation) = report.violation {
                        findings.failures.push((seed, violation));
                        enough.fetch_or(campaign.stop_at_failure, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    let mut findings = findings.into_inner().expect("no holder of this lock panics");
    findings.failures.sort_by_key(|(seed, _)| *seed);
    findings.took = started.elapsed();
    findings
}

impl Findings {
    /// Runs in a second.
    #[must_use]
    pub fn runs_per_second(&self) -> f64 {
        self.runs as f64 / self.took.as_secs_f64().max(f64::EPSILON)
    }
}
