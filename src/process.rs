//! The frame of a process: settings are checked, telemetry starts, the process runs until it is asked to end, telemetry goes
//! last. What each command does in between is its own.

use std::future::Future;
use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use prometheus::Registry;
use skein_runtime::metrics::RuntimeMetrics;
use skein_runtime::shutdown::{self, Trigger};
use skein_runtime::telemetry::{self, TelemetryConfig};
use tracing::{error, info, warn};

use crate::settings;

/// How long the last spans and logs may take to leave.
const TELEMETRY_WITHIN: Duration = Duration::from_secs(2);

/// Where a process counts: what `/metrics` shows, and the runtime's part of it.
pub struct Counters {
    /// Everything that is counted.
    pub registry: Registry,
    /// What the runtime counts.
    pub runtime: std::sync::Arc<RuntimeMetrics>,
}

/// Runs a process with these settings until SIGINT or SIGTERM starts its shutdown, or it can't go on.
pub fn serve<C, F>(
    service: &str,
    filter: String,
    settings: Result<C, Vec<String>>,
    body: impl FnOnce(C, Counters, Trigger) -> F,
) -> ExitCode
where
    F: Future<Output = anyhow::Result<()>>,
{
    let tokio = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(tokio) => tokio,
        Err(error) => return failed_to_start(&error),
    };
    let entered = tokio.enter();
    let telemetry =
        telemetry::init(&TelemetryConfig { service: service.to_owned(), filter, endpoint: settings::traces_endpoint() });
    let (config, telemetry) = match (settings, telemetry, settings::arm_fail_point()) {
        (Ok(config), Ok(telemetry), Ok(())) => (config, telemetry),
        (settings, telemetry, fail_point) => {
            let mut errors = settings.err().unwrap_or_default();
            errors.extend(telemetry.err().map(|error| error.to_string()));
            errors.extend(fail_point.err());
            return settings::refuse(&errors);
        }
    };
    if let Some(said) = settings::readable_secret() {
        warn!("{said}");
    }
    let outcome = tokio.block_on(async {
        let counters = counters().context("the metrics")?;
        let (trigger, _) = shutdown::channel();
        let asked = trigger.clone();
        tokio::spawn(async move {
            match shutdown::requested().await {
                Ok(()) => info!("asked to end"),
                Err(error) => error!(%error, "signals can't be received"),
            }
            asked.start();
        });
        body(config, counters, trigger).await
    });
    if let Err(error) = &outcome {
        error!("{error:#}");
    }
    telemetry.shutdown(TELEMETRY_WITHIN);
    drop(entered);
    // Whatever still blocks a thread must not keep the process.
    tokio.shutdown_background();
    if outcome.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs a short question and turns its answer into the exit code.
pub fn ask(question: impl Future<Output = bool>) -> ExitCode {
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(tokio) if tokio.block_on(question) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => failed_to_start(&error),
    }
}

/// Says the one line of standard output.
pub fn say_ready(line: &str) {
    let mut stdout = std::io::stdout().lock();
    if let Err(error) = writeln!(stdout, "ready {line}").and_then(|()| stdout.flush()) {
        warn!(%error, "nobody reads standard output");
    }
    info!("ready {line}");
}

fn counters() -> anyhow::Result<Counters> {
    let registry = Registry::new();
    let runtime =
        RuntimeMetrics::register(&registry, env!("CARGO_PKG_VERSION"), option_env!("SKEIN_REVISION").unwrap_or("none"))?;
    Ok(Counters { registry, runtime })
}

fn failed_to_start(error: &std::io::Error) -> ExitCode {
    eprintln!("error: the asynchronous runtime can't start: {error}");
    ExitCode::FAILURE
}
