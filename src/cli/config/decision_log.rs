//! The decision log's part of the configuration: texts become settings.

use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use super::InvalidConfig;
use super::telemetry::{SPILL_BYTES, TelemetryConfig, invalid};
use crate::engine::decide::decision::Verdict;
use crate::engine::kms::action::Action;
use crate::telemetry::log::file::Rotation;
use crate::telemetry::log::settings::{
    Filter, Mode, Place, Settings as LogSettings, SpillSettings,
};
use crate::wire::record::Masks;
use crate::wire::record::mask::{Hasher, Mask};

/// Time that a record has to be written, when the mode says nothing else.
const DEADLINE: &str = "500ms";

/// A key has at least so many bytes.
const KEY_BYTES: usize = 16;

impl TelemetryConfig {
    /// The settings of the decision log, if there is one.
    pub(super) fn log_settings(
        &self,
        key: Option<Vec<u8>>,
        mask_key: &[u8],
    ) -> Result<Option<LogSettings>, InvalidConfig> {
        let log = &self.decision_log;
        let sinks = log.sinks.iter().map(|text| sink(text)).collect::<Result<Vec<_>, _>>()?;
        let mask = |name: &str, text: &Option<String>| match text.as_deref() {
            Some("clear") => Ok(Mask::Clear),
            Some("hashed") | None => Ok(Mask::Hashed(Hasher::new(mask_key))),
            Some("omitted") => Ok(Mask::Omitted),
            Some(other) => Err(invalid(
                &format!("decision_log.{name}"),
                format!("`{other}`: expected `clear`, `hashed` or `omitted`"),
            )),
        };
        let mode = self.mode(&sinks)?;
        let spilled = match &mode {
            Mode::Spill(spill) => Some(spill.folder.clone()),
            Mode::BestEffort | Mode::Durable(_) => None,
        };
        let in_data = self.data_dir.as_ref().map(|folder| folder.join("decision-log"));
        let settings = LogSettings {
            mode,
            notes: in_data.or(spilled),
            filter: self.filter()?,
            masks: Masks {
                encryption_context: mask("encryption_context", &log.encryption_context)?,
                principal_tags: mask("principal_tags", &log.principal_tags)?,
            },
            key,
            rotation: Rotation {
                bytes: log.rotate_bytes.unwrap_or_default(),
                age: duration(
                    "decision_log.rotate_age",
                    log.rotate_age.as_deref().unwrap_or("24h"),
                )?,
                keep: log.keep.unwrap_or_default(),
            },
            sinks,
        };
        if let Some(twice) = settings.sinks.iter().enumerate().find_map(|(index, place)| {
            settings.sinks.iter().skip(index + 1).find(|other| other.kind() == place.kind())
        }) {
            let message = format!("`{twice}`: one sink of each kind is enough");
            return Err(invalid("decision_log", message));
        }
        Ok((!settings.sinks.is_empty()).then_some(settings))
    }

    fn mode(&self, sinks: &[Place]) -> Result<Mode, InvalidConfig> {
        let log = &self.decision_log;
        let text = log.mode.as_deref().unwrap_or("best-effort");
        let (name, deadline) = text.split_once('=').unwrap_or((text, DEADLINE));
        match name {
            "durable" => Ok(Mode::Durable(duration("decision_log.mode", deadline)?)),
            "best-effort" if name == text => Ok(Mode::BestEffort),
            "spill" if name == text => {
                let beside = || {
                    sinks.iter().find_map(|place| match place {
                        Place::File(path) => Some(path.with_extension("spill")),
                        Place::Stdout | Place::Otlp => None,
                    })
                };
                let told = log.spill_dir.clone();
                let in_data = || self.data_dir.as_ref().map(|folder| folder.join("spill"));
                let folder = told.or_else(in_data).or_else(beside);
                let bytes = log.spill_bytes.unwrap_or(SPILL_BYTES);
                match folder {
                    Some(folder) => Ok(Mode::Spill(SpillSettings { folder, bytes })),
                    None if sinks.is_empty() => Ok(Mode::BestEffort),
                    None => Err(invalid(
                        "decision_log.mode",
                        "`spill` needs a place: give `--decision-log-spill-dir DIR` or `--data-dir DIR`",
                    )),
                }
            }
            _ => Err(invalid(
                "decision_log.mode",
                format!("`{text}`: expected `best-effort`, `spill`, `durable` or `durable=500ms`"),
            )),
        }
    }

