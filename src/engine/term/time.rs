//! Instants, as policies and requests write them.

use std::fmt;

/// An instant: nanoseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i128);

const NANOS: i128 = 1_000_000_000;
const DAY: i64 = 86_400;

impl Timestamp {
    /// From seconds and nanoseconds since the epoch.
    #[must_use]
    pub fn new(seconds: i64, nanoseconds: u32) -> Self {
        Self(i128::from(seconds) * NANOS + i128::from(nanoseconds))
    }

    /// Whole seconds since the epoch, rounded down.
    #[must_use]
    pub fn seconds(self) -> i64 {
        i64::try_from(self.0.div_euclid(NANOS)).unwrap_or(i64::MAX)
    }

    /// Nanoseconds after [`Timestamp::seconds`].
    #[must_use]
    pub fn nanoseconds(self) -> u32 {
        u32::try_from(self.0.rem_euclid(NANOS)).unwrap_or(0)
    }

    /// Whole milliseconds since the epoch, rounded down.
    #[must_use]
    pub fn milliseconds(self) -> i64 {
        i64::try_from(self.0.div_euclid(NANOS / 1000)).unwrap_or(i64::MAX)
    }

    /// Reads the W3C profile of ISO 8601 (`2026`, `2026-01`, `2026-01-02`,
    /// `2026-01-02T03:04Z`, `2026-01-02T03:04:05.678+01:00`) or seconds since the epoch.
    ///
    /// A number of four digits is a year, as in IAM's own grammar.
    ///
    /// Source: IAM User Guide, "Condition operators" (date condition operators).
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let year_alone = text.len() == 4 && text.bytes().all(|b| b.is_ascii_digit());
        if !year_alone && let Some(epoch) = epoch(text) {
            return Some(epoch);
        }
        date(text)
    }
}

impl fmt::Display for Timestamp {
    /// `2026-01-02T03:04:05Z`; fractions of a second are left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.seconds();
        let (year, month, day) = civil(seconds.div_euclid(DAY));
        let of_day = seconds.rem_euclid(DAY);
        let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }
}

/// Seconds since the epoch, perhaps with a sign and a fraction.
fn epoch(text: &str) -> Option<Timestamp> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let pointless = digits.ends_with('.');
    if whole.is_empty() || whole.len() > 15 || pointless {
        return None;
    }
    let seconds: i64 = all_digits(whole)?;
    let nanoseconds = nanoseconds(fraction)?;
    let magnitude = i128::from(seconds) * NANOS + i128::from(nanoseconds);
    Some(Timestamp(if negative { -magnitude } else { magnitude }))
}

fn date(text: &str) -> Option<Timestamp> {
    let (day_text, time_text) = match text.split_once('T') {
        Some((day, time)) => (day, Some(time)),
        None => (text, None),
    };
    let mut fields = day_text.split('-');
    let year = field(fields.next()?, 4)?;
    let month = fields.next().map_or(Some(1), |text| field(text, 2))?;
    let has_day = day_text.len() == 10;
    let day = fields.next().map_or(Some(1), |text| field(text, 2))?;
    if fields.next().is_some()
        || !(1..=12).contains(&month)
        || !(1..=days_in(year, month)).contains(&day)
    {
        return None;
    }
    let midnight = days(year, month, day) * DAY;
    match time_text {
        None => Some(Timestamp::new(midnight, 0)),
        Some(time) if has_day => time_of_day(midnight, time),
        Some(_) => None,
    }
}

/// `hh:mm[:ss[.s…]]` and a zone, which is not optional.
fn time_of_day(midnight: i64, text: &str) -> Option<Timestamp> {
    let zone_at = text.find(['Z', '+', '-'])?;
    let (clock, zone) = text.split_at_checked(zone_at)?;
    let offset = match zone {
        "Z" => 0,
        _ => {
            let (hours, minutes) = zone.get(1..)?.split_once(':')?;
            let (hours, minutes) = (field(hours, 2)?, field(minutes, 2)?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            let magnitude = hours * 3600 + minutes * 60;
            if zone.starts_with('-') { -magnitude } else { magnitude }
        }
    };
    let mut fields = clock.split(':');
    let hour = field(fields.next()?, 2)?;
    let minute = field(fields.next()?, 2)?;
    let (second, fraction) = match fields.next() {
        None => (0, 0),
        Some(text) => {
            let (second, fraction) = text.split_once('.').unwrap_or((text, "0"));
            if fraction.is_empty() {
                return None;
            }
            (field(second, 2)?, nanoseconds(fraction)?)
        }
    };
    if fields.next().is_some() || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    Some(Timestamp::new(midnight + hour * 3600 + minute * 60 + second - offset, fraction))
}

fn field(text: &str, width: usize) -> Option<i64> {
    if text.len() == width { all_digits(text) } else { None }
}

fn all_digits(text: &str) -> Option<i64> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

/// A decimal fraction of a second; digits beyond the ninth are cut off.
fn nanoseconds(fraction: &str) -> Option<u32> {
    if !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let mut value = 0;
    let mut unit = 100_000_000;
    for digit in fraction.bytes().take(9) {
        value += u32::from(digit - b'0') * unit;
        unit /= 10;
    }
    Some(value)
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Days since the epoch of a date in the proleptic Gregorian calendar (Howard Hinnant's
/// `days_from_civil`).
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// The inverse of [`days`].
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::Timestamp;

    #[track_caller]
    fn check(text: &str, shown: Option<&str>) {
        assert_eq!(Timestamp::parse(text).map(|t| t.to_string()).as_deref(), shown, "{text:?}");
    }

    #[test]
    fn the_w3c_profile_and_epoch_seconds_are_read() {
        check("2026", Some("2026-01-01T00:00:00Z"));
        check("2026-03", Some("2026-03-01T00:00:00Z"));
        check("2024-02-29", Some("2024-02-29T00:00:00Z"));
        check("2026-01-02T03:04Z", Some("2026-01-02T03:04:00Z"));
        check("2026-01-02T03:04:05Z", Some("2026-01-02T03:04:05Z"));
        check("2026-01-02T03:04:05.25+01:00", Some("2026-01-02T02:04:05Z"));
        check("2026-01-01T00:00:00-00:30", Some("2026-01-01T00:30:00Z"));
        check("1760400001", Some("2025-10-14T00:00:01Z"));
        check("-1", Some("1969-12-31T23:59:59Z"));
        check("0", Some("1970-01-01T00:00:00Z"));
    }

    #[test]
    fn what_is_no_instant_is_refused() {
        for text in [
            "",
            "yesterday",
            "2026-13",
            "2026-02-30",
            "2026-01-02T03:04:05",
            "2026-1-2",
            "2026-01-02 03:04Z",
            "2026-01-02T24:00Z",
            "2026-01T03:04Z",
            "2026-01-02T03:04:05.Z",
            "12.",
            "+5",
            "1e9",
            "2026-01-02T03:04Z+01:00",
            "2026-01-02T03:04+1:00",
            "99999999999999999999",
        ] {
            check(text, None);
        }
    }

    #[test]
    fn fractions_count() {
        let (a, b) = (Timestamp::parse("1.5"), Timestamp::parse("1.25"));
        assert!(a > b && b > Timestamp::parse("1"));
    }
}
