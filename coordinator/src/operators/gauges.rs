//! The gauges that show how the machine stands: it is asked once a second, so that no transaction waits for them.

use std::time::Duration;

use skein_runtime::shutdown::Shutdown;
use tokio::time::MissedTickBehavior;

use super::console::Console;
use crate::metrics::NodeMetrics;

/// How often the gauges are set.
const POLL_EVERY: Duration = Duration::from_secs(1);

/// Sets the gauges from the machine's status until the shutdown starts.
pub async fn poll(console: Console, metrics: NodeMetrics, mut shutdown: Shutdown) {
    let mut ticks = tokio::time::interval(POLL_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = shutdown.wait() => return,
            _ = ticks.tick() => {}
        }
        if let Ok(status) = console.status().await {
            metrics.set(&status);
        }
    }
}
