//! Views are agreed (Oki and Liskov 1988): who takes itself for active in a view is a member of that view, and the view is
//! one that the control store made active. That each view takes members of the last one only the ledger sees as it happens.

use skein_protocol::id::{NodeId, ViewNumber};

use super::Violation;
use crate::simulation::ledger::Ledger;

/// How a worker stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Standing {
    pub(crate) node: NodeId,
    pub(crate) view: ViewNumber,
    pub(crate) active: bool,
    /// Whether it belongs to this cluster, if to any.
    pub(crate) ours: bool,
}

pub(crate) fn check(standings: &[Standing], ledger: &Ledger) -> Result<(), Violation> {
    for standing in standings {
        let active = ledger.views.iter().find(|active| active.view.number == standing.view);
        let agreed = !standing.active || active.is_some_and(|active| active.view.members().contains(&standing.node));
        if !agreed || !standing.ours {
            return Err(Violation::new("views", format!("{standing:?} is in no agreed view")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use skein_protocol::membership::view::{ActiveView, Member, Shard, View};

    #[test]
    fn a_worker_in_a_view_of_its_own_is_found() {
        let member = Member { node: NodeId(1), address: String::new(), logged: true };
        let view = View { number: ViewNumber(3), shards: vec![Shard { members: vec![member], learners: vec![] }] };
        let ledger = Ledger { views: vec![ActiveView { view, outcomes: Vec::new(), ended: Vec::new() }], ..Ledger::default() };
        let sound = Standing { node: NodeId(1), view: ViewNumber(3), active: true, ours: true };
        assert_eq!(check(&[sound, Standing { view: ViewNumber(4), active: false, ..sound }], &ledger), Ok(()));
        for wrong in
            [Standing { view: ViewNumber(4), ..sound }, Standing { node: NodeId(2), ..sound }, Standing { ours: false, ..sound }]
        {
            assert_eq!(check(&[wrong], &ledger).unwrap_err().property, "views");
        }
    }
}
