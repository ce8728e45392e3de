//! A second coordinator, which leads from a copy of the control store, and what it does.

use skein_protocol::id::{ClusterId, RequestId, ViewId, Writer};
use skein_protocol::membership::view::Standing;
use skein_protocol::message::Seal;

use super::*;

pub struct Rival {
    coordinator: Coordinator,
    control: Option<ViewRecord>,
    halt: Option<Halt>,
    replies: BTreeMap<u64, Reply>,
}

impl World {
    /// A second coordinator starts, in this run and from this control store. It reaches no worker yet.
    pub fn start_rival(&mut self, run: u64, record: Option<ViewRecord>) {
        let config = CoordinatorConfig::new(RIVAL, Incarnation(run), ClusterId(8), self.named.clone(), record.clone());
        let coordinator = Coordinator::new(config);
        self.rival = Some(Rival { coordinator, control: record, halt: None, replies: BTreeMap::new() });
        self.input(RIVAL, Input::Start);
        self.settle();
    }

    /// The second coordinator ends, and its connections are lost.
    pub fn stop_rival(&mut self) {
        self.rival = None;
        self.network.forget(RIVAL);
        for node in self.workers.keys().copied().collect::<Vec<_>>() {
            self.input(node, Input::Disconnected { node: RIVAL });
        }
        self.settle();
    }

    /// Both coordinators send beats.
    pub fn both_beat(&mut self) {
        self.input(COORDINATOR, Input::Timeout(Timer::Beat));
        self.input(RIVAL, Input::Timeout(Timer::Beat));
        self.settle();
    }

    /// The second coordinator waits for members no longer.
    pub fn view_change_of_rival_times_out(&mut self) {
        self.input(RIVAL, Input::Timeout(Timer::ViewChange));
        self.settle();
    }

    /// Why the first coordinator and the second have ended, if they have.
    pub fn halts(&self) -> (Option<Halt>, Option<Halt>) {
        (self.halt.clone(), self.rival.as_ref().and_then(|rival| rival.halt.clone()))
    }

    /// What stands in the second coordinator's control store.
    pub fn control_of_rival(&self) -> &Option<ViewRecord> {
        &self.rival.as_ref().expect("it was started").control
    }

    /// The second coordinator is asked to write. Gives whether it has said that this is done.
    pub fn rival_writes(&mut self, name: &str) -> bool {
        let request = Request::Commit { operations: vec![put(name, "of the rival")], clock: 5, trace: None };
        self.input(RIVAL, Input::Request { id: RequestId(1), request });
        self.settle();
        let replies = &mut self.rival.as_mut().expect("it was started").replies;
        matches!(replies.remove(&1), Some(Reply::Committed { .. }))
    }

    pub(super) fn step_rival(&mut self, input: Input) {
        let Some(rival) = self.rival.as_mut().filter(|rival| rival.halt.is_none()) else { return };
        let mut out = Vec::new();
        rival.coordinator.handle(input, &mut out);
        for output in out {
            match output {
                Output::Send { to, message } => self.network.send(RIVAL, to, message),
                Output::Swap { expected, record } => {
                    assert_eq!(expected, rival.control);
                    rival.control = Some(record);
                    self.network.queue.push_back((RIVAL, Input::Swapped(Swapped::Done)));
                }
                Output::Reply { id, reply } => drop(rival.replies.insert(id.0, reply)),
                Output::Halt(halt) => rival.halt = Some(halt),
                _ => {}
            }
        }
    }
}

/// A seal of a cluster by this writer, without outcomes.
pub fn seal_by(cluster: ClusterId, view: ViewId, standing: Standing, last_active: Option<ViewId>) -> Message {
    Message::Seal(Seal { cluster, view, standing, last_active, outcomes: Vec::new() })
}

/// The view of this number, as the first run of the coordinator announces it.
pub fn view_id(number: u64) -> ViewId {
    ViewId { number: ViewNumber(number), writer: Writer { run: Incarnation(1), node: COORDINATOR } }
}
