//! Trials in which something is held back that the cluster must do without: one member's answer to a comparison of the replicas, until
//! the next comparison is under way, and all that records how transactions ended, while a client waits to be told and the window
//! is small. The first must not be taken for an answer to the second comparison; the second must not stop writes for good.

use skein_protocol::id::NodeId;
use skein_protocol::message::{Message, ReadResult};
use skein_protocol::operation::{Answer, Digest};
use skein_protocol::step::Reply;

use super::checks::Violation;
use super::faults::Sight;
use super::node::Slot;
use super::phases::ANSWER_MAX;
use super::queue::{MS, SECOND, Time};
use super::world::World;

/// Milliseconds between two rounds of a coordinator's housekeeping.
const SWEEP_MS: u64 = 250;

/// Within this clients have filled a small window.
const FILLED_MAX: Time = 30 * SECOND;

/// A full window ends its view after three seconds; within this writes go on.
const UNSTUCK_MAX: Time = 8 * SECOND;

/// Calls that clients make meanwhile, at the most.
const CALLS: u32 = 600;

/// A member whose answer to a comparison comes late.
#[derive(Debug)]
pub(crate) struct LateDigest {
    slot: Slot,
    answer: Option<Message>,
    /// Once it was let go: whether its digest was another one than that of the next comparison, to which it came.
    differed: Option<bool>,
}

fn digest(message: &Message) -> Option<Digest> {
    match message {
        Message::Answered { result: ReadResult::Found(Answer::Digest(digest)), .. } => Some(*digest),
        _ => None,
    }
}

impl World {
    /// What of this leaves now: not the first digest of a member that answers late, which leaves just before its second one. A worker
    /// answers when it can, and a digest waits for whatever it must wait for, so no order is broken by that.
    pub(super) fn withhold(&mut self, slot: Slot, to: NodeId, message: Message) -> Option<Message> {
        let leader = self.nodes[self.leader()].id;
        let (Some(late), Some(found)) = (&mut self.late_digest, digest(&message)) else { return Some(message) };
        if late.slot != slot || to != leader || late.differed.is_some() {
            return Some(message);
        }
        let Some(first) = late.answer.take() else {
            late.answer = Some(message);
            self.say(slot, "fault", "", || "its digest is held back".into());
            return None;
        };
        late.differed = Some(digest(&first) != Some(found));
        self.transmit(slot, to, first);
        Some(message)
    }

    /// The digest of one member comes when the next comparison is under way, and clients have written in between. No copy may be taken
    /// for a bad one, which the checks look at whenever one is.
    pub(super) fn answers_late(&mut self, slot: Slot) -> Result<(), Violation> {
        let view = self.view_number();
        let deadline = (u64::from(self.plan.request_sweeps) + 1) * SWEEP_MS * MS;
        let comparison = self.plan.compare_ms * MS + ANSWER_MAX;
        let calls_max = std::mem::take(&mut self.calls_max);
        self.late_digest = Some(LateDigest { slot, answer: None, differed: None });
        self.until(self.now + comparison, |world| world.late_digest.as_ref().is_some_and(|late| late.answer.is_some()));
        self.calls_max = calls_max;
        self.wake_clients();
        let differed = |world: &World| world.late_digest.as_ref().and_then(|late| late.differed);
        self.until(self.now + deadline + comparison, |world| differed(world).is_some());
        let differed = differed(self) == Some(true);
        let compared = |world: &World| {
            world.nodes[world.leader()].coordinator().map_or(0, |coordinator| coordinator.status().comparison.compared)
        };
        let before = compared(self);
        self.until(self.now + ANSWER_MAX, |world| compared(world) > before);
        self.late_digest = None;
        if compared(self) == before && self.violation.is_none() {
            return Err(Violation::new("convergence", "no comparison comes to its end after one of which an answer was late"));
        }
        if differed && self.view_number() == view {
            self.coverage.saw(Sight::DigestLate);
        }
        Ok(())
    }

    /// A client is not told in time how its transaction ends, and nothing is recorded: the window fills behind that, and the view must
    /// end, since its record takes over what was to be recorded. Writes go on within a bound.
    pub(super) fn is_not_recorded(&mut self, slot: Slot) -> Result<(), Violation> {
        self.recorder.withheld = true;
        let (leader, first) = (self.leader(), self.oracle.calls.len());
        self.calls_max = self.oracle.next() + CALLS;
        self.say(slot, "fault", "", || "its votes are late, and nothing is recorded".into());
        // Shorter than the silence of a dead connection, and than a doubt.
        self.block(leader, slot, [false, true]);
        let in_doubt =
            |world: &World| world.oracle.calls[first..].iter().any(|call| matches!(call.reply, Some(Reply::Unknown { .. })));
        self.until(self.now + (u64::from(self.plan.request_sweeps) + 1) * SWEEP_MS * MS, in_doubt);
        self.unblock(leader, slot);
        let stalled = |world: &World| world.nodes[leader].coordinator().is_some_and(|it| it.status().stalled);
        self.until(self.now + FILLED_MAX, |world| stalled(world) || world.oracle.next() >= world.calls_max);
        if stalled(self) {
            self.coverage.saw(Sight::RecordingStalled);
            self.say(leader, "fault", "", || "the window is full".into());
            let begun = self.now;
            let later = self.oracle.calls.len();
            self.calls_max = self.oracle.next() + CALLS;
            self.wake_clients();
            let goes_on = move |world: &World| {
                let decided = |reply: &Option<Reply>| matches!(reply, Some(Reply::Committed { .. } | Reply::Aborted { .. }));
                !stalled(world) && world.oracle.calls[later..].iter().any(|call| decided(&call.reply))
            };
            self.until(begun + UNSTUCK_MAX, goes_on);
            if !goes_on(self) && self.violation.is_none() {
                let detail = format!("{} s after the window was full writes have not gone on", UNSTUCK_MAX / SECOND);
                return Err(Violation::new("healing", detail));
            }
        }
        self.recorder.withheld = false;
        self.recover()
    }
}
