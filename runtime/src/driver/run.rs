//! The loop of a driver: wait for anything, take all that is there, handle it input by input, then flush the log, the peers
//! and the counters. Its order of work is the contract of `skein_protocol::step`; that the outputs of one batch are flushed
//! together is allowed since the machine itself holds back what depends on a sync.

use std::collections::{HashMap, VecDeque};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use skein_protocol::id::{ClusterId, NodeId, RequestId};
use skein_protocol::membership::view::Standing;
use skein_protocol::message::Message;
use skein_protocol::record::Record;
use skein_protocol::step::{Event, Input, Machine, Output, Reply, Timer};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Interval, MissedTickBehavior, Sleep, interval, sleep};
use tracing::{error, info, warn};

use super::membership::Membership;
use super::swap::Swaps;
use super::{Asked, Command, Invariants, Parts, Stopped};
use crate::metrics::NodeMetrics;
use crate::phases::Phases;
use crate::spans::Spans;
use crate::timers::Timers;
use crate::transport::connection::{self, Network};
use crate::transport::peers::{ConnectionId, Inbound, NotQueued, Peers};
use crate::transport::{Bound, Direction};
use crate::wal::thread::LogThread;

/// Frames that may wait for the machine; beyond that their connections are read no further.
const FRAMES_WAITING_MAX: usize = 128;

/// Frames taken with one batch.
const FRAMES_PER_BATCH_MAX: usize = 64;

/// Requests taken with one batch.
const REQUESTS_PER_BATCH_MAX: usize = 512;

/// How often the invariants are checked: a look at the whole state, so in a release it must be rare.
const INVARIANTS_EVERY: Duration = if cfg!(debug_assertions) { Duration::from_millis(20) } else { Duration::from_secs(1) };

/// The driver's ends of the channels that lead to and from its handles.
pub(super) struct Channels {
    pub(super) asked: mpsc::Receiver<Asked>,
    pub(super) commands: mpsc::Receiver<Command>,
}

pub(super) struct Driver<M> {
    machine: M,
    metrics: NodeMetrics,
    channels: Channels,
    inbound: mpsc::Receiver<Inbound>,
    /// From nodes of this process: bounded by the number of connections.
    near: mpsc::UnboundedReceiver<Inbound>,
    network: Network,
    peers: Peers,
    /// Told to whoever connects.
    bound: Bound,
    /// The cluster that will be told once so many records are persisted.
    binding: Option<(u64, ClusterId)>,
    log: Option<LogThread>,
    /// Records of this batch.
    records: Vec<Record>,
    /// Records since the start: emitted by the machine, and reported back to it as persisted.
    emitted: u64,
    persisted: u64,
    swaps: Swaps,
    timers: Timers,
    replies: HashMap<RequestId, oneshot::Sender<Reply>>,
    requests: u64,
    /// Inputs that came about while outputs were performed.
    pending: VecDeque<Input>,
    outputs: Vec<Output>,
    /// Inputs handled in this batch.
    handled: u64,
    spans: Spans,
    membership: Membership,
    /// A coordinator's alone.
    phases: Option<Phases>,
    invariants: Option<(Invariants<M>, Interval)>,
    /// When set, no more requests are taken, and the driver stops at this time at the latest.
    draining: Option<Pin<Box<Sleep>>>,
    stopped: Option<Stopped>,
    killed: bool,
}

/// All that was there when the driver looked.
#[derive(Default)]
struct Batch {
    persisted: u32,
    swapped: Option<Input>,
    timers: Vec<Timer>,
    inbound: Vec<Inbound>,
    asked: Vec<Asked>,
    command: Option<Command>,
    check: bool,
    drained: bool,
    failed: Option<Stopped>,
}

