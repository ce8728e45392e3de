//! Logs and traces of a process.

use std::time::Duration;

use skein_protocol::id::TraceContext;
use tracing::Span;

/// What a process says about itself and how much.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TelemetryConfig {
    /// The name of the service in traces: `skein-worker`, `skein-coordinator` or `skein`.
    pub service: String,
    /// Which events are logged, in the syntax of `tracing_subscriber`'s `EnvFilter`, as from `SKEIN_LOG`.
    pub filter: String,
}

/// Keeps telemetry going; ends it with [`Telemetry::shutdown`].
#[derive(Debug)]
#[must_use = "telemetry ends when this is dropped"]
pub struct Telemetry {}

/// Why telemetry could not be started.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter is not understood.
    #[error("the log filter {filter:?}: {error}")]
    Filter {
        /// The filter.
        filter: String,
        /// What is wrong with it.
        error: String,
    },
}

/// Starts logs and, if an OTLP endpoint is set, traces. Once in a process.
pub fn init(_config: &TelemetryConfig) -> Result<Telemetry, TelemetryError> {
    Ok(Telemetry {})
}

impl Telemetry {
    /// Sends what is left, within this time.
    pub fn shutdown(self, _within: Duration) {}
}

/// The context of the current span, to be sent along with a request; `None` if nobody traces it.
#[must_use]
pub fn current_trace() -> Option<TraceContext> {
    None
}

/// Makes `span` a part of the trace that came in with a request's `traceparent` header.
pub fn set_parent(_span: &Span, _parent: TraceContext) {}

/// Reads a W3C `traceparent` header.
#[must_use]
pub fn parse_traceparent(_header: &str) -> Option<TraceContext> {
    None
}
