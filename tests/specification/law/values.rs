//! The values that operators compare, read by hand: decimals, instants, addresses, bytes.
//!
//! Source: IAM User Guide, "IAM JSON policy elements: Condition operators".

use std::cmp::Ordering;
use std::net::IpAddr;

/// A decimal: sign, whole digits without leading zeros, fraction digits without trailing zeros.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Decimal {
    negative: bool,
    whole: String,
    fraction: String,
}

/// "Integers or decimals, sign".
pub(crate) fn decimal(text: &str) -> Option<Decimal> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = match digits.split_once('.') {
        Some((_, "")) => return None,
        Some(parts) => parts,
        None => (digits, ""),
    };
    let all_digits = |text: &str| text.chars().all(|c| c.is_ascii_digit());
    if whole.is_empty() || !all_digits(whole) || !all_digits(fraction) {
        return None;
    }
    let whole = whole.trim_start_matches('0').to_owned();
    let fraction = fraction.trim_end_matches('0').to_owned();
    let zero = whole.is_empty() && fraction.is_empty();
    Some(Decimal { negative: negative && !zero, whole, fraction })
}

pub(crate) fn compare_decimals(left: &Decimal, right: &Decimal) -> Ordering {
    let size = |d: &Decimal| (d.whole.len(), d.whole.clone(), d.fraction.clone());
    match (left.negative, right.negative) {
        (false, true) => Ordering::Greater,
        (true, false) => Ordering::Less,
        (false, false) => size(left).cmp(&size(right)),
        (true, true) => size(right).cmp(&size(left)),
    }
}

/// Nanoseconds since 1970.
pub(crate) type Instant = i128;

const SECOND: i128 = 1_000_000_000;

pub(crate) fn seconds(instant: Instant) -> i128 {
    instant.div_euclid(SECOND)
}

/// ISO 8601 in the profile of the W3C, or seconds since 1970. Four digits are a year.
pub(crate) fn instant(text: &str) -> Option<Instant> {
    if !text.is_ascii() {
        return None;
    }
    match text.len() == 4 {
        true => date(text),
        false => since_1970(text).or_else(|| date(text)),
    }
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_digit())
}

fn since_1970(text: &str) -> Option<Instant> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    if !is_digits(whole) || whole.len() > 15 {
        return None;
    }
    let size = whole.parse::<i128>().ok()? * SECOND + nanoseconds(fraction)?;
    Some(if text.starts_with('-') { -size } else { size })
}

/// The fraction of a second; what comes after the ninth digit is dropped.
fn nanoseconds(fraction: &str) -> Option<i128> {
    let nine: String = fraction.chars().chain("000000000".chars()).take(9).collect();
    if is_digits(fraction) { nine.parse().ok() } else { None }
}

fn date(text: &str) -> Option<Instant> {
    let (date, time) = match text.split_once('T') {
        Some((date, time)) => (date, Some(time)),
        None => (text, None),
    };
    let fields: Vec<&str> = date.split('-').collect();
    let widths: Vec<usize> = fields.iter().map(|f| f.len()).collect();
    if !fields.iter().all(|f| is_digits(f)) || ![4, 2, 2].starts_with(&widths) {
        return None;
    }
    let field = |i: usize| -> i64 { fields.get(i).map_or(1, |f| f.parse().expect("digits")) };
    let (year, month, day) = (field(0), field(1), field(2));
    if !(1..=12).contains(&month) || day < 1 || day > days_of_month(year, month) {
        return None;
    }
    let midnight = i128::from(days_since_1970(year, month, day)) * 86_400 * SECOND;
    match time {
        None => Some(midnight),
        Some(time) if fields.len() == 3 => Some(midnight + time_of_day(time)?),
        Some(_) => None,
    }
}

/// `hh:mm[:ss[.s…]]` and the zone.
fn time_of_day(time: &str) -> Option<Instant> {
    let (clock, offset) = match time.strip_suffix('Z') {
        Some(clock) => (clock, 0),
        None => {
            let at = time.rfind(['+', '-'])?;
            let sign = if time[at..].starts_with('-') { -1 } else { 1 };
            let (hours, minutes) = time[at + 1..].split_once(':')?;
            (&time[..at], sign * (two(hours, 23)? * 3600 + two(minutes, 59)? * 60))
        }
    };
    let (clock, fraction) = match clock.split_once('.') {
        Some((clock, fraction)) if clock.len() == 8 => (clock, nanoseconds(fraction)?),
        Some(_) => return None,
        None => (clock, 0),
    };
    let clock: Vec<&str> = clock.split(':').collect();
    let seconds = match clock[..] {
        [hours, minutes] => two(hours, 23)? * 3600 + two(minutes, 59)? * 60,
        [hours, minutes, seconds] => {
            two(hours, 23)? * 3600 + two(minutes, 59)? * 60 + two(seconds, 59)?
        }
        _ => return None,
    };
    Some(i128::from(seconds - offset) * SECOND + fraction)
}

fn two(text: &str, most: i64) -> Option<i64> {
    let number = text.parse().ok()?;
    let digits = text.len() == 2 && text.chars().all(|c| c.is_ascii_digit());
    (digits && number <= most).then_some(number)
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_of_month(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let days_of_year = |year| if is_leap(year) { 366 } else { 365 };
    let years: i64 = if year >= 1970 {
        (1970..year).map(days_of_year).sum()
    } else {
        -(year..1970).map(days_of_year).sum::<i64>()
    };
    let months: i64 = (1..month).map(|month| days_of_month(year, month)).sum();
    years + months + day - 1
}

/// An address and the number of leading bits that count.
pub(crate) fn network(text: &str) -> Option<(IpAddr, u32)> {
    let (address, bits) = match text.split_once('/') {
        Some((address, bits)) => (address, Some(bits)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().ok()?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    let bits = match bits {
        Some(bits) if bits.chars().all(|c| c.is_ascii_digit()) => bits.parse().ok()?,
        Some(_) => return None,
        None => most,
    };
    (bits <= most).then_some((address, bits))
}

/// Is the address in the network? Families never match each other.
pub(crate) fn contains(network: (IpAddr, u32), address: IpAddr) -> bool {
    let bits = |bytes: &[u8]| -> Vec<bool> {
        let of_byte = |byte: &u8| (0..8).map(|i| byte & (0x80 >> i) != 0).collect::<Vec<_>>();
        bytes.iter().flat_map(of_byte).collect()
    };
    let (left, right) = match (network.0, address) {
        (IpAddr::V4(left), IpAddr::V4(right)) => (bits(&left.octets()), bits(&right.octets())),
        (IpAddr::V6(left), IpAddr::V6(right)) => (bits(&left.octets()), bits(&right.octets())),
        _ => return false,
    };
    let count = network.1 as usize;
    left[..count] == right[..count]
}

/// `true` or `false`, in any case.
pub(crate) fn boolean(text: &str) -> Option<bool> {
    match text.to_lowercase().as_str() {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

/// Base64 with padding.
pub(crate) fn bytes(text: &str) -> Option<Vec<u8>> {
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bare = text.trim_end_matches('=');
    let padding = text.len() - bare.len();
    if !text.len().is_multiple_of(4) || padding > 2 {
        return None;
    }
    let mut bits = Vec::new();
    for c in bare.chars() {
        let value = ALPHABET.find(c)?;
        bits.extend((0..6).rev().map(|i| value & (1 << i) != 0));
    }
    bits.truncate(bits.len() / 8 * 8);
    let byte = |eight: &[bool]| eight.iter().fold(0, |byte, bit| byte * 2 + u8::from(*bit));
    Some(bits.chunks(8).map(byte).collect())
}
