//! One worker or one coordinator in a process of its own: binds its addresses, runs it, says when it serves.

use anyhow::Context;
use skein_coordinator::config::CoordinatorConfig;
use skein_runtime::shutdown::Trigger;
use skein_worker::config::WorkerConfig;
use skein_worker::metrics::WorkerMetrics;
use skein_worker::{Instruments, Listeners};
use tokio::net::TcpListener;

use crate::process::{Counters, say_ready};

/// `skein worker`.
pub async fn worker(config: WorkerConfig, counters: Counters, trigger: Trigger) -> anyhow::Result<()> {
    let listeners = Listeners::bind(&config).await?;
    let http = listeners.http.as_ref().map(TcpListener::local_addr).transpose()?;
    let cluster = listeners.cluster.local_addr()?;
    let worker = WorkerMetrics::register(&counters.registry)?;
    let instruments = Instruments { registry: counters.registry, runtime: counters.runtime, worker };
    skein_worker::run(config, listeners, instruments, trigger.watch(), |_| {
        if let Some(http) = http {
            say_ready(&format!("http://{http} cluster {cluster}"));
        }
    })
    .await
}

/// `skein coordinator`.
pub async fn coordinator(config: CoordinatorConfig, counters: Counters, trigger: Trigger) -> anyhow::Result<()> {
    let listener = TcpListener::bind(config.http).await.with_context(|| format!("can't listen on {}", config.http))?;
    let http = listener.local_addr()?;
    let instruments = skein_coordinator::Instruments { registry: counters.registry, runtime: counters.runtime };
    skein_coordinator::run(config, listener, instruments, trigger.watch(), || say_ready(&format!("http://{http}"))).await
}
