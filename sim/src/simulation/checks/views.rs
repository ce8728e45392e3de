//! Views are agreed (Oki and Liskov 1988): who takes itself for a member, or a learner, of an active view is one, and the view is
//! one that the control store made active. That each view takes only members of the last one, and learners of it that hold all
//! records, the ledger sees as it happens.

use skein_protocol::id::{NodeId, ViewNumber};
use skein_protocol::membership::view::Standing as What;

use super::Violation;
use crate::simulation::ledger::Ledger;

/// How a worker stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Standing {
    pub(crate) node: NodeId,
    pub(crate) view: ViewNumber,
    pub(crate) active: bool,
    /// What it takes itself for.
    pub(crate) what: Option<What>,
    /// Whether it belongs to this cluster, if to any.
    pub(crate) ours: bool,
}

pub(crate) fn check(standings: &[Standing], ledger: &Ledger) -> Result<(), Violation> {
    for standing in standings {
        let active = ledger.views.iter().find(|active| active.view.number == standing.view);
        let agreed = !standing.active
            || active.is_some_and(|active| match standing.what {
                Some(What::Member) => active.view.members().contains(&standing.node),
                Some(What::Learner) => active.view.learners().contains(&standing.node),
                None => false,
            });
        if !agreed || !standing.ours {
            return Err(Violation::new("views", format!("{standing:?} is in no agreed view")));
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
        let sound = Standing { node: NodeId(1), view: ViewNumber(3), active: true, what: Some(What::Member), ours: true };
        let learner = Standing { node: NodeId(5), what: Some(What::Learner), ..sound };
        assert_eq!(check(&[sound, learner, Standing { view: ViewNumber(4), active: false, ..sound }], &ledger), Ok(()));
        let wrong = [
            Standing { view: ViewNumber(4), ..sound },
            Standing { node: NodeId(2), ..sound },
            Standing { ours: false, ..sound },
            Standing { what: Some(What::Learner), ..sound },
            Standing { what: Some(What::Member), ..learner },
            Standing { what: None, ..sound },
        ];
        for wrong in wrong {
            assert_eq!(check(&[wrong], &ledger).unwrap_err().property, "views");
        }
    }
}
