//! Seeds that once failed, as named scenarios with their story, and the fixed set that every test run plays.

/// A seed that showed something.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// Its name.
    pub name: &'static str,
    /// The seed, with 500 calls.
    pub seed: u64,
    /// The name of the mistake, which can be made again (see [`super::mistake`]): the seed breaks a promise with it, and keeps all
    /// without it.
    pub mistake: &'static str,
    /// What it showed, and what was done about it.
    pub story: &'static str,
}

/// All scenarios, in the order in which they were found.
pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "a doubt that never ends",
        seed: 377,
        mistake: "DoubtRestarts",
        story: "A disk hung for good while something was in doubt. Each report of the doubt began the view change anew, before the \
                member that hung could be given up: 230 attempts in a minute. A doubt now counts only while no view change is \
                under way.",
    },
    Scenario {
        name: "a digest behind a waiting prepare",
        seed: 225,
        mistake: "DigestPassesWaiting",
        story: "A prepare waited at one member behind a strict read, and was prepared at the others. Only their digests were \
                corrected by what it wrote, so replicas that were the same seemed to differ. A digest now waits for what waits.",
    },
    Scenario {
        name: "a version that goes back",
        seed: 47,
        mistake: "StampForgotten",
        story: "All members restarted, and the coordinator's clock was set back. The greatest age stamp was in no log, so a \
                record that was deleted and made again got a smaller version than before, which edits could bring to the same \
                one. The stamp is now a part of what a log adds up to.",
    },
    Scenario {
        name: "asked before anybody knew the time",
        seed: 294,
        mistake: "AgeBeforeView",
        story: "As before, but for a transaction that was asked for before the members of the first view had reported their \
                stamps: it kept the age that it got at once. What was never sent now gets an age anew when a view becomes active.",
    },
];

/// The seeds that are played with every test run.
pub const FIXED: std::ops::Range<u64> = 0..120;
