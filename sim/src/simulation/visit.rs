//! A visit: in calm, an operator starts a coordinator from a copy of the control store by mistake, and it dies before it leads. It has a
//! later run than the leader and reaches all workers but one, so it waits for that one. Nothing may come of it: the leader goes on in
//! the same view. In some runs it is started again afterwards, in the same run as the visitor had, and must lead then as well.

use skein_protocol::step::Role;

use super::checks::Violation;
use super::faults::Sight;
use super::network::SILENCE;
use super::node::Node;
use super::phases::ANSWER_MAX;
use super::queue::{MS, SECOND, Time};
use super::world::World;

/// How long the visitor lives, at the most: less than the shortest grace of a start.
const LIVES_MAX: Time = 800 * MS;

/// For so long it is watched that nothing comes of it: longer than a worker may take to notice that the visitor is dead.
const WATCHED: Time = SILENCE + SECOND;

/// Within this a leader that was started again has a view.
const LEADS_WITHIN: Time = 20 * SECOND;

impl World {
    pub(super) fn visit(&mut self) -> Result<(), Violation> {
        if !self.plan.visit || self.plan.crowd.is_some() || !self.hung_for_good.is_empty() {
            return Ok(());
        }
        self.calls_max = 0;
        self.until(self.now + ANSWER_MAX, |world| world.calls_under_way() == 0);
        let mut random = self.random.sub("a visit");
        let (leader, visitor, view) = (self.leader(), self.nodes.len(), self.view_number());
        self.nodes.push(Node::new(Role::Coordinator, "v".into()));
        self.rivalry.begin(visitor, self.control.copy());
        let unreached = random.index(self.plan.logged.len());
        self.block(visitor, unreached, [true, true]);
        self.start(visitor);
        self.until(self.now + random.between(LIVES_MAX / 4, LIVES_MAX), |_| false);
        if !self.nodes[visitor].peers.is_empty() {
            self.coverage.saw(Sight::Visited);
        }
        self.crash(visitor);
        let halts = self.rivalry.end();
        if let Some(halt) = halts.get(&leader) {
            return Err(Violation::new("leaders", format!("the leader has ended ({halt:?}) for one that has not led")));
        }
        self.until(self.now + WATCHED, |_| false);
        if self.violation.is_none() && self.view_number() != view {
            return Err(Violation::new("leaders", format!("view {view} has ended for a coordinator that has not led")));
        }
        if random.chance(500) {
            self.crash(leader);
            self.start(leader);
            self.until(self.now + LEADS_WITHIN, |world| world.view_number() > view && world.is_steady());
            return self.recover();
        }
        Ok(())
    }
}