    fn filter(&self) -> Result<Filter, InvalidConfig> {
        let log = &self.decision_log;
        let decision = |text: &String| {
            let all =
                [Verdict::Allowed, Verdict::ExplicitDeny, Verdict::ImplicitDeny, Verdict::KeyState];
            all.into_iter().find(|verdict| verdict.name() == text).ok_or_else(|| {
                let names = all.map(Verdict::name).join(", ");
                invalid("decision_log.decisions", format!("`{text}`: expected one of {names}"))
            })
        };
        let action = |text: &String| match &**text {
            "kms:ReEncrypt" => Ok("kms:ReEncrypt"),
            name => Action::from_name(name).map(Action::name).ok_or_else(|| {
                let message =
                    format!("KMS has no action `{name}`: expected one such as `kms:Decrypt`");
                invalid("decision_log.actions", message)
            }),
        };
        let allows = log.sample_allows.unwrap_or(1.0);
        if !(0.0..=1.0).contains(&allows) {
            let message = format!("`{allows}`: expected a number from 0 to 1");
            return Err(invalid("decision_log.sample_allows", message));
        }
        Ok(Filter {
            decisions: log.decisions.iter().map(decision).collect::<Result<_, _>>()?,
            actions: log.actions.iter().map(action).collect::<Result<_, _>>()?,
            allows,
        })
    }
}

fn sink(text: &str) -> Result<Place, InvalidConfig> {
    match text.split_once(':') {
        Some(("file", path)) if !path.is_empty() => Ok(Place::File(path.into())),
        None if text == "stdout" => Ok(Place::Stdout),
        None if text == "otlp" => Ok(Place::Otlp),
        _ => Err(invalid(
            "decision_log",
            format!("`{text}`: expected `file:PATH`, `stdout` or `otlp`"),
        )),
    }
}

/// The key that a file holds, without the end of its line.
pub(crate) fn key(name: &str, path: &Path) -> Result<Vec<u8>, InvalidConfig> {
    let name = format!("decision_log.{name}");
    let mut bytes = std::fs::read(path)
        .map_err(|error| invalid(&name, format!("cannot read `{}`: {error}", path.display())))?;
    while bytes.last().is_some_and(u8::is_ascii_whitespace) {
        bytes.pop();
    }
    if bytes.len() < KEY_BYTES {
        let message = format!("`{}` holds fewer than {KEY_BYTES} bytes", path.display());
        return Err(invalid(&name, message));
    }
    Ok(bytes)
}

/// A number and a unit: `250ms`, `30s`, `15m`, `24h`, `7d`.
fn duration(name: &str, text: &str) -> Result<Duration, InvalidConfig> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits).unwrap_or_default();
    let milliseconds = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => 0,
    };
    let number = u64::from_str(number).ok().filter(|number| *number > 0 && milliseconds > 0);
    match number.and_then(|number| number.checked_mul(milliseconds)) {
        Some(milliseconds) => Ok(Duration::from_millis(milliseconds)),
        None => Err(invalid(name, format!("`{text}`: expected a time such as `500ms` or `24h`"))),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::telemetry::{DecisionLogTable, TelemetryArgs, TelemetryTable, telemetry};
    use super::duration;

    #[track_caller]
    fn refused(args: &TelemetryArgs, part: &str) {
        let file = (&TelemetryTable::default(), &DecisionLogTable::default());
        let message = telemetry(args, file, None).unwrap_err().to_string();
        assert!(message.contains(part), "{message}");
    }

    #[test]
    fn values_that_cannot_be_used_are_refused_with_their_names() {
        let of = |sink: &str| TelemetryArgs {
            decision_log: vec![sink.to_owned()],
            ..TelemetryArgs::default()
        };
        refused(&of("syslog"), "decision_log: `syslog`: expected `file:PATH`");
        let with = |change: &dyn Fn(&mut TelemetryArgs)| {
            let mut args = of("stdout");
            change(&mut args);
            args
        };
        refused(&with(&|a| a.decision_log_mode = Some("fast".into())), "decision_log.mode: `fast`");
        refused(&with(&|a| a.decision_log_mode = Some("spill=1s".into())), "decision_log.mode");
        refused(&with(&|a| a.decision_log_mode = Some("spill".into())), "--decision-log-spill-dir");
        refused(&with(&|a| a.decision_log_mode = Some("durable=5".into())), "500ms");
        refused(&with(&|a| a.decision_log_decisions = vec!["deny".into()]), "explicitDeny");
        refused(&with(&|a| a.decision_log_actions = vec!["Decrypt".into()]), "kms:Decrypt");
        refused(&with(&|a| a.decision_log_sample_allows = Some(1.5)), "from 0 to 1");
        refused(&with(&|a| a.decision_log_principal_tags = Some("x".into())), "`hashed`");
        refused(&with(&|a| a.decision_log.push("stdout".into())), "of each kind");
    }

    #[test]
    fn times_have_a_unit() {
        let ok = |text: &str| duration("x", text).unwrap();
        assert_eq!(ok("250ms"), Duration::from_millis(250));
        assert_eq!(ok("7d"), Duration::from_secs(7 * 86_400));
        for text in ["", "1", "ms", "0s", "-1s", "1.5s", "99999999999999999d"] {
            assert!(duration("x", text).is_err(), "{text}");
        }
    }
}
