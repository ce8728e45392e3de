//! A part of a world that most steps leave as it is. Copies share it, and its hash is computed once, when it is made:
//! a step then costs what it changes and not the size of the world.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Deref;
use std::sync::Arc;

/// An immutable value with its hash.
#[derive(Clone)]
pub struct Part<T> {
    value: Arc<T>,
    print: u64,
}

impl<T: Hash> Part<T> {
    /// Keeps `value`.
    pub fn new(value: T) -> Self {
        let print = print(&value);
        Part { value: Arc::new(value), print }
    }

    /// Puts a changed copy in place of the value.
    pub fn update<R>(&mut self, change: impl FnOnce(&mut T) -> R) -> R
    where
        T: Clone,
    {
        let value = Arc::make_mut(&mut self.value);
        let result = change(value);
        self.print = print(value);
        result
    }

    /// The hash of the value: a fixed order for things that have none of their own.
    pub fn print(&self) -> u64 {
        self.print
    }
}

fn print<T: Hash>(value: &T) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

impl<T> Deref for Part<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> Hash for Part<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.print);
    }
}

impl<T: PartialEq> PartialEq for Part<T> {
    fn eq(&self, other: &Self) -> bool {
        self.print == other.print && (Arc::ptr_eq(&self.value, &other.value) || self.value == other.value)
    }
}

impl<T: Eq> Eq for Part<T> {}

impl<T: fmt::Debug> fmt::Debug for Part<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}
