//! Views are agreed (Oki and Liskov 1988): who takes itself for a member, or a learner, of an active view is one, and the view is
//! one that the control store made active. That each view takes only members of the last one, and learners of it that hold all
//! records, the ledger sees as it happens.

use skein_protocol::id::{NodeId, ViewNumber};
use skein_protocol::membership::view::Standing;

use super::Violation;
use crate::simulation::ledger::Ledger;

/// What a worker says of its view.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stance {
    pub(crate) node: NodeId,
    pub(crate) view: ViewNumber,
    pub(crate) active: bool,
    /// What it takes itself for.
    pub(crate) standing: Option<Standing>,
    /// Whether it belongs to this cluster, if to any.
    pub(crate) ours: bool,
}

pub(crate) fn check(stances: &[Stance], ledger: &Ledger) -> Result<(), Violation> {
    for stance in stances {
        let active = ledger.views.iter().find(|active| active.view.number == stance.view);
        let agreed = !stance.active
            || active.is_some_and(|active| match stance.standing {
                Some(Standing::Member) => active.view.members().contains(&stance.node),
                Some(Standing::Learner) => active.view.learners().contains(&stance.node),
                None => false,
            });
        if !agreed || !stance.ours {
            return Err(Violation::new("views", format!("{stance:?} is in no agreed view")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use skein_protocol::id::Writer;
    use skein_protocol::membership::view::{ActiveView, Member, Shard, View};

    #[test]
    fn a_worker_in_a_view_of_its_own_is_found() {
        let member = |node| Member { node: NodeId(node), address: String::new(), logged: true };
        let view = View {
            number: ViewNumber(3),
            writer: Writer::UNKNOWN,
            shards: vec![Shard { members: vec![member(1)], learners: vec![member(5)] }],
        };
        let ledger = Ledger { views: vec![ActiveView { view, outcomes: Vec::new(), ended: Vec::new() }], ..Ledger::default() };
        let sound = Stance { node: NodeId(1), view: ViewNumber(3), active: true, standing: Some(Standing::Member), ours: true };
        let learner = Stance { node: NodeId(5), standing: Some(Standing::Learner), ..sound };
        assert_eq!(check(&[sound, learner, Stance { view: ViewNumber(4), active: false, ..sound }], &ledger), Ok(()));
        let wrong = [
            Stance { view: ViewNumber(4), ..sound },
            Stance { node: NodeId(2), ..sound },
            Stance { ours: false, ..sound },
            Stance { standing: Some(Standing::Learner), ..sound },
            Stance { standing: Some(Standing::Member), ..learner },
            Stance { standing: None, ..sound },
        ];
        for wrong in wrong {
            assert_eq!(check(&[wrong], &ledger).unwrap_err().property, "views");
        }
    }
}
