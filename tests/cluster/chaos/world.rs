//! The world of a chaos run: how many workers and clients there are, how large values are, how the processes are set up. All of it is
//! drawn from the seed, from wide ranges, each setting from a sub-stream of its own, so a new setting leaves the others as they
//! were. A world is printed as `NAME=VALUE` pairs; the same text as `WORLD=` replaces what was drawn, one setting or all.

use std::fmt::{Display, Formatter};
use std::time::Duration;

use skein_runtime::wal::SyncPolicy;
use skein_sim::simulation::random::Random;

use super::fault::Kind;
use crate::clients::Work;
use crate::harness::cluster::Plan;
use crate::load::Crowd;

/// Bytes that fill a value up, at the most: two such values fit into one transaction.
const VALUE_BYTES_MAX: u64 = 40_000;

/// Workers from which on a world has room for each kind of fault within half a minute.
const WORKERS_FOR_ALL_KINDS: usize = 4;

/// All that is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct World {
    pub workers: usize,
    /// Clients with a history, and their pause between two requests.
    pub clients: u32,
    pub pause_ms: u64,
    /// Clients that put load on the cluster, and how many requests they send a second, all together.
    pub light: usize,
    pub rate: u64,
    /// Readers of long lists, and those of them that read slowly.
    pub readers: usize,
    pub slow: usize,
    /// Bytes that fill a value up, at the most.
    pub value: u64,
    pub window: u64,
    pub sync: SyncPolicy,
    /// Seconds between two comparisons of the replicas.
    pub compare: u64,
    /// Whether each start of the coordinator may call the workers by other names.
    pub renames: bool,
    /// Milliseconds between two faults.
    pub every_ms: u64,
}

impl World {
    /// The world of a seed.
    pub fn of(seed: u64) -> Self {
        let seed = Random::new(seed);
        let draw = |name: &str, from: u64, to: u64| seed.sub(name).between(from, to);
        let magnitude = |name: &str, from: u64, to: u64| seed.sub(name).magnitude(from, to);
        let or_none = |name: &str, drawn: u64| if seed.sub(name).chance(300) { 0 } else { drawn };
        let count = |number: u64| usize::try_from(number).expect("a small number");
        World {
            workers: count(draw("workers", 2, 6)),
            clients: u32::try_from(magnitude("clients", 3, 48)).expect("a small number"),
            pause_ms: magnitude("pause", 5, 50),
            light: count(or_none("no light", magnitude("light", 8, 800))),
            rate: magnitude("rate", 20, 300),
            readers: count(or_none("no readers", magnitude("readers", 1, 16))),
            slow: count(or_none("no slow", magnitude("slow", 1, 32))),
            value: magnitude("value", 8, VALUE_BYTES_MAX),
            window: magnitude("window", 256, 32_768),
            sync: match seed.sub("sync").chance(700) {
                true => SyncPolicy::Always,
                false => SyncPolicy::Interval(Duration::from_millis(magnitude("interval", 1, 2_000))),
            },
            compare: magnitude("compare", 2, 60),
            renames: seed.sub("renames").chance(500),
            every_ms: draw("every", 1_200, 2_500),
        }
    }

    /// The first seed from this one on whose world can have all kinds of faults within half a minute.
    pub fn seed_for_all_kinds(from: u64) -> u64 {
        (from..).find(|seed| World::of(*seed).has_all_kinds()).expect("one in three is such a world")
    }

    /// Whether each kind of fault has to happen in this world: there are enough workers, and none of the kinds is left out.
    pub fn has_all_kinds(&self) -> bool {
        self.workers >= WORKERS_FOR_ALL_KINDS && self.kinds().len() == Kind::ALL.len()
    }

    /// What may go wrong in it. Logs that are synced at an interval may lack their ends after all are killed, which is no promise
    /// that is broken: then the cluster waits for a person.
    pub fn kinds(&self) -> Vec<Kind> {
        let is_synced = self.sync == SyncPolicy::Always;
        Kind::ALL.into_iter().filter(|kind| is_synced || *kind != Kind::Everything).collect()
    }

