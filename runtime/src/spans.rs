//! The spans of sampled transactions at a worker, so that one trace shows the request at the coordinator and what each
//! replica did for it: `prepare` from the message to the vote, `commit` or `abort` from the decision to the
//! acknowledgement, and within both `wal.sync` from the record's hand-over to its return as persisted. Nothing is kept for a
//! transaction whose trace is not sampled, and no more than a bounded number of others.

use std::collections::{BTreeMap, VecDeque};

use opentelemetry::global::BoxedTracer;
use opentelemetry::trace::{SpanKind, TraceContextExt, Tracer};
use opentelemetry::{Context, KeyValue, global};
use skein_protocol::id::{NodeId, TraceContext, TxnId};
use skein_protocol::message::{Message, Outcome, Vote};
use skein_protocol::record::Record;

use crate::telemetry::remote_context;

/// Transactions that are followed at once; beyond that the oldest is let go.
const FOLLOWED_MAX: usize = 4 * 1024;

/// The transactions that are followed.
pub(crate) struct Spans {
    tracer: BoxedTracer,
    node: String,
    followed: BTreeMap<TxnId, Followed>,
    /// Syncs under way: the number of the record, and the span.
    syncing: VecDeque<(u64, Context)>,
}

struct Followed {
    /// The coordinator's span, which came with the prepare.
    parent: Context,
    /// The span under way: `prepare`, `commit` or `abort`.
    current: Option<Context>,
}

impl Spans {
    pub(crate) fn new(node: NodeId) -> Self {
        Spans { tracer: global::tracer("skein"), node: node.to_string(), followed: BTreeMap::new(), syncing: VecDeque::new() }
    }

    /// A message is about to be handled.
    pub(crate) fn received(&mut self, message: &Message) {
        match message {
            Message::Prepare(prepare) => {
                if let Some(trace) = prepare.trace.filter(|trace| trace.flags & 1 == 1) {
                    self.follow(prepare.txn, trace);
                }
            }
            Message::Decide { txn, outcome, .. } if !self.followed.is_empty() => {
                let name = match outcome {
                    Outcome::Committed => "commit",
                    Outcome::Aborted => "abort",
                };
                if let Some(parent) = self.followed.get(txn).map(|followed| followed.parent.clone()) {
                    let span = self.start(name, SpanKind::Server, *txn, &parent);
                    self.followed.entry(*txn).and_modify(|followed| followed.current = Some(span));
                }
            }
            _ => {}
        }
    }

    /// A record, the so-manieth, is about to be handed to the log.
    pub(crate) fn persisting(&mut self, record: &Record, number: u64) {
        if self.followed.is_empty() {
            return;
        }
        let txn = match record {
            Record::Prepared(prepared) => prepared.txn,
            Record::Committed { txn, .. } | Record::Aborted { txn, .. } => *txn,
            // A view change settles what was under way.
            Record::Sealed { .. } => return self.followed.clear(),
            Record::Bound { .. }
            | Record::Activated { .. }
            | Record::Outvoted
            | Record::Copied { .. }
            | Record::Forgot { .. }
            | Record::ForgotViews { .. } => return,
        };
        if let Some(current) = self.followed.get(&txn).and_then(|followed| followed.current.clone()) {
            let span = self.start("wal.sync", SpanKind::Internal, txn, &current);
            self.syncing.push_back((number, span));
        }
    }

    /// So many records are persisted by now.
    pub(crate) fn persisted(&mut self, number: u64) {
        while self.syncing.front().is_some_and(|(waiting, _)| *waiting <= number) {
            if let Some((_, span)) = self.syncing.pop_front() {
                span.span().end();
            }
        }
    }

    /// A message was sent.
    pub(crate) fn sent(&mut self, message: &Message) {
        if self.followed.is_empty() {
            return;
        }
        match message {
            Message::Vote { txn, vote: Vote::Yes { .. }, .. } => {
                if let Some(span) = self.followed.get_mut(txn).and_then(|followed| followed.current.take()) {
                    span.span().end();
                }
            }
            Message::Vote { txn, .. } | Message::Acknowledged { txn, .. } => {
                if let Some(span) = self.followed.remove(txn).and_then(|followed| followed.current) {
                    span.span().end();
                }
            }
            _ => {}
        }
    }

    fn follow(&mut self, txn: TxnId, trace: TraceContext) {
        let parent = remote_context(trace);
        let current = Some(self.start("prepare", SpanKind::Server, txn, &parent));
        if self.followed.len() >= FOLLOWED_MAX {
            self.followed.pop_first();
        }
        self.followed.insert(txn, Followed { parent, current });
    }

