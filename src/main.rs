//! The executable of Skein.
fn main() {}
