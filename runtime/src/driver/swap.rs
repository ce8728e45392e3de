//! Swaps of the control store: one at a time, in order, on a thread where they may block.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use skein_protocol::membership::view::ViewRecord;
use skein_protocol::step::Swapped;
use tokio::task::{JoinHandle, spawn_blocking};

use crate::control::Control;
use crate::disk::DiskError;

/// The control store of a driver and what it still has to do.
pub(super) struct Swaps {
    /// The store while it rests.
    control: Option<Box<dyn Control>>,
    under_way: Option<JoinHandle<Done>>,
    /// A machine swaps one thing at a time; the queue is there so that the order holds even if it does not.
    waiting: VecDeque<(Option<ViewRecord>, ViewRecord)>,
}

/// The store comes back with the answer.
type Done = (Box<dyn Control>, Result<Swapped, DiskError>);

impl Swaps {
    pub(super) fn new(control: Option<Box<dyn Control>>) -> Self {
        Swaps { control, under_way: None, waiting: VecDeque::new() }
    }

    pub(super) fn push(&mut self, expected: Option<ViewRecord>, record: ViewRecord) {
        self.waiting.push_back((expected, record));
        self.begin();
    }

    /// Ready with the answer to the swap under way.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Swapped, String>> {
        let Some(under_way) = &mut self.under_way else {
            return match self.waiting.front() {
                Some(_) if self.control.is_none() => Poll::Ready(Err("this node has none".into())),
                _ => Poll::Pending,
            };
        };
        let done = ready!(Pin::new(under_way).poll(cx));
        self.under_way = None;
        let (control, swapped) = match done {
            Ok(done) => done,
            Err(error) => return Poll::Ready(Err(error.to_string())),
        };
        self.control = Some(control);
        self.begin();
        Poll::Ready(swapped.map_err(|error| error.to_string()))
    }

    /// Waits for the swap under way and lets go of the store.
    pub(super) async fn finish(&mut self) {
        if let Some(under_way) = self.under_way.take() {
            let _answer_of_no_use = under_way.await;
        }
        self.control = None;
    }

    fn begin(&mut self) {
        if self.under_way.is_some() || self.waiting.is_empty() {
            return;
        }
        if let Some(mut control) = self.control.take() {
            let (expected, record) = self.waiting.pop_front().expect("checked above");
            self.under_way = Some(spawn_blocking(move || {
                let swapped = control.swap(expected.as_ref(), &record);
                (control, swapped)
            }));
        }
    }
}
