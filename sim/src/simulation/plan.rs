//! What a seed decides before a run begins: the size of the cluster, how fast it is, which workloads run and which faults
//! may happen how often. Each run has its own mix (swarm testing, Groce et al. 2012), because a fault that is always there
//! hides what only its absence would show. A field that is added draws from a sub-stream of its own ([`Random::sub`]), so
//! that seeds keep their meaning.

use skein_protocol::limits::{self, Limits};

use super::afterwards::Afterwards;
use super::crowd::Crowd;
use super::epilogue::Epilogue;
use super::faults::FaultKind;
use super::queue::{MS, SECOND, Time};
use super::random::Random;
use super::trial::Trial;
use super::workload::Weights;

/// More memory than any run takes.
const UNBOUNDED: u64 = 1 << 30;

/// A run's settings.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// Whether short messages overtake long ones on every connection, and not only on slow ones.
    pub(crate) lanes: bool,
    /// Very many readers, once the faults have ended.
    pub(crate) crowd: Option<Crowd>,
    /// For each worker, whether it has a log.
    pub(crate) logged: Vec<bool>,
    pub(crate) clients: usize,
    /// Whether a second coordinator runs transactions, so that they meet at the workers.
    pub(crate) guest: bool,
    /// Calls before the faults end, and after.
    pub(crate) calls_in_danger: u32,
    pub(crate) calls_in_calm: u32,
    pub(crate) latency: (Time, Time),
    pub(crate) sync: (Time, Time),
    pub(crate) swap: (Time, Time),
    /// A client's pause between two calls, at the most.
    pub(crate) think: Time,
    pub(crate) grace_ms: u64,
    pub(crate) start_grace_ms: u64,
    pub(crate) answer_ms: u64,
    pub(crate) memory_bytes_max: u64,
    /// What the machines hold at once, and whether some of it is drawn small.
    pub(crate) limits: Limits,
    pub(crate) tight: bool,
    pub(crate) weights: Weights,
    /// How often each kind of fault is chosen among all; 0 for those that never happen in this run.
    pub(crate) faults: [u64; FaultKind::COUNT],
    /// The average time between two faults.
    pub(crate) fault_interval: Time,
    /// The average number of steps between two crashes or cuts in the middle of a step; `None` for never.
    pub(crate) point_interval: Option<u64>,
    /// How often in a thousand a message on which much depends is lost, or the last that its sender sends.
    pub(crate) aim: u64,
    /// Whether the member that shows that another one was put back dies as soon as it has, under a new coordinator.
    pub(crate) witness_dies: bool,
    /// Whether a disk hangs for good when all other faults end.
    pub(crate) hang_disk: bool,
    /// What an operator does, or has to mend, at the very end.
    pub(crate) epilogue: Option<Epilogue>,
    /// Whether it is recorded how transactions ended that somebody may still ask for. Not with a second coordinator, which only the
    /// simulation has: its clients can't ask anybody later.
    pub(crate) records: bool,
    /// How often it is looked whether there is something to be recorded.
    pub(crate) record_every: Time,
    /// Milliseconds between two comparisons of the replicas.
    pub(crate) compare_ms: u64,
    /// Transactions of one coordinator that workers can't forget yet, at the most.
    pub(crate) window: usize,
    /// Rounds of housekeeping that clients wait.
    pub(crate) request_sweeps: u8,
    /// Beats in a row that a worker may leave unanswered.
    pub(crate) misses_max: u8,
    /// What goes wrong in calm.
    pub(crate) trial: Option<Trial>,
    /// Whether the first seal of a learner after all faults is lost with its connection, where beats don't show it.
    pub(crate) lose_seal: bool,
    /// Whether a chunk of a copy after all faults is lost with its connection.
    pub(crate) lose_chunk: bool,
    /// When all logs are synced at an interval, and votes leave before that: the interval.
    pub(crate) sync_every: Option<Time>,
    /// Whether a coordinator that starts may name its workers otherwise than the one before.
    pub(crate) renames: bool,
    /// What happens to the cluster once all else has been looked at.
    pub(crate) afterwards: Option<Afterwards>,
    /// Whether a record that is another one is copied on, at the very end.
    pub(crate) witness: bool,
    /// Whether a record is made again under a clock that was set back, at the very end.
    pub(crate) makes_again: bool,
    /// Whether a second leader is started from a copy of the control store.
    pub(crate) second_leader: bool,
    /// Whether a coordinator of a later run comes and goes without having led.
    pub(crate) visit: bool,
}