impl<M: Machine + Send + 'static> Driver<M> {
    pub(super) fn new(machine: M, parts: Parts<M>, metrics: NodeMetrics, channels: Channels) -> Self {
        let (inbox, inbound) = mpsc::channel(FRAMES_WAITING_MAX);
        let (near_inbox, near) = mpsc::unbounded_channel();
        let bound = parts.network.bound.clone();
        let spans = Spans::new(parts.network.node);
        let counted = parts.control.is_some().then(|| metrics.membership_events());
        let phases = parts.control.is_some().then(|| Phases::new(metrics.phases()));
        let log = parts.log.map(|log| LogThread::start(log, metrics.clone()));
        let network = connection::start(parts.network, metrics.clone(), inbox, near_inbox);
        let invariants = parts.invariants.map(|invariants| {
            for id in invariants.ids {
                metrics.violations(id).inc_by(0);
            }
            let mut every = interval(INVARIANTS_EVERY);
            every.set_missed_tick_behavior(MissedTickBehavior::Delay);
            (invariants, every)
        });
        Driver {
            machine,
            metrics,
            channels,
            inbound,
            near,
            network,
            peers: Peers::default(),
            bound,
            binding: None,
            log,
            records: Vec::new(),
            emitted: 0,
            persisted: 0,
            swaps: Swaps::new(parts.control),
            timers: Timers::new(),
            replies: HashMap::new(),
            requests: 0,
            pending: VecDeque::new(),
            outputs: Vec::new(),
            handled: 0,
            spans,
            membership: Membership::counting(counted),
            phases,
            invariants,
            draining: None,
            stopped: None,
            killed: false,
        }
    }

    pub(super) async fn run(mut self) -> Stopped {
        self.give(Input::Start);
        self.flush();
        let mut batch = Batch::default();
        while self.stopped.is_none() {
            poll_fn(|cx| self.poll_batch(cx, &mut batch)).await;
            self.take(&mut batch);
            self.flush();
        }
        self.end().await
    }

    /// Ready when there is anything to do, with all of it in the batch.
    fn poll_batch(&mut self, cx: &mut Context<'_>, batch: &mut Batch) -> Poll<()> {
        let mut ready = false;
        if let Some(log) = &mut self.log
            && let Poll::Ready(persisted) = log.poll_persisted(cx)
        {
            ready = true;
            match persisted {
                Ok(records) => batch.persisted = records,
                Err(failure) => batch.failed = Some(failure.into()),
            }
        }
        if let Poll::Ready(swapped) = self.swaps.poll(cx) {
            ready = true;
            match swapped {
                Ok(swapped) => batch.swapped = Some(Input::Swapped(swapped)),
                Err(reason) => batch.failed = Some(Stopped::Control(reason)),
            }
        }
        while let Poll::Ready(timer) = self.timers.poll_expired(cx) {
            ready = true;
            batch.timers.push(timer);
        }
        // When the log can't keep up, the sockets and the clients wait.
        if !self.log.as_ref().is_some_and(LogThread::is_crowded) {
            ready |= some(self.inbound.poll_recv_many(cx, &mut batch.inbound, FRAMES_PER_BATCH_MAX));
            ready |= some(self.near.poll_recv_many(cx, &mut batch.inbound, FRAMES_PER_BATCH_MAX));
            ready |= some(self.channels.asked.poll_recv_many(cx, &mut batch.asked, REQUESTS_PER_BATCH_MAX));
        }
        if let Poll::Ready(Some(command)) = self.channels.commands.poll_recv(cx) {
            ready = true;
            batch.command = Some(command);
        }
        if let Some((_, every)) = &mut self.invariants
            && every.poll_tick(cx).is_ready()
        {
            ready = true;
            batch.check = true;
        }
        if let Some(deadline) = &mut self.draining {
            let idle = self.replies.is_empty() && batch.asked.is_empty() && self.channels.asked.is_empty();
            if idle || deadline.as_mut().poll(cx).is_ready() {
                ready = true;
                batch.drained = true;
            }
        }
        if ready { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Gives the machine all of the batch, and leaves it empty.
    fn take(&mut self, batch: &mut Batch) {
        self.stopped = batch.failed.take();
        if batch.persisted > 0 {
            self.report_persisted(std::mem::take(&mut batch.persisted));
        }
        if let Some(swapped) = batch.swapped.take() {
            self.give(swapped);
        }
        for timer in batch.timers.drain(..) {
            self.give(Input::Timeout(timer));
        }
        for inbound in batch.inbound.drain(..) {
            self.take_inbound(inbound);
        }
        for Asked { request, reply } in batch.asked.drain(..) {
            self.requests += 1;
            let id = RequestId(self.requests);
            self.replies.insert(id, reply);
            self.give(Input::Request { id, request });
        }
        if std::mem::take(&mut batch.check) {
            self.check_invariants();
        }
        match batch.command.take() {
            Some(Command::Drain(within)) => {
                info!(node.name = self.metrics.name(), request.count = self.replies.len(), "draining");
                self.channels.asked.close();
                self.draining = Some(Box::pin(sleep(within)));
            }
            Some(Command::Kill) => {
                self.killed = true;
                self.stopped.get_or_insert(Stopped::Shutdown);
            }
            None => {}
        }
        if std::mem::take(&mut batch.drained) {
            self.stopped.get_or_insert(Stopped::Shutdown);
        }
    }

    fn take_inbound(&mut self, inbound: Inbound) {
        match inbound {
            Inbound::Opened { connection, peer, way } => {
                if self.peers.opened(connection, peer.node, way) {
                    self.give(Input::Disconnected { node: peer.node });
                }
                self.membership.connected(&peer);
                self.give(Input::Connected(peer));
            }
            Inbound::Messages { connection, from, messages } => self.take_messages(connection, from, messages),
            Inbound::Queued(queue) => {
                let (connection, from) = queue.origin();
                let messages = queue.take();
                self.metrics.messages(Direction::In, messages.len());
                self.take_messages(connection, from, messages);
            }
            Inbound::Closed { connection, node } => {
                if self.peers.closed(connection, node) {
                    self.membership.disconnected(self.metrics.name(), node);
                    self.give(Input::Disconnected { node });
                }
            }
        }
    }

    fn take_messages(&mut self, connection: ConnectionId, from: NodeId, messages: Vec<Message>) {
        for message in messages {
            // Handling one message may have cut the connection off; then the rest no longer counts.
            if !self.peers.is_current(connection, from) {
                break;
            }
            self.give(Input::Message { from, message });
        }
    }

    /// Gives the machine one input, and those that come about by it.
    fn give(&mut self, input: Input) {
        self.step(input);
        loop {
            if self.log.is_none() && self.emitted > self.persisted {
                let records = u32::try_from(self.emitted - self.persisted).expect("one input emits few records");
                self.report_persisted(records);
            } else if let Some(input) = self.pending.pop_front() {
                self.step(input);
            } else {
                return;
            }
        }
    }

    fn report_persisted(&mut self, records: u32) {
        self.persisted += u64::from(records);
        self.spans.persisted(self.persisted);
        if let Some((_, cluster)) = self.binding.take_if(|(after, _)| *after <= self.persisted) {
            self.bound.set(Some(cluster));
        }
        self.step(Input::Persisted { records });
    }

    /// One input, and its outputs in order. After a halt nothing more is done.
    fn step(&mut self, input: Input) {
        if self.stopped.is_some() {
            return;
        }
        if let Input::Message { message, .. } = &input {
            self.spans.received(message);
        }
        self.handled += 1;
        self.machine.handle(input, &mut self.outputs);
        #[cfg(debug_assertions)]
        crate::fail_point::pass(&self.outputs);
        let mut outputs = std::mem::take(&mut self.outputs);
        for output in outputs.drain(..) {
            if self.stopped.is_none() {
                self.perform(output);
            }
        }
        self.outputs = outputs;
    }

    fn perform(&mut self, output: Output) {
        match output {
            Output::Persist(record) => {
                self.emitted += 1;
                self.spans.persisting(&record, self.emitted);
                if let Record::Bound { cluster } = &record {
                    self.binding = Some((self.emitted, *cluster));
                }
                if let Record::Sealed { standing: Standing::Learner, .. } = &record {
                    // It has begun anew.
                    self.bound.set_salvaged(false);
                }
                if self.log.is_some() {
                    self.records.push(record);
                }
            }
            Output::Send { to, message } => {
                self.spans.sent(&message);
                self.send(to, message);
            }
            Output::Reply { id, reply } => {
                // Nobody may be waiting any more; then the answer is of no use.
                if let Some(waiting) = self.replies.remove(&id) {
                    let _unheard = waiting.send(reply);
                }
            }
            Output::SetTimer { timer, after_ms } => self.timers.set(timer, Duration::from_millis(after_ms)),
            Output::CancelTimer(timer) => self.timers.cancel(timer),
            Output::Disconnect { node } => self.disconnect(node),
            Output::Roster { workers } => {
                for node in self.membership.outside(&workers) {
                    self.disconnect(node);
                }
                self.network.dial_only(&workers);
            }
            Output::Swap { expected, record } => self.swaps.push(expected, record),
            Output::Publish(event) => self.publish(&event),
            Output::Halt(halt) => {
                let stopped = Stopped::Halted(halt);
                error!(node.name = self.metrics.name(), halt.reason = %stopped, "the node can't go on");
                self.stopped = Some(stopped);
            }
        }
    }

    fn send(&mut self, to: NodeId, message: Message) {
        if let Err(error) = self.peers.send(to, message) {
            self.metrics.overflows.inc();
            warn!(node.name = self.metrics.name(), peer.id = %to, "connection to {to} cut off: {error}");
            self.pending.push_back(Input::Disconnected { node: to });
        }
    }

    fn disconnect(&mut self, node: NodeId) {
        if self.peers.disconnect(node) {
            self.membership.disconnected(self.metrics.name(), node);
            self.pending.push_back(Input::Disconnected { node });
        }
    }

    fn publish(&mut self, event: &Event) {
        if let Some(phases) = &mut self.phases {
            phases.published(event, Instant::now);
        }
        self.membership.published(self.metrics.name(), event);
    }

    fn check_invariants(&mut self) {
        let Some((invariants, _)) = &self.invariants else { return };
        for id in (invariants.check)(&self.machine) {
            self.metrics.violations(id).inc();
            error!(node.name = self.metrics.name(), invariant.id = id, "invariant {id} is broken");
        }
    }

    fn flush(&mut self) {
        if let Some(log) = &mut self.log {
            log.append(&mut self.records);
        }
        let metrics = &self.metrics;
        self.peers.flush(|to| {
            metrics.overflows.inc();
            warn!(node.name = metrics.name(), peer.id = %to, "connection to {to} cut off: {}", NotQueued::Full);
        });
        self.metrics.queue_length.set(i64::try_from(self.handled).unwrap_or(i64::MAX));
        self.metrics.connections.set(i64::try_from(self.peers.len()).unwrap_or(i64::MAX));
        self.metrics.inputs.inc_by(std::mem::take(&mut self.handled));
        self.metrics.batches.inc();
    }

    /// Closes the log in order, unless it has failed or a crash is wanted, then the network.
    async fn end(mut self) -> Stopped {
        let mut stopped = self.stopped.take().expect("the loop ends with a reason");
        if let Some(log) = self.log.take() {
            let orderly = !self.killed && !matches!(stopped, Stopped::Log(_) | Stopped::NoRoomToStartOver(_));
            let closing = tokio::task::spawn_blocking(move || if orderly { log.close() } else { Ok(()) });
            if let Ok(Err(failure)) = closing.await {
                stopped = failure.into();
            }
        }
        self.swaps.finish().await;
        self.network.shutdown().await;
        self.metrics.connections.set(0);
        info!(node.name = self.metrics.name(), stop.reason = %stopped, "stopped");
        stopped
    }
}

/// Whether a channel gave anything; one that is closed and empty gives nothing.
fn some(given: Poll<usize>) -> bool {
    matches!(given, Poll::Ready(count) if count > 0)
}
