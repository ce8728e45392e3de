//! What every request passes before a handler sees it, and every answer after: bounds, checks of the head, measures, and the files of
//! the app.

pub mod address;
pub mod answers;
pub mod assets;
pub mod body_memory;
pub mod gate;
pub mod observed;