impl Plan {
    /// The plan of a seed with about so many calls.
    pub(crate) fn draw(random: &mut Random, calls: u32) -> Self {
        let workers = usize::try_from(random.pick(&[2, 2, 3, 3, 4, 5])).expect("a few");
        let logged = match random.below(10) {
            0..7 => vec![true; workers],
            7..9 => vec![false; workers],
            _ => (0..workers).map(|_| random.chance(500)).collect(),
        };
        let quiet = random.chance(30);
        let faults = if quiet { [0; FaultKind::COUNT] } else { FaultKind::draw(random) };
        let base = random.magnitude(20, 2_000);
        let sync = random.magnitude(10, 8_000);
        let calm = calls / 6;
        let guest = random.chance(400);
        let mut interval = random.sub("sync interval");
        let all_logged = logged.iter().all(|logged| *logged);
        let sync_every = (all_logged && interval.chance(100)).then(|| interval.magnitude(MS, SECOND));
        let mut end = random.sub("epilogue");
        let later_epilogue = end.chance(150).then(|| Epilogue::draw(&mut end, &logged));
        let memory_bytes_max = if random.chance(100) { random.between(4_000, 12_000) } else { UNBOUNDED };
        let mut plan = Plan {
            clients: usize::try_from(random.magnitude(2, 24)).expect("a few"),
            guest,
            calls_in_danger: calls - calm,
            calls_in_calm: calm,
            latency: (base, base * random.between(2, 6)),
            sync: (sync, sync * random.between(2, 6)),
            swap: (100, random.magnitude(200, 50 * MS)),
            think: random.magnitude(MS, 256 * MS),
            grace_ms: random.pick(&[200, 1_000]),
            start_grace_ms: random.pick(&[1_000, 5_000]),
            answer_ms: random.pick(&[400, 1_000]),
            memory_bytes_max,
            limits: with_chunks_of(usize::try_from(random.magnitude(1, 64)).expect("a few")),
            tight: false,
            weights: Weights::draw(random),
            fault_interval: random.magnitude(40 * MS, 3 * SECOND),
            point_interval: (!quiet && random.chance(600)).then(|| random.magnitude(60, 8_000)),
            aim: if !quiet && random.chance(400) { random.magnitude(5, 200) } else { 0 },
            hang_disk: random.chance(120),
            epilogue: if random.chance(60) { Some(Epilogue::LoseControl) } else { later_epilogue },
            records: !guest,
            record_every: random.pick(&[250 * MS, SECOND, 4 * SECOND]),
            // Transactions of two coordinators have no one order in which replicas could be compared.
            compare_ms: if guest { 1 << 40 } else { random.pick(&[400, 1_500, 5_000]) },
            trial: random.chance(500).then(|| random.pick(&Trial::ALL)),
            sync_every,
            lose_seal: false,
            lose_chunk: random.sub("lost chunk").chance(400),
            witness_dies: random.sub("witness dies").chance(700),
            window: limits::IN_FLIGHT_MAX,
            request_sweeps: 20,
            misses_max: 4,
            renames: random.sub("renames").chance(150),
            afterwards: Afterwards::draw(&mut random.sub("what happens afterwards")),
            lanes: random.sub("lanes").chance(500),
            crowd: Crowd::draw(random),
            witness: random.sub("witness").chance(300),
            makes_again: random.sub("made again").chance(300),
            // A guest learns the views from one control store.
            second_leader: !guest && random.sub("second leader").chance(300),
            visit: !guest && random.sub("visit").chance(150),
            faults,
            logged,
        };
        if plan.afterwards.is_some() || plan.renames {
            // That another process answers in the place of a member is seen by its name.
            plan.epilogue = plan.epilogue.filter(|epilogue| *epilogue == Epilogue::LoseControl);
        }
        plan.lose_seal = plan.trial.is_none() && !plan.guest && random.sub("lost seal").chance(120);
        plan.draw_window(&mut random.sub("window"));
        if plan.trial.is_none() && random.sub("vote lost").chance(150) {
            plan.trial = Some(Trial::VoteLost);
        }
        plan.draw_withheld(&mut random.sub("withheld"));
        let rolls_back = plan.trial.is_none() && !plan.guest && !plan.hang_disk && !plan.lose_seal;
        // Those that repair a copy have bounds of their own.
        plan.lose_chunk &= !plan.lose_seal && !matches!(plan.trial, Some(Trial::Rot | Trial::Wrong));
        if rolls_back && random.sub("rolled back").chance(500) {
            plan.trial = Some(Trial::RollBack);
        }
        let is_free = plan.afterwards.is_none() && plan.epilogue.is_none() && !plan.guest && plan.logged.len() >= 3;
        if is_free && random.sub("outvoted").chance(250) {
            plan.afterwards = Some(Afterwards::LastIsOutvoted);
        }
        plan.draw_limits(&mut random.sub("limits"));
        plan.draw_reserve(&mut random.sub("reserve"));
        plan
    }

