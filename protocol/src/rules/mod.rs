//! The rules that the core keeps, each a function that says in one sentence what the protocol does. The state machines ask them where
//! they act, so that a step reads as what happens. `docs/protocol.md` says why each rule is needed.
//!
//! | file | rules |
//! |---|---|
//! | `commit.rs` | R1, R2, R6, R7, R11, R13: two-phase commit |
//! | `membership.rs` | R3, R4, R5, R12, R14, R15: views |
//! | `copies.rs` | R9: copies, and replicas that differ |
//! | `store.rs` | R10: locks and memory |
//! | `reads.rs` | reads |
//!
//! A test can leave one rule out, to show that a checker finds the break: [`Rules::without`] an [`Omission`]. Each function asks for its
//! omission in its last term, and only functions of this folder can ask. Where a rule is a condition, the function takes what it
//! depends on. Where it is a mistake not to make, the machine says `if !rules.keeps_it() { wrongly_do_it() }`: a branch that is never
//! taken when every rule is kept. Without the feature `omissions`, which no release has, a [`Rules`] takes no memory, and every rule is
//! kept at compile time.

mod commit;
mod copies;
mod membership;
mod omission;
mod reads;
mod store;

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

    /// Whether a test leaves the rule out. The folder's own question: the machines ask the rules.
    const fn omits(self, omission: Omission) -> bool {
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
