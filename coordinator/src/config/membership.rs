//! The settings of what a coordinator does to its workers unasked: how soon one that does not answer is given up, how often the
//! replicas are compared, and how much they have to remember. The defaults are the core's own, and a test holds the help to them.

use clap::Args;
use skein_protocol::limits::IN_FLIGHT_MAX;

use super::number;

/// The flags of a coordinator's membership, which `skein up` takes too.
#[derive(Clone, Debug, Args)]
pub struct MembershipArgs {
    /// Milliseconds between two signs of life that are asked of each worker (50 to 5000)
    #[arg(long, value_name = "MS", env = "SKEIN_HEARTBEAT", hide_env_values = true, default_value = "250")]
    pub heartbeat: String,

    /// Of these, how many in a row a worker may leave unanswered; it is left out after about the time of one more (2 to 100)
    #[arg(long, value_name = "N", env = "SKEIN_HEARTBEATS_MISSED", hide_env_values = true, default_value = "4")]
    pub heartbeats_missed: String,

    /// Seconds between two comparisons of the replicas (1 to 86400)
    #[arg(long, value_name = "SECONDS", env = "SKEIN_COMPARE", hide_env_values = true, default_value = "60")]
    pub compare: String,

    /// Unfinished writes before further ones wait (256 to 32768); one is unfinished until its outcome is known or, if its client was
    /// told that it is unknown, recorded
    #[arg(long, value_name = "N", env = "SKEIN_WINDOW", hide_env_values = true, default_value = "32768")]
    pub window: String,
}

/// The settings of a coordinator's membership, checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MembershipConfig {
    /// Milliseconds between two beats.
    pub beat_ms: u64,
    /// Beats in a row that a worker may leave unanswered.
    pub misses_max: u8,
    /// Milliseconds between two comparisons.
    pub compare_ms: u64,
    /// Transactions that workers must remember, at the most.
    pub window: usize,
}

impl Default for MembershipConfig {
    fn default() -> Self {
        MembershipConfig { beat_ms: 250, misses_max: 4, compare_ms: 60_000, window: IN_FLIGHT_MAX }
    }
}

impl MembershipArgs {
    /// Checks all flags.
    ///
    /// # Errors
    /// One sentence for each flag that can't be used.
    pub fn check(&self) -> Result<MembershipConfig, Vec<String>> {
        let mut wrong = Vec::new();
        let beat_ms = number("--heartbeat", &self.heartbeat, 50..=5_000, &mut wrong);
        let misses_max = number("--heartbeats-missed", &self.heartbeats_missed, 2..=100, &mut wrong);
        let compare_s = number("--compare", &self.compare, 1..=86_400, &mut wrong);
        let window = number("--window", &self.window, 256..=32_768, &mut wrong);
        if !wrong.is_empty() {
            return Err(wrong);
        }
        let misses_max = u8::try_from(misses_max).expect("100 at the most");
        let window = usize::try_from(window).expect("32,768 at the most");
        Ok(MembershipConfig { beat_ms: beat_ms.into(), misses_max, compare_ms: u64::from(compare_s) * 1_000, window })
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use skein_protocol::id::{ClusterId, Incarnation, NodeId};
    use skein_protocol::node::coordinator::CoordinatorConfig;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: MembershipArgs,
    }

    fn check(line: &str) -> Result<MembershipConfig, Vec<String>> {
        Line::try_parse_from(["skein"].into_iter().chain(line.split_whitespace())).unwrap().args.check()
    }

    #[test]
    fn the_defaults_are_those_of_the_core() {
        let core = CoordinatorConfig::new(NodeId(1), Incarnation(1), ClusterId(1), Vec::new(), None);
        let CoordinatorConfig { beat_ms, misses_max, compare_ms, window, .. } = core;
        let of_core = MembershipConfig { beat_ms, misses_max, compare_ms, window };
        assert_eq!((check(""), MembershipConfig::default()), (Ok(of_core), of_core));
    }

    #[test]
    fn each_bound_is_kept_and_everything_wrong_is_said_at_once() {
        let most = check("--heartbeat 5000 --heartbeats-missed 100 --compare 86400 --window 256").unwrap();
        assert_eq!(most, MembershipConfig { beat_ms: 5_000, misses_max: 100, compare_ms: 86_400_000, window: 256 });
        for line in [
            "--heartbeat 49 --heartbeats-missed 1 --compare 0 --window 255",
            "--heartbeat 5001 --heartbeats-missed 101 --compare 86401 --window 32769",
        ] {
            assert_eq!(check(line).unwrap_err().len(), 4, "{line}");
        }
    }
}
