//! The table of a run, for people and as JSON: medians over the rounds, their spread, and the ratio to the ceiling of the same
//! verb beside the bar that it must reach.

use std::fmt::Write;

use serde::Serialize;

use crate::load::Measured;

/// What one line measured, over all rounds.
#[derive(Debug, Serialize)]
pub struct Row {
    /// Its name.
    pub name: &'static str,
    /// Each round.
    pub rounds: Vec<Measured>,
    /// Medians over the rounds, of each figure by itself.
    pub median: Measured,
    /// The name of its ceiling, if it has one.
    pub ceiling: Option<&'static str>,
    /// Requests per second of the median in relation to those of its ceiling.
    pub ratio: Option<f64>,
    /// What the ratio must be at the least.
    pub bar: Option<f64>,
}

/// Everything that a run found.
#[derive(Debug, Serialize)]
pub struct Table {
    /// When, in UTC.
    pub date: String,
    /// Which machine.
    pub machine: String,
    /// Seconds of each measurement.
    pub seconds: u64,
    /// The lines.
    pub rows: Vec<Row>,
}

/// The median of each figure.
pub fn median(rounds: &[Measured]) -> Measured {
    let of = |figure: fn(&Measured) -> f64| {
        let mut figures: Vec<f64> = rounds.iter().map(figure).collect();
        figures.sort_by(f64::total_cmp);
        figures[figures.len() / 2]
    };
    Measured {
        requests_per_second: of(|round| round.requests_per_second),
        p50_us: of(|round| round.p50_us as f64) as u64,
        p99_us: of(|round| round.p99_us as f64) as u64,
        server_cpu_us: of(|round| round.server_cpu_us),
        load_processors: of(|round| round.load_processors),
        other_processors: of(|round| round.other_processors),
        load_average: of(|round| round.load_average),
    }
}

impl Table {
    /// Whether every bar was reached.
    pub fn holds(&self) -> bool {
        self.rows.iter().all(|row| row.ratio.unwrap_or(f64::MAX) >= row.bar.unwrap_or(0.0))
    }

    /// As Markdown, which reads well on a terminal too.
    pub fn markdown(&self) -> String {
        let mut text = format!("{}, {}, {} s a measurement\n\n", self.date, self.machine, self.seconds);
        text.push_str(
            "| line | requests/s | spread | p50 ms | p99 ms | server CPU us/request | others' CPUs | load | ratio | bar |\n",
        );
        text.push_str("|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n");
        for row in &self.rows {
            let rates = || row.rounds.iter().map(|round| round.requests_per_second);
            let (low, high) = (rates().fold(f64::MAX, f64::min), rates().fold(0.0, f64::max));
            let figure = |number: Option<f64>| number.map_or_else(String::new, |number| format!("{number:.2}"));
            let Measured { requests_per_second, p50_us, p99_us, server_cpu_us, other_processors, load_average, .. } = row.median;
            let _infallible = writeln!(
                text,
                "| {} | {requests_per_second:.0} | {low:.0}-{high:.0} | {:.2} | {:.2} | {server_cpu_us:.1} | \
                 {other_processors:.2} | {load_average:.1} | {} | {} |",
                row.name,
                p50_us as f64 / 1e3,
                p99_us as f64 / 1e3,
                figure(row.ratio),
                figure(row.bar),
            );
        }
        text
    }
}