    fn start(&self, name: &'static str, kind: SpanKind, txn: TxnId, parent: &Context) -> Context {
        let attributes = [KeyValue::new("node.id", self.node.clone()), KeyValue::new("txn.id", txn.to_string())];
        let span = self.tracer.span_builder(name).with_kind(kind).with_attributes(attributes);
        parent.with_span(span.start_with_context(&self.tracer, parent))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use opentelemetry::trace::{SpanId, TraceId};
    use opentelemetry_sdk::error::OTelSdkResult;
    use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData, SpanExporter};
    use skein_protocol::id::{Age, Incarnation, ViewId, ViewNumber, Writer};
    use skein_protocol::membership::view::Standing;
    use skein_protocol::message::Prepare;
    use skein_protocol::record::Prepared;

    use super::*;

    const VIEW: ViewNumber = ViewNumber(1);

    #[derive(Clone, Debug, Default)]
    struct Collected(Arc<Mutex<Vec<SpanData>>>);

    impl SpanExporter for Collected {
        async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
            self.0.lock().unwrap().extend(batch);
            Ok(())
        }
    }

    fn prepare(trace: u128, sequence: u64, flags: u8) -> (TxnId, Message) {
        let txn = TxnId { incarnation: Incarnation(1), sequence };
        let age = Age { stamp: 1, incarnation: Incarnation(1) };
        let trace = Some(TraceContext { trace, span: 5, flags });
        (txn, Message::Prepare(Prepare { txn, age, view: VIEW, operations: Vec::new(), trace }))
    }

    fn prepared(txn: TxnId) -> Record {
        let age = Age { stamp: 1, incarnation: Incarnation(1) };
        Record::Prepared(Prepared { txn, age, view: VIEW, operations: Vec::new(), versions: Vec::new() })
    }

    #[test]
    fn a_sampled_transaction_shows_its_prepare_and_commit_and_their_syncs_in_the_callers_trace() {
        let collected = Collected::default();
        let provider = SdkTracerProvider::builder().with_simple_exporter(collected.clone()).build();
        global::set_tracer_provider(provider);
        let mut spans = Spans::new(NodeId(0xab));

        for (sequence, flags) in [(1, 1), (2, 0)] {
            let (txn, message) = prepare(77, sequence, flags);
            spans.received(&message);
            spans.persisting(&prepared(txn), 2 * sequence);
            spans.persisted(2 * sequence);
            spans.sent(&Message::Vote { txn, view: VIEW, vote: Vote::Yes { versions: Vec::new() } });
            spans.received(&Message::Decide { txn, view: VIEW, outcome: Outcome::Committed, versions: vec![] });
            spans.persisting(&Record::Committed { txn, view: VIEW, writes: Vec::new() }, 2 * sequence + 1);
            spans.persisted(2 * sequence + 1);
            spans.sent(&Message::Acknowledged { txn, view: VIEW });
        }
        assert!(spans.followed.is_empty() && spans.syncing.is_empty());

        // The provider is the process's: other tests may end spans, too, in other traces.
        let ours = TraceId::from_bytes(77_u128.to_be_bytes());
        let all = collected.0.lock().unwrap();
        let ended: Vec<&SpanData> = all.iter().filter(|span| span.span_context.trace_id() == ours).collect();
        let names: Vec<&str> = ended.iter().map(|span| &*span.name).collect();
        assert_eq!(names, ["wal.sync", "prepare", "wal.sync", "commit"], "one transaction is sampled, the other is not");
        let caller = SpanId::from_bytes(5_u64.to_be_bytes());
        assert_eq!([ended[1].parent_span_id, ended[3].parent_span_id], [caller, caller]);
        let own = [ended[1].span_context.span_id(), ended[3].span_context.span_id()];
        assert_eq!([ended[0].parent_span_id, ended[2].parent_span_id], own);
        for span in ended {
            let attributes: Vec<String> = span.attributes.iter().map(|pair| format!("{}={}", pair.key, pair.value)).collect();
            assert_eq!(attributes, ["node.id=000000000000000000000000000000ab", "txn.id=1-1"]);
        }
    }

    #[test]
    fn what_is_never_decided_is_let_go_by_the_bound_or_a_view_change() {
        let mut spans = Spans::new(NodeId(1));
        for sequence in 0..2 * FOLLOWED_MAX as u64 {
            spans.received(&prepare(78, sequence, 1).1);
        }
        assert_eq!(spans.followed.len(), FOLLOWED_MAX);
        let view = ViewId { number: VIEW, writer: Writer::UNKNOWN };
        spans.persisting(&Record::Sealed { view, standing: Standing::Member, last_active: None }, 1);
        assert!(spans.followed.is_empty());
    }
}
