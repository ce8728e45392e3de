//! What a story looks at when it has been told, and what must hold after each step of it.

use skein_protocol::invariant;
use skein_protocol::membership::view::View;
use skein_protocol::step::ComparisonStatus;

use super::*;

impl World {
    /// Whether the coordinator serves reads and writes.
    pub fn serves(&self) -> bool {
        self.coordinator.status().serving
    }

    fn view(&self) -> &View {
        &self.record().active.as_ref().expect("a view is active").view
    }

    /// What stands in the control store.
    pub fn record(&self) -> &ViewRecord {
        self.control.as_ref().expect("something stands in the control store")
    }

    /// The members of the active view.
    pub fn members(&self) -> Vec<NodeId> {
        self.view().members()
    }

    /// The learners of the active view.
    pub fn learners(&self) -> Vec<NodeId> {
        self.view().learners()
    }

    /// The number of the active view.
    pub fn active_view(&self) -> ViewNumber {
        self.view().number
    }

    /// The number of the last view that was begun, active or not.
    pub fn last_view(&self) -> ViewNumber {
        self.record().number()
    }

    pub fn comparison(&self) -> ComparisonStatus {
        self.coordinator.status().comparison
    }

    /// How many differences were found and repaired, and whether one of them waits for a person.
    pub fn differences(&self) -> (u64, u64, bool) {
        let status = self.comparison();
        (status.differences, status.repaired, status.undecided)
    }

    pub fn worker(&self, node: NodeId) -> &Worker {
        &self.workers[&node].0
    }

    /// The names of the records that a worker holds.
    pub fn names_at(&self, node: NodeId) -> Vec<String> {
        self.worker(node).records().keys().map(|key| String::from_utf8(key.bytes.to_vec()).unwrap()).collect()
    }

    /// How many records a worker holds.
    pub fn records_at(&self, node: NodeId) -> usize {
        self.worker(node).records().len()
    }

    /// The value that a worker holds.
    pub fn value_at(&self, node: NodeId, name: &str) -> String {
        String::from_utf8(self.worker(node).records()[&key(name)].value.to_vec()).unwrap()
    }

    /// Whether a worker's log has this record as it was written.
    pub fn is_intact_at(&self, node: NodeId, name: &str) -> bool {
        self.workers[&node].1.records.get(&key(name)).is_some_and(|stored| stored.is_intact(&key(name)))
    }

    /// Whether all workers sum up their records to the same.
    pub fn replicas_agree(&mut self) -> bool {
        let id = self.ask(Request::Digests);
        let Some(Reply::Digests { digests, .. }) = self.replies.remove(&id) else { panic!("no digests") };
        assert_eq!(digests.len(), self.workers.len());
        digests.iter().all(|(_, digest)| *digest == digests[0].1)
    }

    /// Whether no worker remembers an outcome, neither in memory nor in its log.
    pub fn nothing_is_remembered(&self) -> bool {
        self.workers.values().all(|(worker, log)| worker.decided().is_empty() && log.decided.is_empty())
    }

    pub(super) fn assert_invariants_of(&self, node: NodeId) {
        let of_all = invariant::of_members(self.workers.values().map(|(worker, _)| worker));
        let broken: Vec<&str> = self.worker(node).violations().into_iter().chain(of_all).collect();
        assert!(broken.is_empty(), "{node:?} breaks {broken:?}");
    }

    pub(super) fn assert_logs_hold_the_same(&self) {
        for (worker, log) in self.workers.values() {
            assert_eq!(worker.records(), &log.records, "memory and log hold the same");
            assert_eq!(worker.decided(), &log.decided);
        }
    }
}
