//! What the core costs: one write through a coordinator and three workers, with everything that the machines do for it but
//! without sockets, disk or clock; and one read. The machines are joined by queues.

use std::collections::VecDeque;
use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use skein_protocol::id::{ClusterId, Incarnation, NodeId, RequestId};
use skein_protocol::node::coordinator::{Coordinator, CoordinatorConfig};
use skein_protocol::node::worker::{Worker, WorkerConfig};
use skein_protocol::operation::{Action, Consistency, Expect, Key, Operation, Query, TableId};
use skein_protocol::record::Snapshot;
use skein_protocol::step::{Input, Machine, Output, Peer, Reply, Request, Role, Swapped};

const COORDINATOR: NodeId = NodeId(100);
const WORKERS: u128 = 3;

/// A cluster without anything around it.
struct World {
    coordinator: Coordinator,
    workers: Vec<Worker>,
    queue: VecDeque<(NodeId, Input)>,
    outputs: Vec<Output>,
    reply: Option<Reply>,
    requests: u64,
}

impl World {
    fn new() -> Self {
        let addresses = (1..=WORKERS).map(|number| number.to_string()).collect();
        let config = CoordinatorConfig::new(COORDINATOR, Incarnation(1), ClusterId(7), addresses, None);
        let worker = |number| {
            let config = WorkerConfig { memory_bytes_max: 1 << 40, ..WorkerConfig::default() };
            Worker::recover(config, Snapshot::new(NodeId(number)))
        };
        let mut world = World {
            coordinator: Coordinator::new(config),
            workers: (1..=WORKERS).map(worker).collect(),
            queue: VecDeque::new(),
            outputs: Vec::new(),
            reply: None,
            requests: 0,
        };
        world.queue.push_back((COORDINATOR, Input::Start));
        for number in 1..=WORKERS {
            let (node, address) = (NodeId(number), number.to_string());
            let worker = Peer { node, role: Role::Worker, address, cluster: None, logged: true };
            let coordinator =
                Peer { node: COORDINATOR, role: Role::Coordinator, address: String::new(), cluster: None, logged: true };
            world.queue.push_back((node, Input::Start));
            world.queue.push_back((node, Input::Connected(coordinator)));
            world.queue.push_back((COORDINATOR, Input::Connected(worker)));
        }
        world.run();
        world
    }

    fn run(&mut self) {
        while let Some((node, input)) = self.queue.pop_front() {
            let place = usize::try_from(node.0).expect("small").wrapping_sub(1);
            match self.workers.get_mut(place) {
                Some(worker) => worker.handle(input, &mut self.outputs),
                None => self.coordinator.handle(input, &mut self.outputs),
            }
            for output in self.outputs.drain(..) {
                match output {
                    Output::Send { to, message } => self.queue.push_back((to, Input::Message { from: node, message })),
                    Output::Persist(_) => self.queue.push_back((node, Input::Persisted { records: 1 })),
                    Output::Swap { .. } => self.queue.push_back((node, Input::Swapped(Swapped::Done))),
                    Output::Reply { reply, .. } => self.reply = Some(reply),
                    Output::SetTimer { .. } | Output::CancelTimer(_) | Output::Publish(_) | Output::Halt(_) => {}
                }
            }
        }
    }

    fn ask(&mut self, request: Request) -> Reply {
        self.requests += 1;
        self.queue.push_back((COORDINATOR, Input::Request { id: RequestId(self.requests), request }));
        self.run();
        self.reply.take().expect("every request has a reply")
    }

    fn post(&mut self, number: u64) -> Reply {
        let action = Action::Put(vec![b'x'; 200].into());
        let key = Key::new(TableId(1), (u128::from(number) << 64).to_be_bytes().as_slice());
        let operations = vec![Operation { key, expect: Expect::Absent, action }];
        self.ask(Request::Commit { operations, clock: number, trace: None })
    }
}

fn core(criterion: &mut Criterion) {
    let mut world = World::new();
    let mut number = 0;
    criterion.bench_function("core/write, coordinator and 3 workers", |bench| {
        bench.iter(|| {
            number += 1;
            let reply = world.post(number);
            assert!(matches!(reply, Reply::Committed { .. }), "{reply:?}");
        });
    });
    criterion.bench_function("core/read of one key", |bench| {
        bench.iter(|| {
            let keys = vec![Key::new(TableId(1), (1_u128 << 64).to_be_bytes().as_slice())];
            let request = Request::Read { query: Query::Keys(keys), consistency: Consistency::Arrival, clock: 1, trace: None };
            black_box(world.ask(request))
        });
    });
}

criterion_group!(benches, core);
criterion_main!(benches);
