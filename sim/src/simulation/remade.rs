//! At the end of some runs: a record is made and deleted under a clock that runs ahead, while one worker is away. That worker comes
//! back, copies what the others hold, and is then the only member, under a new coordinator whose clock is right again. When the record
//! is made again it must get a greater version than before, though no record of that age is left: the greatest age is copied as well.

use skein_protocol::operation::{Action, Expect, Key, Operation};
use skein_protocol::step::{Reply, Request};

use super::checks::Violation;
use super::faults::Sight;
use super::node::Slot;
use super::phases::ANSWER_MAX;
use super::queue::{SECOND, Time};
use super::workload::REGISTERS;
use super::world::World;

/// How far the clock runs ahead, in microseconds.
const AHEAD: i64 = 3_600_000_000;

/// How often the record is made and deleted.
const TIMES: u32 = 8;

/// Within this a worker has left or is a member, with the grace and the copy.
const WITHIN: Time = 30 * SECOND;

impl World {
    pub(super) fn makes_again(&mut self) -> Result<(), Violation> {
        let members = self.members();
        let last = self.plan.witness || self.plan.epilogue.is_some() || self.plan.afterwards.is_some() || self.plan.guest;
        let all_keep = self.workers().all(|slot| members.contains(&slot) && self.keeps(slot));
        if !self.plan.makes_again || last || !all_keep {
            return Ok(());
        }
        self.calls_max = 0;
        self.until(self.now + ANSWER_MAX, |world| world.calls_under_way() == 0);
        let away = members[self.random.index(members.len())];
        self.crash(away);
        self.until(self.now + WITHIN, |world| world.is_steady() && !world.members().contains(&away));
        self.clock_skew += AHEAD;
        let key = Key::new(REGISTERS, "made again");
        let mut greatest = None;
        for _ in 0..TIMES {
            greatest = greatest.max(self.write(&key, Action::Put("once".into())));
            self.write(&key, Action::Delete);
        }
        self.clock_skew -= 2 * AHEAD;
        self.start(away);
        self.until(self.now + WITHIN, |world| world.is_steady() && world.members().contains(&away));
        // Nobody else is left who knows how late it was, before anything is asked.
        let others: Vec<Slot> = (0..=self.leader()).filter(|slot| *slot != away).collect();
        others.iter().for_each(|slot| self.crash(*slot));
        self.start(self.leader());
        self.until(self.now + WITHIN, |world| world.is_steady() && world.members() == [away]);
        let again = self.write(&key, Action::Put("again".into()));
        if let (Some(before), Some(after)) = (greatest, again) {
            if after <= before {
                let detail = format!("{key:?} had version {before}, and was made again with version {after}");
                return Err(Violation::new("versions", detail));
            }
            self.coverage.saw(Sight::MadeAgain);
        }
        Ok(())
    }

    /// Writes a record, and gives its version.
    fn write(&mut self, key: &Key, action: Action) -> Option<u64> {
        let operations = vec![Operation { key: key.clone(), expect: Expect::Any, action }];
        match self.inquire(Request::Commit { operations, clock: self.clock(), trace: None }) {
            Some(Reply::Committed { versions, .. }) => versions.first().map(|version| version.0),
            _ => None,
        }
    }
}
