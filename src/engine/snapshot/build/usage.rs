//! When a key was last used, and other dates.

use super::reading::Reading;
use crate::engine::json::{Json, Value};
use crate::engine::term::time::Timestamp;

impl Reading<'_> {
    /// Since when the key counts as unused: its last use, or else its creation or the start of
    /// tracking, whichever is later. `None` where that is not known.
    ///
    /// `KeyLastUsage` is the whole output of `get-key-last-usage`, or its member of that name with
    /// the others beside it.
    ///
    /// Source: AWS KMS API Reference, `GetKeyLastUsage`; AWS KMS Developer Guide, "AWS KMS condition
    /// keys" (`kms:TrailingDaysWithoutKeyUsage`).
    pub(super) fn unused_since(
        &mut self,
        key: &Json<'_>,
        metadata: &Json<'_>,
    ) -> Option<Timestamp> {
        let usage = self.member(key, "KeyLastUsage")?;
        if !self.is_object(usage, "KeyLastUsage") {
            return None;
        }
        let whole = ["KeyLastUsage", "TrackingStartDate", "KeyCreationDate"];
        let (last, beside) = if whole.iter().any(|name| usage.member(name).is_some()) {
            (self.member(usage, "KeyLastUsage"), usage)
        } else {
            (Some(usage), key)
        };
        if let Some(last) = last
            && self.is_object(last, "KeyLastUsage")
            && self.member(last, "Timestamp").is_some()
        {
            return self.date(last, "Timestamp");
        }
        if self.member(beside, "TrackingStartDate").is_none() {
            let help = "give the whole output of `get-key-last-usage`, with `TrackingStartDate`";
            let message = "neither last use nor start of tracking: the key counts as just used";
            self.warning("incomplete-last-usage", message, help, usage.span);
            return None;
        }
        let tracking = self.date(beside, "TrackingStartDate")?;
        let created = if self.member(beside, "KeyCreationDate").is_some() {
            self.date(beside, "KeyCreationDate")
        } else {
            self.date(metadata, "CreationDate")
        };
        Some(created.map_or(tracking, |created| created.max(tracking)))
    }

    /// A member that is a date: ISO 8601 or seconds since 1970.
    ///
    /// Source: AWS CLI User Guide, `cli_timestamp_format`.
    fn date(&mut self, object: &Json<'_>, name: &str) -> Option<Timestamp> {
        let json = self.member(object, name)?;
        let read = instant(json);
        if read.is_none() {
            let help = "write it as `2026-01-02T03:04:05Z`, or in seconds since 1970";
            self.error("bad-date", format!("`{name}` is not a date"), help, json.span);
        }
        read
    }
}

/// A date in one of the forms that AWS's tools print.
pub(super) fn instant(json: &Json<'_>) -> Option<Timestamp> {
    match &json.value {
        // A blank in place of the `T`: Python's spelling.
        Value::Text(text) => Timestamp::parse(&text.replacen(' ', "T", 1)),
        // Four digits alone would be a year.
        Value::Number(number) if number.contains('.') => Timestamp::parse(number),
        Value::Number(number) => Timestamp::parse(&format!("{number}.0")),
        Value::Null | Value::Bool(_) | Value::List(_) | Value::Object(_) | Value::Known(_) => None,
    }
}
