//! The rules that the core keeps, each a function that says in one sentence what the protocol does. The state machines ask them where
//! they act, so that a step reads as what happens; what harm follows where a rule is not kept stands in `docs/testing.md`.
//!
//! A test can leave one of them out, to show that a checker finds the break: [`Rules::without`] an [`Omission`]. Only with the feature
//! `omissions` is there anything to ask; without it a [`Rules`] takes no memory, and every rule is kept at compile time.

mod omission;

pub use omission::Omission;

/// The rules that a machine keeps: all of them, but for the one that a test may leave out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Rules(#[cfg(feature = "omissions")] Option<Omission>);

impl Rules {
    /// Every rule is kept.
    pub const ALL: Rules = Rules(
        #[cfg(feature = "omissions")]
        None,
    );

    /// All but this one are kept.
    #[cfg(feature = "omissions")]
    #[must_use]
    pub const fn without(omission: Omission) -> Self {
        Rules(Some(omission))
    }

    /// Whether the rule is left out.
    #[must_use]
    pub(crate) const fn omits(self, omission: Omission) -> bool {
        #[cfg(feature = "omissions")]
        {
            matches!(self.0, Some(left_out) if left_out as u8 == omission as u8)
        }
        #[cfg(not(feature = "omissions"))]
        {
            let _ = omission;
            false
        }
    }
}