    /// Draws how little room the cluster's own rows have, where memory is bounded: then outcomes can't be recorded at last.
    fn draw_reserve(&mut self, random: &mut Random) {
        let recorded = self.records && self.trial != Some(Trial::NotRecorded);
        if self.memory_bytes_max == UNBOUNDED || !recorded || !random.chance(700) {
            return;
        }
        self.limits.housekeeping_bytes_max = random.magnitude(1, 2_000);
        self.limits.sessions_bytes_min = 0;
        self.limits.tokens_bytes_max = 0;
        // As many as hear *unknown* in one run: beyond twice the window clients wait until something is recorded.
        self.window = self.window.max(256);
    }

    /// Draws what is held back in calm, where that can happen: with a second coordinator nothing is compared or recorded.
    fn draw_withheld(&mut self, random: &mut Random) {
        if self.trial.is_some() || self.guest || self.lose_seal || self.clients > 24 || !random.chance(400) {
            return;
        }
        if random.chance(500) {
            self.trial = Some(Trial::DigestLate);
            return;
        }
        self.trial = Some(Trial::NotRecorded);
        self.window = usize::try_from(random.magnitude(4, 64)).expect("a window");
        // Clients are told *unknown* before beats or a doubt end the view.
        self.request_sweeps = u8::try_from(random.between(4, 6)).expect("a few");
        self.misses_max = 12;
    }

    /// Draws what clients may find full: the window, with few clients or a crowd of them, and how long they wait.
    fn draw_window(&mut self, random: &mut Random) {
        if random.chance(300) {
            // Told *unknown* before a doubt ends the view.
            self.request_sweeps = u8::try_from(random.between(5, 10)).expect("a few");
        }
        let small = random.chance(300);
        if small && random.chance(100) && self.trial.is_none() && !self.guest && self.memory_bytes_max == UNBOUNDED {
            // Each client of a crowd makes a few calls, and the window admits a part of them at once.
            let crowd = random.magnitude(64, 1_500);
            self.clients = usize::try_from(crowd).expect("a crowd");
            self.window = usize::try_from(random.between(crowd / 2, 2 * crowd)).expect("a window");
            self.calls_in_danger = self.calls_in_danger.max(3 * u32::try_from(crowd).expect("a crowd"));
            self.think = self.think.max(200 * MS);
        } else if small {
            self.window = usize::try_from(random.magnitude(4, 64)).expect("a window");
        }
        if random.chance(150) && self.trial.is_none() {
            // A comparison gives up a member before the leader does.
            self.misses_max = 20;
            self.request_sweeps = u8::try_from(random.between(4, 6)).expect("a few");
        }
    }
}

/// The bounds that ship, with such chunks of copies.
fn with_chunks_of(chunk_records_max: usize) -> Limits {
    let shipped = Limits::SHIPPED;
    Limits { chunk_records_max, chunk_records_busy: shipped.chunk_records_busy.min(chunk_records_max), ..shipped }
}
