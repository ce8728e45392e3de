//! Logs and traces of a process. Logs are JSON, one object a line on standard error, with the trace's id where there is
//! one. Traces go by OTLP over HTTP (protobuf) to wherever the standard `OTEL_EXPORTER_OTLP_*` variables say, and nowhere if
//! they name no endpoint; they are sampled as `OTEL_TRACES_SAMPLER` says and sent in batches from a bounded queue by a thread
//! of their own, so nothing on the path of a read or write waits for them.
//!
//! The coordinator's surface makes the span of a transaction, as a child of the HTTP request's, and passes its context
//! ([`trace_of`]) in the request; the core hands it on in each prepare, and the workers' drivers make their spans as
//! children of it.

mod export;
mod format;

use std::io::Write;
use std::time::Duration;

use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState, TracerProvider};
use opentelemetry::{Context, KeyValue, global};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::resource::EnvResourceDetector;
use opentelemetry_sdk::trace::SdkTracerProvider;
use skein_protocol::id::TraceContext;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::filter::{FilterExt, LevelFilter, Targets, filter_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

/// How much can be logged, the least first.
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// What a process says about itself and how much.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TelemetryConfig {
    /// The name of the service in traces, unless `OTEL_SERVICE_NAME` says otherwise.
    pub service: String,
    /// Which events are logged, as from `SKEIN_LOG`: levels, or `MODULE=LEVEL`, with commas between them; usually `info`.
    pub filter: String,
    /// What `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`, or else `OTEL_EXPORTER_OTLP_ENDPOINT`, is set to; traces are exported only
    /// then. The exporter reads these and the other standard variables itself.
    pub endpoint: Option<String>,
}

/// Keeps telemetry going; ends it with [`Telemetry::shutdown`].
#[derive(Debug)]
#[must_use = "what is left at the end is sent by `shutdown`"]
pub struct Telemetry {
    provider: Option<SdkTracerProvider>,
}

/// Why telemetry could not be started.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter is not understood.
    #[error("the log filter {filter:?} is not understood: {error}")]
    Filter {
        /// The filter.
        filter: String,
        /// What is wrong with it.
        error: String,
    },
    /// The endpoint is not plain HTTP.
    #[error("the OTLP endpoint {0:?} must begin with http://: traces go to a collector nearby, which may speak TLS onwards")]
    Endpoint(String),
    /// The exporter's settings are not understood.
    #[error("the settings OTEL_EXPORTER_OTLP_*: {0}")]
    Exporter(#[from] opentelemetry_otlp::ExporterBuildError),
    /// It was started before in this process.
    #[error("logs were set up already")]
    Twice,
}

/// Starts logs and, if an OTLP endpoint is set, traces. Once in a process, and before drivers are started.
pub fn init(config: &TelemetryConfig) -> Result<Telemetry, TelemetryError> {
    let misread = |error| TelemetryError::Filter { filter: config.filter.clone(), error };
    check_filter(&config.filter).map_err(misread)?;
    let filter = EnvFilter::try_new(&config.filter).map_err(|error| misread(error.to_string()))?;
    let provider = match config.endpoint.as_deref().filter(|endpoint| !endpoint.is_empty()) {
        Some(endpoint) if endpoint.starts_with("http://") => Some(provider(&config.service)?),
        Some(endpoint) => return Err(TelemetryError::Endpoint(endpoint.into())),
        None => None,
    };
    let logs = format::Json::new(|line: &[u8]| {
        // Where standard error is closed there is nobody to tell.
        let _unread = std::io::stderr().lock().write_all(line);
    });
    let started = match &provider {
        Some(provider) => {
            let ours = Targets::new().with_target("skein", LevelFilter::INFO);
            let traces = tracing_opentelemetry::layer().with_tracer(provider.tracer("skein")).with_location(false);
            tracing_subscriber::registry().with(traces.with_filter(ours)).with(logs.with_filter(filter)).try_init()
        }
        // Logs need spans for the trace's id alone. Where no traces are made, no span is: it would cost each request some
        // microseconds. The registry must have one layer only, since more than one is asked about each span anew.
        None => tracing_subscriber::registry()
            .with(logs.with_filter(filter.and(filter_fn(|metadata| metadata.is_event()))))
            .try_init(),
    };
    started.map_err(|_| TelemetryError::Twice)?;
    if let Some(provider) = &provider {
        global::set_tracer_provider(provider.clone());
    }
    Ok(Telemetry { provider })
}

/// Says what is wrong with a filter. `EnvFilter` takes a word that is no level for the name of a module, of which it would then
/// show everything and of all others nothing.
fn check_filter(filter: &str) -> Result<(), String> {
    for directive in filter.split(',').map(str::trim) {
        let (module, level) = directive.rsplit_once('=').map_or((None, directive), |(module, level)| (Some(module), level));
        if !LEVELS.iter().any(|known| known.eq_ignore_ascii_case(level)) {
            return Err(format!("{level:?} is no level; levels are {}", LEVELS.join(", ")));
        }
        let is_name = |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "_:-".contains(c));
        if module.is_some_and(|module| !is_name(module)) {
            return Err(format!("{directive:?} must be LEVEL or MODULE=LEVEL"));
        }
    }
    Ok(())
}

