//! A second coordinator: it runs transactions in the views that the first one installs and changes none itself. Without it
//! transactions would hardly meet at the workers, since those of one coordinator queue before they are sent. It learns each
//! active view from the control store, in order, and asks the leader for a view change when a participant is silent.

use skein_protocol::commit::coordinator::{Bounds, Transactions};
use skein_protocol::commit::outcome::Settlement;
use skein_protocol::id::{Incarnation, ViewNumber};
use skein_protocol::invariant;
use skein_protocol::limits::Limits;
use skein_protocol::membership::view::ViewRecord;
use skein_protocol::message::Message;
use skein_protocol::rules::Rules;
use skein_protocol::step::{Input, Output, Refusal, Reply, Request, Timer};

const SWEEP_MS: u64 = 250;
const RETRY_MS: u64 = 5;
const REQUEST_SWEEPS: u8 = 20;
const DOUBT_SWEEPS: u8 = 12;

/// The transactions of a coordinator that does not lead.
pub(crate) struct Guest {
    transactions: Transactions,
    view: ViewNumber,
    retry_set: bool,
    /// Whether the leader is to be asked for a view change.
    doubts: bool,
}

impl Guest {
    pub(crate) fn new(incarnation: Incarnation, window: usize, limits: Limits, rules: Rules) -> Self {
        let bounds = Bounds { window, request_sweeps: REQUEST_SWEEPS, doubt_sweeps: DOUBT_SWEEPS, limits };
        Guest {
            transactions: Transactions::new(incarnation, bounds, false, rules),
            view: ViewNumber(0),
            retry_set: false,
            doubts: false,
        }
    }

    pub(crate) fn handle(&mut self, input: Input, out: &mut Vec<Output>) {
        match input {
            Input::Start => out.push(Output::SetTimer { timer: Timer::Sweep, after_ms: SWEEP_MS }),
            Input::Request { id, request: Request::Commit { operations, clock, trace } } => {
                self.transactions.submit(id, operations, clock, trace, out);
            }
            Input::Request { id, request: Request::Outcome { txn } } => {
                out.push(Output::Reply { id, reply: Reply::Outcome(self.transactions.outcome(txn)) });
            }
            Input::Request { id, .. } => out.push(Output::Reply { id, reply: Reply::Refused(Refusal::Invalid) }),
            Input::Message { from, message: Message::Vote { txn, view, vote } } => {
                self.transactions.voted(from, txn, view, vote, out);
            }
            Input::Message { from, message: Message::Acknowledged { txn, view } } => {
                self.transactions.acknowledged(from, txn, view, out);
            }
            Input::Timeout(Timer::Sweep) => {
                self.doubts = self.transactions.sweep(out);
                out.push(Output::SetTimer { timer: Timer::Sweep, after_ms: SWEEP_MS });
            }
            Input::Timeout(Timer::Retry) => {
                self.retry_set = false;
                self.transactions.retry(out);
            }
            _ => {}
        }
        self.set_retry(out);
    }

    /// A view has become active. Every one of them comes here, in order.
    pub(crate) fn active(&mut self, record: &ViewRecord, out: &mut Vec<Output>) {
        let Some(active) = &record.active else { return };
        self.view = active.view.number;
        let settlement = Settlement { outcomes: active.outcomes.clone(), ..Settlement::default() };
        self.transactions.activate(active.view.clone(), &settlement, false, out);
        self.set_retry(out);
    }

    /// All members of this view have the outcomes of earlier ones synced.
    pub(crate) fn may_forget(&mut self, view: ViewNumber) {
        if view == self.view {
            self.transactions.allow_forgetting();
        }
    }

    fn set_retry(&mut self, out: &mut Vec<Output>) {
        if self.transactions.has_refused() && !std::mem::replace(&mut self.retry_set, true) {
            out.push(Output::SetTimer { timer: Timer::Retry, after_ms: RETRY_MS });
        }
    }

    /// What it asks the leader, if it doubts.
    pub(crate) fn plea(&mut self) -> Option<Message> {
        std::mem::take(&mut self.doubts).then_some(Message::InDoubt { view: self.view })
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.transactions.in_flight()
    }

    pub(crate) fn violations(&self) -> Vec<&'static str> {
        let broken = [
            (invariant::ABORT_UNANSWERED, self.transactions.aborts_are_unanswered()),
            (invariant::FORGOTTEN_BELOW_MARK, self.transactions.is_within_window()),
        ];
        broken.into_iter().filter(|(_, holds)| !holds).map(|(name, _)| name).collect()
    }
}
