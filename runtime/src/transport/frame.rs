//! Frames.

/// Bytes of a frame's body at the most.
pub const FRAME_BYTES_MAX: usize = 4 * 1024 * 1024;

/// What a frame carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameKind {
    /// Messages.
    Messages = 0,
    /// Nothing; it shows that the connection is alive.
    Heartbeat = 1,
}

impl FrameKind {
    /// Its name in metrics.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            FrameKind::Messages => "messages",
            FrameKind::Heartbeat => "heartbeat",
        }
    }
}
