//! How the policy set is followed: flags and environment, file, defaults.

use std::path::Path;
use std::time::Duration;

use super::{File, InvalidConfig};
use crate::pdp::reload::Following;
use crate::pdp::status::{MaxStaleness, WhenStale};

/// How the policy set is followed.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct ReloadArgs {
    /// Quiet that must follow changes of loose files before they are read (default: 100ms); a
    /// swapped link is read at once
    #[arg(long, value_name = "TIME", env = "KEYWARD_SETTLE")]
    pub settle: Option<String>,

    /// How often to look at the policies, whatever the operating system tells (default: 5s)
    #[arg(long, value_name = "TIME", env = "KEYWARD_POLL_INTERVAL")]
    pub poll_interval: Option<String>,

    /// Whether the operating system is asked to tell of changes (default: true); for file systems
    /// that tell nothing
    #[arg(long, env = "KEYWARD_WATCH", num_args = 0..=1, default_missing_value = "true")]
    pub watch: Option<bool>,

    /// For how long the policies may be unreadable, and what then: TIME=serve, =deny or =not-ready
    /// (default: 1h=deny)
    #[arg(long, value_name = "TIME=ACTION", env = "KEYWARD_MAX_STALENESS")]
    pub max_staleness: Option<String>,

    /// Keep a copy of the last good policies in the data folder, for a start at which the source
    /// cannot be read (default: false)
    #[arg(long, env = "KEYWARD_KEEP_LAST_GOOD", num_args = 0..=1, default_missing_value = "true")]
    pub keep_last_good: Option<bool>,
}

/// How the policy set is followed, checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReloadConfig {
    /// When it is read.
    pub following: Following,
    /// Whether the operating system is asked to tell.
    pub watch: bool,
    /// Whether a copy of the last good set is kept.
    pub keep_last_good: bool,
}

/// The shortest pause between two looks.
const SHORTEST_POLL: Duration = Duration::from_millis(10);

/// The part of the configuration.
///
/// # Errors
///
/// A value that cannot be used.
pub(super) fn reload(
    args: &ReloadArgs,
    file: &File,
    data_dir: Option<&Path>,
) -> Result<ReloadConfig, InvalidConfig> {
    let told = |flag: &Option<String>, file: &Option<String>, default: &str| {
        flag.clone().or_else(|| file.clone()).unwrap_or_else(|| default.to_owned())
    };
    let settle = time("settle", &told(&args.settle, &file.settle, "100ms"))?;
    let poll = told(&args.poll_interval, &file.poll_interval, "5s");
    let poll = time("poll_interval", &poll)?;
    if poll < SHORTEST_POLL {
        return Err(InvalidConfig::Value("poll_interval: less than 10ms".to_owned()));
    }
    let max_staleness = staleness(&told(&args.max_staleness, &file.max_staleness, "1h=deny"))?;
    let watch = args.watch.or(file.watch).unwrap_or(true);
    let keep_last_good = args.keep_last_good.or(file.keep_last_good).unwrap_or(false);
    if keep_last_good && data_dir.is_none() {
        let message = "keep_last_good: there is no data folder to keep them in: give `--data-dir`";
        return Err(InvalidConfig::Value(message.to_owned()));
    }
    let following = Following { settle, poll, max_staleness };
    Ok(ReloadConfig { following, watch, keep_last_good })
}

/// `0`, `250ms`, `5s`, `10m`, `1h`.
pub(in crate::cli) fn time(name: &str, text: &str) -> Result<Duration, InvalidConfig> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let value: Option<u64> = digits.parse().ok();
    let unit = text.get(digits.len()..).unwrap_or_default();
    let read = value.and_then(|value| match (value, unit) {
        (_, "ms") => Some(Duration::from_millis(value)),
        (_, "s") => Some(Duration::from_secs(value)),
        (_, "m") => value.checked_mul(60).map(Duration::from_secs),
        (_, "h") => value.checked_mul(3600).map(Duration::from_secs),
        (0, "") => Some(Duration::ZERO),
        _ => None,
    });
    // Longer than anybody waits, and far from what overflows.
    read.filter(|time| *time <= Duration::from_secs(366 * 24 * 3600)).ok_or_else(|| {
        let message = format!("{name}: `{text}` is no time: expected a number with ms, s, m or h");
        InvalidConfig::Value(message)
    })
}

fn staleness(text: &str) -> Result<MaxStaleness, InvalidConfig> {
    let actions = [
        ("serve", WhenStale::Serve),
        ("deny", WhenStale::Deny),
        ("not-ready", WhenStale::NotReady),
    ];
    let read = text.split_once('=').and_then(|(after, action)| {
        let (_, then) = actions.into_iter().find(|(name, _)| *name == action)?;
        Some((after, then))
    });
    let Some((after, then)) = read else {
        return Err(InvalidConfig::Value(format!(
            "max_staleness: `{text}`: expected TIME=serve, TIME=deny or TIME=not-ready"
        )));
    };
    Ok(MaxStaleness { after: time("max_staleness", after)?, then })
}

/// A time as it is written.
pub(super) fn written(time: Duration) -> String {
    if time.subsec_millis() == 0 {
        format!("{}s", time.as_secs())
    } else {
        format!("{}ms", time.as_millis())
    }
}

/// A bound on staleness as it is written.
pub(super) fn staleness_written(MaxStaleness { after, then }: MaxStaleness) -> String {
    let then = match then {
        WhenStale::Serve => "serve",
        WhenStale::Deny => "deny",
        WhenStale::NotReady => "not-ready",
    };
    format!("{}={then}", written(after))
}

#[cfg(test)]
mod tests {
    use super::{staleness, staleness_written, time};

    #[track_caller]
    fn check(text: &str, millis: Option<u128>) {
        assert_eq!(time("t", text).ok().map(|time| time.as_millis()), millis, "{text:?}");
    }

    #[test]
    fn times_have_units() {
        check("0", Some(0));
        check("250ms", Some(250));
        check("5s", Some(5000));
        check("2m", Some(120_000));
        check("1h", Some(3_600_000));
        for text in ["", "5", "s", "-1s", "1.5s", "1d", "1 s", "99999999h", "99999999999999999999s"]
        {
            check(text, None);
        }
    }

    #[test]
    fn staleness_names_a_time_and_an_action() {
        for text in ["3600s=deny", "10s=serve", "250ms=not-ready"] {
            assert_eq!(staleness_written(staleness(text).unwrap()), text);
        }
        for text in ["1h", "deny", "1h=", "1h=allow", "=deny"] {
            assert!(staleness(text).is_err(), "{text}");
        }
    }
}
