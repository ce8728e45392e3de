//! What every request passes before a handler sees it, and every answer after: bounds, checks of the head, measures, and the files of
//! the app. [`Edge`] is what all requests share for that.

pub mod address;
pub mod answers;
pub mod assets;
pub mod body_memory;
pub mod gate;
pub mod observed;

use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::config::SurfaceConfig;
use crate::metrics::NodeMetrics;
use answers::Answers;
use body_memory::BodyMemory;

/// What the requests of one coordinator share, whichever handler they go to.
pub struct Edge {
    /// How the surface is set.
    pub settings: Arc<SurfaceConfig>,
    /// A permit for each request that may be under way.
    pub under_way: Semaphore,
    /// The memory that bodies of requests share.
    pub body_memory: BodyMemory,
    /// The room for long answers.
    pub answers: Answers,
    /// Where requests are counted.
    pub metrics: NodeMetrics,
}

impl Edge {
    /// The edge of a surface that is set so.
    #[must_use]
    pub fn new(settings: Arc<SurfaceConfig>, metrics: NodeMetrics) -> Self {
        let limits = &settings.limits;
        Edge {
            under_way: Semaphore::new(limits.requests_max),
            body_memory: BodyMemory::new(limits.body_bytes_max, metrics.body_bytes.clone()),
            answers: Answers::new(limits.answers.clone(), metrics.answer_bytes(), metrics.answers_refused()),
            metrics,
            settings,
        }
    }
}
