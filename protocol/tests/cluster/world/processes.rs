//! What happens to processes and their disks: they stop and start, other machines take their places, logs are lost, put back to
//! what they were or accepted though a part is missing, and records rot in memory.

use super::*;

/// One worker or several, to which the same happens at once.
pub trait Nodes {
    fn each(self) -> Vec<NodeId>;
}

impl Nodes for NodeId {
    fn each(self) -> Vec<NodeId> {
        vec![self]
    }
}

impl Nodes for Vec<NodeId> {
    fn each(self) -> Vec<NodeId> {
        self
    }
}

impl<const COUNT: usize> Nodes for [NodeId; COUNT] {
    fn each(self) -> Vec<NodeId> {
        self.into()
    }
}

impl World {
    /// Workers end; their logs stay.
    pub fn stop(&mut self, nodes: impl Nodes) {
        for node in nodes.each() {
            let (_, log) = self.workers.remove(&node).expect("it runs");
            self.logs.insert(node, log);
            for coordinator in [COORDINATOR, RIVAL] {
                self.input(coordinator, Input::Disconnected { node });
            }
        }
        self.settle();
    }

    /// Workers end and are not back within the grace: the view goes on without them, if it can.
    pub fn stop_past_grace(&mut self, nodes: impl Nodes) {
        self.stop(nodes);
        self.view_change_times_out();
    }

    /// Workers that were stopped start with their logs.
    pub fn restart(&mut self, nodes: impl Nodes) {
        for node in nodes.each() {
            let log = self.logs.remove(&node).expect("it was stopped");
            let address = self.addresses[&node].clone();
            self.begin(node, &address, log);
        }
        self.settle();
    }

    /// A new machine, which holds nothing, is started at its usual address.
    pub fn start(&mut self, node: NodeId) {
        self.start_at(node, &address_of(node));
    }

    /// A new machine, which holds nothing, is started at this address.
    pub fn start_at(&mut self, node: NodeId, address: &str) {
        self.begin(node, address, Snapshot::new(node));
        self.settle();
    }

    /// A worker starts with a log that it has from elsewhere.
    pub fn start_with_log(&mut self, node: NodeId, log: Snapshot) {
        self.begin(node, &address_of(node), log);
        self.settle();
    }

    /// A new machine, which holds nothing, answers at the address of another one.
    pub fn replace(&mut self, old: NodeId, new: NodeId) {
        let address = self.addresses[&old].clone();
        self.start_at(new, &address);
    }

    pub(super) fn begin(&mut self, node: NodeId, address: &str, log: Snapshot) {
        self.addresses.insert(node, address.to_owned());
        self.workers.insert(node, (Worker::recover(worker_config(&self.setup), log.clone()), log));
        self.input(node, Input::Start);
        if self.coordinator_runs {
            self.link(node, COORDINATOR);
        }
    }

    /// The disks of workers that are stopped are gone.
    pub fn lose_log_of(&mut self, nodes: impl Nodes) {
        for node in nodes.each() {
            self.logs.remove(&node).expect("it was stopped");
        }
    }

    /// What the log of a worker adds up to at this moment.
    pub fn log_of(&self, node: NodeId) -> Snapshot {
        self.workers.get(&node).map(|(_, log)| log).unwrap_or_else(|| &self.logs[&node]).clone()
    }

    /// The log of a worker that is stopped is put back to what it was once.
    pub fn put_back(&mut self, node: NodeId, log: Snapshot) {
        *self.log_on_disk(node) = log;
    }

    /// The log of a worker that is stopped, for other hands to change.
    pub fn log_on_disk(&mut self, node: NodeId) -> &mut Snapshot {
        self.logs.get_mut(&node).expect("it was stopped")
    }

    /// A person has decided that a worker starts with what its log still has.
    pub fn accept_incomplete_log_of(&mut self, node: NodeId) {
        self.log_on_disk(node).salvaged = true;
    }

    /// A machine is put back as a whole to what it was a moment ago, its connections with it.
    pub fn put_back_machine(&mut self, node: NodeId, machine: (Worker, Snapshot)) {
        self.workers.insert(node, machine);
    }

    /// A record is not what was written any more, and its checksum shows it.
    pub fn rot(&mut self, node: NodeId, name: &str) {
        self.corrupt(node, name, false);
    }

    /// A record is another one than what was written, and its checksum fits.
    pub fn forge(&mut self, node: NodeId, name: &str) {
        self.corrupt(node, name, true);
    }

    fn corrupt(&mut self, node: NodeId, name: &str, unseen: bool) {
        let (worker, log) = self.workers.get_mut(&node).expect("it runs");
        assert!(worker.corrupt(&key(name), unseen));
        // The world holds memory and log against each other, which differ now.
        log.records.clone_from(worker.records());
    }

    /// A worker has so much memory from now on.
    pub fn give_memory(&mut self, node: NodeId, memory_bytes_max: u64) {
        let (worker, log) = self.workers.get_mut(&node).expect("it runs");
        *worker = Worker::recover(WorkerConfig { memory_bytes_max, ..worker_config(&self.setup) }, log.clone());
        let view = self.active_view();
        self.hear(node, COORDINATOR, Message::Activate { view, outcomes: Vec::new() });
    }

    /// The coordinator ends. Nothing that was under way to it arrives.
    pub fn stop_coordinator(&mut self) {
        self.coordinator_runs = false;
        self.network.forget(COORDINATOR);
        self.swaps = 0;
        for node in self.workers.keys().copied().collect::<Vec<_>>() {
            self.input(node, Input::Disconnected { node: COORDINATOR });
        }
        self.settle();
    }

    /// The next run of the coordinator starts, and reaches all workers that are there.
    pub fn start_coordinator(&mut self) {
        let all: Vec<NodeId> = self.workers.keys().copied().collect();
        self.start_coordinator_reaching(&all);
    }

    /// One run of the coordinator ends, and the next one starts.
    pub fn restart_coordinator(&mut self) {
        self.stop_coordinator();
        self.start_coordinator();
    }

    /// The next run of the coordinator starts, and reaches these workers alone.
    pub fn start_coordinator_reaching(&mut self, nodes: &[NodeId]) {
        assert!(!self.coordinator_runs, "it has been stopped");
        self.coordinator_runs = true;
        self.run += 1;
        let config = coordinator_config(self.run, &self.named, self.control.clone(), &self.setup);
        self.coordinator = Coordinator::new(config);
        self.input(COORDINATOR, Input::Start);
        nodes.iter().for_each(|node| self.link(*node, COORDINATOR));
        self.settle();
    }

    /// The settings of the next run of the coordinator name these workers.
    pub fn name_workers(&mut self, workers: &[&str]) {
        self.named = workers.iter().map(ToString::to_string).collect();
    }

    /// The control store is put back to what it once held.
    pub fn put_back_control_store(&mut self, record: Option<ViewRecord>) {
        assert!(!self.coordinator_runs, "it has been stopped");
        self.control = record;
    }

    /// From now on the control store answers only when the story says so.
    pub fn slow_down_swaps(&mut self) {
        self.slow_swaps = true;
    }

    /// The control store answers at once again, what has waited first.
    pub fn speed_up_swaps(&mut self) {
        self.slow_swaps = false;
        while self.swap_answered() {}
    }

    /// The control store answers the next swap that waits. Gives whether there was one.
    pub fn swap_answered(&mut self) -> bool {
        let Some(swaps) = self.swaps.checked_sub(1) else { return false };
        self.swaps = swaps;
        self.input(COORDINATOR, Input::Swapped(Swapped::Done));
        self.settle();
        true
    }
}
