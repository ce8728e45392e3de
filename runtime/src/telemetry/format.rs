//! Events as JSON: one object a line, its fields at the top level, and with the trace's id where the event belongs to a
//! trace that is followed, so that a log line leads to its trace.

use std::fmt;
use std::sync::OnceLock;

use opentelemetry::trace::TraceContextExt;
use serde_json::{Map, Value};
use tracing::dispatcher::WeakDispatch;
use tracing::field::{Field, Visit};
use tracing::{Dispatch, Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

/// Writes events as JSON.
pub(super) struct Json<W> {
    /// Takes one line at a time.
    write: W,
    /// The way to the traces' layer, which knows the ids.
    dispatch: OnceLock<WeakDispatch>,
}

impl<W> Json<W> {
    pub(super) fn new(write: W) -> Self {
        Json { write, dispatch: OnceLock::new() }
    }
}

impl<S, W> Layer<S> for Json<W>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: Fn(&[u8]) + 'static,
{
    fn on_register_dispatch(&self, dispatch: &Dispatch) {
        self.dispatch.get_or_init(|| dispatch.downgrade());
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut time = String::new();
        let _always_written = SystemTime.format_time(&mut Writer::new(&mut time));
        let mut line = Line(Map::new());
        line.put("timestamp", time);
        line.put("level", event.metadata().level().as_str());
        line.put("target", event.metadata().target());
        event.record(&mut line);
        if let Some(span) = context.event_span(event) {
            line.put("span", span.name());
            let dispatch = self.dispatch.get().and_then(WeakDispatch::upgrade);
            let found = dispatch.and_then(|dispatch| tracing_opentelemetry::get_otel_context(&span.id(), &dispatch));
            if let Some(found) = found.filter(|found| found.span().span_context().is_valid()) {
                line.put("trace_id", found.span().span_context().trace_id().to_string());
            }
        }
        let mut text = Value::Object(line.0).to_string();
        text.push('\n');
        (self.write)(text.as_bytes());
    }
}

/// Gathers the fields of an event.
struct Line(Map<String, Value>);

impl Line {
    fn put(&mut self, name: &str, value: impl Into<Value>) {
        self.0.insert(name.into(), value.into());
    }
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field.name(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field.name(), value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field.name(), value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field.name(), value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field.name(), value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field.name(), value);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use opentelemetry::trace::TracerProvider;
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;
    use crate::telemetry::trace_of;

    #[test]
    fn an_event_is_one_json_object_with_its_fields_and_its_trace() {
        let written = Arc::new(Mutex::new(Vec::new()));
        let provider = opentelemetry_sdk::trace::SdkTracerProvider::builder().build();
        let writer = written.clone();
        let logs = Json::new(move |line: &[u8]| writer.lock().unwrap().extend_from_slice(line));
        let traces = tracing_opentelemetry::layer().with_tracer(provider.tracer("t"));
        let subscriber = tracing_subscriber::registry().with(traces).with(logs);
        let trace = tracing::subscriber::with_default(subscriber, || {
            tracing::info!(node.name = "w1", count = 3_u64, "outside \"all\" spans");
            let span = tracing::info_span!("request");
            let _entered = span.enter();
            tracing::warn!(error = %"bad\nline", "inside");
            trace_of(&span).unwrap()
        });
        let text = String::from_utf8(written.lock().unwrap().clone()).unwrap();
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0]["message"], "outside \"all\" spans");
        assert_eq!((&lines[0]["node.name"], &lines[0]["count"]), (&Value::from("w1"), &Value::from(3)));
        assert!(lines[0].get("trace_id").is_none());
        assert_eq!((&lines[1]["level"], &lines[1]["error"]), (&Value::from("WARN"), &Value::from("bad\nline")));
        assert_eq!(lines[1]["trace_id"], format!("{:032x}", trace.trace));
    }
}
