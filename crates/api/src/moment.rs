//! Points in time as JSON: RFC 3339, UTC, milliseconds (`2026-01-31T12:00:00.000Z`).

use llcm_lifecycle::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A point in time, RFC 3339 in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub Timestamp);

impl From<Timestamp> for Moment {
    fn from(at: Timestamp) -> Self {
        Self(at)
    }
}

impl Moment {
    /// Parses RFC 3339 with any offset; what is finer than a millisecond is cut off.
    ///
    /// # Errors
    /// When the text is no point in time or lies before 1970.
    pub fn parse(text: &str) -> Result<Self, String> {
        let at = OffsetDateTime::parse(text, &Rfc3339)
            .map_err(|error| format!("{text:?} is not a point in time of RFC 3339: {error}"))?;
        u64::try_from(at.unix_timestamp_nanos() / 1_000_000)
            .map(|millis| Self(Timestamp(millis)))
            .map_err(|_| format!("{text:?} lies before 1970"))
    }
}

impl std::fmt::Display for Moment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Years beyond 9999 have no RFC 3339 form; a clock that far off is shown at the end of the range.
        const LAST: i128 = 253_402_300_799_999;
        let millis = i128::from(self.0.0).min(LAST);
        let at =
            OffsetDateTime::from_unix_timestamp_nanos(millis * 1_000_000).map_err(|_| std::fmt::Error)?;
        let (date, time) = (at.date(), at.time());
        let (hour, minute, second, milli) = time.as_hms_milli();
        let (year, month, day) = date.to_calendar_date();
        let month = u8::from(month);
        f.pad(&format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z"))
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_points_in_time() {
        for (millis, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_827_696_789, "2000-02-29T12:34:56.789Z"),
            (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
        ] {
            let moment = Moment(Timestamp(millis));
            assert_eq!(moment.to_string(), text);
            assert_eq!(Moment::parse(text), Ok(moment));
        }
    }

    #[test]
    fn a_clock_beyond_the_range_is_shown_at_its_end() {
        assert_eq!(Moment(Timestamp(u64::MAX)).to_string(), "9999-12-31T23:59:59.999Z");
    }

    #[test]
    fn offsets_are_understood_and_nonsense_is_refused() {
        assert_eq!(Moment::parse("2000-02-29T13:34:56.789+01:00"), Ok(Moment(Timestamp(951_827_696_789))));
        assert!(Moment::parse("yesterday").is_err());
        assert!(Moment::parse("1969-12-31T23:59:59Z").is_err());
    }
}
