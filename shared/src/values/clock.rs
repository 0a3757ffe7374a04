//! Points in time as the API shows them, and the clock they come from.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use time::format_description::well_known::Rfc3339;
use time::{Date, Duration, OffsetDateTime, UtcOffset};

/// A point in time, in UTC and whole milliseconds; written as RFC 3339, `2025-01-15T10:32:00.000Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(OffsetDateTime);

impl Timestamp {
    /// Reads an RFC 3339 time and truncates it to milliseconds; `None` for anything else, and for one that in UTC is not in
    /// the years 0 to 9999.
    pub fn parse(text: &str) -> Option<Self> {
        let time = OffsetDateTime::parse(text, &Rfc3339).ok()?.checked_to_offset(UtcOffset::UTC)?;
        (0..=9999).contains(&time.year()).then(|| time.into())
    }

    /// Reads an RFC 3339 time. The error says that it must be one.
    pub fn parse_text(text: &str) -> Result<Self, &'static str> {
        Self::parse(text).ok_or("must be an RFC 3339 time, such as 2025-01-15T10:32:00Z")
    }

    /// The time so many milliseconds after 1970; `None` after the year 9999.
    pub fn from_unix_milliseconds(milliseconds: u64) -> Option<Self> {
        let nanoseconds = i128::from(milliseconds) * 1_000_000;
        Some(OffsetDateTime::from_unix_timestamp_nanos(nanoseconds).ok()?.into())
    }

    /// Milliseconds since 1970, as a ULID holds them; 0 for earlier times.
    pub fn unix_milliseconds(self) -> u64 {
        u64::try_from(self.0.unix_timestamp_nanos() / 1_000_000).unwrap_or(0)
    }

    /// Seconds since 1970, rounded up: what DynamoDB's TTL attribute holds.
    pub fn unix_seconds_rounded_up(self) -> i64 {
        self.0.unix_timestamp() + i64::from(self.0.millisecond() > 0)
    }

    /// The calendar date in UTC.
    pub fn date(self) -> Date {
        self.0.date()
    }

    /// The latest calendar date anywhere on earth: that of UTC+14.
    pub fn latest_date(self) -> Date {
        self.0.saturating_add(Duration::hours(14)).date()
    }

    /// This time and `minutes`.
    pub fn plus_minutes(self, minutes: u16) -> Self {
        Self(self.0.saturating_add(Duration::minutes(minutes.into())))
    }

    /// This time less `minutes`.
    pub fn minus_minutes(self, minutes: u16) -> Self {
        Self(self.0.saturating_sub(Duration::minutes(minutes.into())))
    }

    /// This time less the time from `from` to `to`.
    pub fn minus(self, from: Self, to: Self) -> Self {
        Self(self.0.saturating_sub(to.0 - from.0))
    }

    /// This time and `hours`.
    pub fn plus_hours(self, hours: u8) -> Self {
        Self(self.0.saturating_add(Duration::hours(hours.into())))
    }

    /// This time and `days` times 24 hours.
    pub fn plus_days(self, days: u16) -> Self {
        Self(self.0.saturating_add(Duration::days(days.into())))
    }
}

impl From<OffsetDateTime> for Timestamp {
    fn from(time: OffsetDateTime) -> Self {
        let time = time.to_offset(UtcOffset::UTC);
        Self(time.replace_millisecond(time.millisecond()).unwrap_or(time))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let t = self.0;
        write!(
            f,
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
            t.year(),
            u8::from(t.month()),
            t.day(),
            t.hour(),
            t.minute(),
            t.second(),
            t.millisecond()
        )
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| de::Error::custom("not an RFC 3339 time"))
    }
}

/// Where the time comes from: the system's clock, or one that a test moves.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    /// The system's clock.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the system's clock")]
    pub fn system() -> Self {
        Self::new(|| OffsetDateTime::now_utc().into())
    }

    /// A clock whose time is what `now` returns.
    pub fn new(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// The time now.
    pub fn now(&self) -> Timestamp {
        (self.0)()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn is_written_in_utc_with_milliseconds() {
        let time = Timestamp::parse("2025-01-15T12:32:00.0009+02:00").unwrap();
        assert_eq!(time.to_string(), "2025-01-15T10:32:00.000Z");
    }

    #[test]
    fn ninety_days_are_ninety_times_24_hours() {
        let start = Timestamp::parse("2025-01-15T10:32:00.000Z").unwrap();
        assert_eq!(start.plus_days(90).to_string(), "2025-04-15T10:32:00.000Z");
    }

    #[test]
    fn the_latest_date_is_fourteen_hours_ahead() {
        let before = Timestamp::parse("2025-01-15T09:59:59.999Z").unwrap();
        let after = Timestamp::parse("2025-01-15T10:00:00.000Z").unwrap();
        assert_eq!((before.latest_date().day(), after.latest_date().day()), (15, 16));
    }

    #[test]
    fn the_ttl_second_is_never_before_the_expiry() {
        let whole = Timestamp::parse("2025-01-15T10:32:00.000Z").unwrap();
        let broken = Timestamp::parse("2025-01-15T10:32:00.001Z").unwrap();
        assert_eq!(whole.unix_seconds_rounded_up(), 1_736_937_120);
        assert_eq!(broken.unix_seconds_rounded_up(), 1_736_937_121);
    }

    #[test]
    fn a_time_that_is_none_in_utc_or_has_no_four_digits_of_a_year_is_refused() {
        for text in ["9999-12-31T23:59:59-00:01", "9999-12-31T23:59:59-23:59", "0000-01-01T00:00:00+00:01"] {
            assert_eq!(Timestamp::parse(text), None, "{text}");
        }
        for text in ["9999-12-31T23:59:59.999Z", "0000-01-01T00:00:00.000Z"] {
            assert_eq!(Timestamp::parse(text).unwrap().to_string(), text);
        }
    }

    proptest! {
        #[test]
        fn a_time_with_any_offset_is_read_back_from_its_form_in_utc(
            text in "(00|99|20)(00|24|99)-(01|02|12)-(01|28|29|31)T(00|23):(00|59):(00|59|60)(\\.[0-9]{1,9})?(Z|[+-](00|12|23):(00|59))"
        ) {
            if let Some(time) = Timestamp::parse(&text) {
                prop_assert_eq!(Timestamp::parse(&time.to_string()), Some(time));
                let _ = (time.unix_milliseconds(), time.plus_days(u16::MAX), time.latest_date());
            }
        }

        #[test]
        fn parsing_never_panics(text in "\\PC*") {
            let _ = Timestamp::parse(&text);
        }

        #[test]
        fn what_is_written_is_read_back(seconds in 0i64..253_402_300_799, millisecond in 0u16..1000) {
            let time = OffsetDateTime::from_unix_timestamp(seconds).unwrap();
            let time = Timestamp::from(time.replace_millisecond(millisecond).unwrap());
            prop_assert_eq!(Timestamp::parse(&time.to_string()), Some(time));
        }
    }
}
