//! Numbers in bodies. JSON has one kind of number, and a schema's `integer` is one without a fraction, however it is written: 7,
//! 7.0 and 70e-1 are the same. serde would take the first alone.

use serde::de::{Error, Unexpected};
use serde::{Deserialize, Deserializer};
use serde_json::Number;

/// Reads a whole number that may be missing or null.
///
/// # Errors
/// When it is negative, has a fraction, or is too large.
pub fn whole<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    let Some(number) = Option::<Number>::deserialize(deserializer)? else { return Ok(None) };
    let exact = number.as_u64().and_then(|number| u32::try_from(number).ok());
    let wrong = || D::Error::invalid_value(Unexpected::Other(&format!("the number `{number}`")), &"a whole number below 2^32");
    exact.or_else(|| number.as_f64().and_then(without_fraction)).map(Some).ok_or_else(wrong)
}

fn without_fraction(number: f64) -> Option<u32> {
    let whole = number.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&number);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is whole and within the bounds")]
    whole.then_some(number as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Form {
        #[serde(default, deserialize_with = "whole")]
        days: Option<u32>,
    }

    #[test]
    fn a_whole_number_may_be_written_in_any_way_that_json_has() {
        let days = |text: &str| serde_json::from_str::<Form>(text).map(|form| form.days).ok();
        assert_eq!(days("{}"), Some(None));
        assert_eq!(days("{\"days\":null}"), Some(None));
        for seven in ["7", "7.0", "70e-1", "0.7e1"] {
            assert_eq!(days(&format!("{{\"days\":{seven}}}")), Some(Some(7)), "{seven}");
        }
        for wrong in ["7.5", "-1", "-1.0", "4294967296", "1e99", "\"7\"", "true", "[7]"] {
            assert_eq!(days(&format!("{{\"days\":{wrong}}}")), None, "{wrong} was taken");
        }
    }
}