fn provider(service: &str) -> Result<SdkTracerProvider, TelemetryError> {
    let exporter = SpanExporter::builder()
        .with_http()
        .with_protocol(Protocol::HttpBinary)
        .with_http_client(export::Plain::default())
        .build()?;
    let resource = Resource::builder().with_attribute(KeyValue::new("service.name", service.to_owned()));
    // What the environment says goes before what we say.
    let resource = resource.with_detectors(&[Box::new(EnvResourceDetector::new())]).build();
    Ok(SdkTracerProvider::builder().with_resource(resource).with_batch_exporter(exporter).build())
}

impl Telemetry {
    /// Sends what is left, within this time. Blocks.
    pub fn shutdown(self, within: Duration) {
        if let Some(provider) = &self.provider
            && let Err(error) = provider.shutdown_with_timeout(within)
        {
            tracing::warn!(%error, "the last traces could not be sent");
        }
    }
}

/// The context of a span, to be sent along with a request; `None` if nobody follows it.
#[must_use]
pub fn trace_of(span: &Span) -> Option<TraceContext> {
    if span.is_disabled() {
        return None;
    }
    let context = span.context();
    let span = context.span();
    let context = span.span_context();
    (context.is_valid() && context.is_sampled()).then(|| TraceContext {
        trace: u128::from_be_bytes(context.trace_id().to_bytes()),
        span: u64::from_be_bytes(context.span_id().to_bytes()),
        flags: context.trace_flags().to_u8(),
    })
}

/// Makes `span`, which has not been entered yet, a part of the trace that came in from elsewhere.
pub fn set_parent(span: &Span, parent: TraceContext) {
    // Fails only where no traces are made.
    let _not_followed = span.set_parent(remote_context(parent));
}

/// Reads a W3C `traceparent` header, version 00 or a later one that begins like it.
#[must_use]
pub fn parse_traceparent(header: &str) -> Option<TraceContext> {
    let hex = |part: &str, digits: usize| {
        let lower = part.len() == digits && part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if lower { u128::from_str_radix(part, 16).ok() } else { None }
    };
    let mut parts = header.trim().split('-');
    let version = hex(parts.next()?, 2)?;
    let trace = hex(parts.next()?, 32)?;
    let span = u64::try_from(hex(parts.next()?, 16)?).ok()?;
    let flags = u8::try_from(hex(parts.next()?, 2)?).ok()?;
    let fits = version != 0xff && (version != 0 || parts.next().is_none()) && trace != 0 && span != 0;
    fits.then_some(TraceContext { trace, span, flags })
}

/// A context as the parent of spans here.
pub(crate) fn remote_context(trace: TraceContext) -> Context {
    let TraceContext { trace, span, flags } = trace;
    let (trace, span) = (TraceId::from_bytes(trace.to_be_bytes()), SpanId::from_bytes(span.to_be_bytes()));
    Context::new().with_remote_span_context(SpanContext::new(trace, span, TraceFlags::new(flags), true, TraceState::NONE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_traceparent_is_read_and_a_broken_one_is_not() {
        let read = parse_traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01").unwrap();
        let expected = TraceContext { trace: 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c, span: 0xb7ad_6b71_6920_3331, flags: 1 };
        assert_eq!(read, expected);
        assert!(parse_traceparent("01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more").is_some());
        for wrong in [
            "",
            "00",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-+af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ] {
            assert_eq!(parse_traceparent(wrong), None, "{wrong:?} was taken");
        }
    }

    #[test]
    fn an_endpoint_that_would_not_work_is_refused_with_the_reason() {
        let config = TelemetryConfig { service: "t".into(), filter: "info".into(), endpoint: Some("https://far:4318".into()) };
        assert!(init(&config).unwrap_err().to_string().contains("must begin with http://"));
        let config = TelemetryConfig { filter: "a=b=c".into(), ..config };
        assert!(matches!(init(&config), Err(TelemetryError::Filter { .. })));
    }

    #[test]
    fn a_filter_is_of_levels_that_there_are() {
        for right in ["info", "WARN", "off", "info,skein_runtime=debug", "warn, skein_runtime::driver=trace", "skein-x=error"] {
            assert_eq!(check_filter(right), Ok(()), "{right}");
        }
        for wrong in
            ["loud", "", "info,", "skein_runtime", "info,skein=noisy", "=info", "==", "a=b=info", "[span]=info", "a b=info"]
        {
            assert!(check_filter(wrong).is_err(), "{wrong:?} was taken");
        }
    }

    #[test]
    fn without_an_exporter_no_span_is_followed() {
        assert_eq!(trace_of(&Span::current()), None);
        let span = tracing::info_span!("alone");
        set_parent(&span, TraceContext { trace: 1, span: 1, flags: 1 });
        assert_eq!(trace_of(&span), None);
    }
}
