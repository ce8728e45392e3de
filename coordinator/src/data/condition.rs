//! What a request demands of the version that it meets (RFC 9110, section 13): `If-Match`, then `If-None-Match`, each a list
//! of versions or `*` for any. Most conditions say the same as one expectation of the store, which then decides alone; the
//! others are judged by what is read, and what was read is expected.

use skein_protocol::id::Version;
use skein_protocol::operation::Expect;

/// Versions that a client names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Versions {
    /// Whichever there is.
    Any,
    /// These.
    OneOf(Vec<Version>),
}

/// A request's condition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Condition {
    /// The record is there and has one of these versions.
    pub matching: Option<Versions>,
    /// The record is not there or has none of these versions.
    pub not_matching: Option<Versions>,
}

impl Versions {
    fn names(&self, found: Option<Version>) -> bool {
        match (self, found) {
            (_, None) => false,
            (Versions::Any, Some(_)) => true,
            (Versions::OneOf(versions), Some(found)) => versions.contains(&found),
        }
    }
}

impl Condition {
    /// Whether nothing is demanded.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.matching.is_none() && self.not_matching.is_none()
    }

    /// Whether a record of this version, or its absence, is as demanded.
    #[must_use]
    pub fn holds(&self, found: Option<Version>) -> bool {
        self.matching.as_ref().is_none_or(|versions| versions.names(found))
            && self.not_matching.as_ref().is_none_or(|versions| !versions.names(found))
    }

    /// The one expectation that says the same, if there is one.
    #[must_use]
    pub fn expectation(&self) -> Option<Expect> {
        match (&self.matching, &self.not_matching) {
            (None, None) => Some(Expect::Any),
            (Some(Versions::Any), None) => Some(Expect::Present),
            (Some(Versions::OneOf(versions)), None) => match versions.as_slice() {
                [version] => Some(Expect::Version(*version)),
                _ => None,
            },
            (None, Some(Versions::Any)) => Some(Expect::Absent),
            (_, Some(_)) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::write::meets;

    /// A write's fingerprint holds its condition as this text, for as long as its `Idempotency-Key` is remembered: through an
    /// upgrade too.
    #[test]
    fn a_condition_is_written_as_it_always_was() {
        let condition = Condition { matching: Some(Versions::OneOf(vec![Version(3)])), not_matching: Some(Versions::Any) };
        let text = "Condition { matching: Some(OneOf([Version(3)])), not_matching: Some(Any) }";
        assert_eq!(format!("{condition:?}"), text);
    }

    #[test]
    fn a_condition_and_its_expectation_say_the_same() {
        let one = |version| Some(Versions::OneOf(vec![Version(version)]));
        let two = || Some(Versions::OneOf(vec![Version(1), Version(2)]));
        let choices = || [None, Some(Versions::Any), one(1), one(2), two(), Some(Versions::OneOf(Vec::new()))];
        let mut said = 0;
        for matching in choices() {
            for not_matching in choices() {
                let condition = Condition { matching: matching.clone(), not_matching };
                let Some(expect) = condition.expectation() else { continue };
                said += 1;
                for found in [None, Some(Version(1)), Some(Version(2)), Some(Version(3))] {
                    assert_eq!(condition.holds(found), meets(expect, found), "{condition:?} of {found:?}");
                }
            }
        }
        assert_eq!(said, 5);
    }
}