    /// Puts other settings in the place of these: `NAME=VALUE` pairs, separated by spaces.
    ///
    /// # Errors
    ///
    /// What is no setting, or no value of one.
    pub fn with(mut self, text: &str) -> Result<Self, String> {
        for pair in text.split_whitespace() {
            let wrong = || format!("{pair:?} is no setting of a world; these are: {self}");
            let (name, value) = pair.split_once('=').ok_or_else(wrong)?;
            let number = || value.parse::<u64>().map_err(|_| wrong());
            let count = || value.parse::<usize>().map_err(|_| wrong());
            match name {
                "workers" => self.workers = count()?,
                "clients" => self.clients = value.parse().map_err(|_| wrong())?,
                "pause_ms" => self.pause_ms = number()?,
                "light" => self.light = count()?,
                "rate" => self.rate = number()?,
                "readers" => self.readers = count()?,
                "slow" => self.slow = count()?,
                "value" => self.value = number()?,
                "window" => self.window = number()?,
                "sync" => self.sync = value.parse().map_err(|_| wrong())?,
                "compare" => self.compare = number()?,
                "renames" => self.renames = value.parse().map_err(|_| wrong())?,
                "every_ms" => self.every_ms = number()?,
                _ => return Err(wrong()),
            }
        }
        Ok(self)
    }

    /// The processes.
    pub fn plan(&self) -> Plan {
        let mut plan = Plan::proxied(self.workers);
        plan.environment.extend([
            ("SKEIN_WINDOW", self.window.to_string()),
            ("SKEIN_SYNC", self.sync.to_string()),
            ("SKEIN_COMPARE", self.compare.to_string()),
        ]);
        plan
    }

    /// The clients with histories.
    pub fn work(&self, seed: u64) -> Work {
        Work {
            clients: self.clients,
            seed,
            pause: Duration::from_millis(self.pause_ms),
            value_bytes_max: usize::try_from(self.value).expect("a small number"),
        }
    }

    /// The clients without.
    pub fn crowd(&self, seed: u64) -> Crowd {
        Crowd {
            writers: self.light,
            pause: Duration::from_secs(1) * u32::try_from(self.light).expect("a small number")
                / u32::try_from(self.rate.max(1)).expect("a small number"),
            readers: self.readers,
            slow_readers: self.slow,
            value_bytes_max: usize::try_from(self.value).expect("a small number"),
            seed,
        }
    }
}

impl Display for World {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        let World { workers, clients, pause_ms, light, rate, readers, slow, value, window, sync, compare, renames, every_ms } =
            self;
        write!(
            f,
            "workers={workers} clients={clients} pause_ms={pause_ms} light={light} rate={rate} readers={readers} slow={slow} \
             value={value} window={window} sync={sync} compare={compare} renames={renames} every_ms={every_ms}"
        )
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_seed_means_the_same_world_and_its_text_makes_it_again() {
        for seed in 0..200 {
            let world = World::of(seed);
            assert_eq!(world, World::of(seed));
            assert_eq!(World::of(seed + 1).with(&world.to_string()), Ok(world), "{world}");
        }
        let world = World::of(7);
        assert_eq!(world.with("workers=3 sync=interval:50").map(|other| (other.workers, other.window)), Ok((3, world.window)));
        for wrong in ["workers", "workers=x", "sync=never", "weather=fine"] {
            assert!(world.with(wrong).is_err(), "{wrong} was taken");
        }
    }

    #[test]
    fn worlds_differ_in_everything_and_reach_both_ends() {
        let worlds: Vec<World> = (0..2_000).map(World::of).collect();
        let range = |of: fn(&World) -> u64| {
            let all: BTreeSet<u64> = worlds.iter().map(of).collect();
            (*all.first().expect("worlds"), *all.last().expect("worlds"))
        };
        assert_eq!(range(|world| world.workers as u64), (2, 6));
        let (least, most) = range(|world| world.clients.into());
        assert!(least <= 4 && most >= 40, "{least} to {most} clients");
        let (least, most) = range(|world| world.light as u64);
        assert!(least == 0 && most >= 600, "{least} to {most} light clients");
        let (least, most) = range(|world| world.value);
        assert!(least <= 10 && most >= 30_000, "values of {least} to {most} bytes");
        let (least, most) = range(|world| world.window);
        assert!(least <= 300 && most >= 20_000, "windows of {least} to {most}");
        let share = |of: fn(&World) -> bool| worlds.iter().filter(|world| of(world)).count();
        let shares = [
            share(|world| world.renames),
            share(|world| world.sync != SyncPolicy::Always),
            share(|world| world.slow > 0),
            share(|world| world.readers > 0),
            share(World::has_all_kinds),
        ];
        assert!(shares.iter().all(|share| (400..1_600).contains(share)), "{shares:?} of 2000");
    }
}
