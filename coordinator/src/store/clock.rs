//! Wall-clock time as it is stored and shown: microseconds since 1970 in the store, RFC 3339 in UTC at the surface.
//! Nothing in the protocol depends on it; it dates what people see and ends sessions.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

/// A moment, in microseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// This moment. A clock before 1970 counts as 1970.
    #[must_use]
    pub fn now() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
    }

    /// The moment that is so much later.
    #[must_use]
    pub fn after(self, span: Duration) -> Self {
        Timestamp(self.0.saturating_add(u64::try_from(span.as_micros()).unwrap_or(u64::MAX)))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let moment = OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1_000).map_err(|_| fmt::Error)?;
        let ((year, month, day), (hour, minute, second)) = (moment.date().to_calendar_date(), moment.to_hms());
        let (month, micros) = (u8::from(month), moment.microsecond());
        // Always as long: what is sorted as text is then sorted in time.
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_shown_as_rfc_3339_in_utc() {
        assert_eq!(Timestamp(0).to_string(), "1970-01-01T00:00:00.000000Z");
        assert_eq!(Timestamp(1_763_617_739_250_000).to_string(), "2025-11-20T05:48:59.250000Z");
        assert_eq!(Timestamp(1_763_617_739_000_007).to_string(), "2025-11-20T05:48:59.000007Z");
        assert_eq!(Timestamp(5).after(Duration::from_secs(2)), Timestamp(2_000_005));
    }
}
