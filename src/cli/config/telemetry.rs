//! What is told outside: flags, environment and file.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::InvalidConfig;
use super::decision_log::key;
use crate::telemetry::Settings;
use crate::telemetry::log::file::Rotation;
use crate::telemetry::log::opening::CannotOpen;
use crate::telemetry::otlp::settings::OtlpSettings;
use crate::telemetry::trace::Always;

/// Arguments about what is told outside. Flags come first, then the environment, then the file.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Telemetry")]
pub struct TelemetryArgs {
    /// Count and measure what is decided
    #[arg(long, env = "KEYWARD_TELEMETRY_METRICS", num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
    pub(super) telemetry_metrics: Option<bool>,

    /// Export traces and metrics to a collector that speaks OTLP/gRPC (also:
    /// OTEL_EXPORTER_OTLP_ENDPOINT and the other standard OTEL_ variables)
    #[arg(long, value_name = "URL", env = "KEYWARD_TELEMETRY_OTLP_ENDPOINT")]
    pub(super) telemetry_otlp_endpoint: Option<String>,

    /// Of calls whose caller does not say, trace this share, from 0 to 1 (default: 0.01)
    #[arg(long, value_name = "RATIO", env = "KEYWARD_TELEMETRY_TRACE_RATIO")]
    pub(super) telemetry_trace_ratio: Option<f64>,

    /// Export the spans of these whatever is sampled: denials, explanations (default: explanations)
    #[arg(
        long,
        value_name = "WHAT",
        env = "KEYWARD_TELEMETRY_TRACE_ALWAYS",
        value_delimiter = ','
    )]
    pub(super) telemetry_trace_always: Vec<String>,

    /// Record decisions: file:PATH, stdout or otlp; repeatable
    #[arg(long, value_name = "SINK", env = "KEYWARD_DECISION_LOG", value_delimiter = ',')]
    pub(super) decision_log: Vec<String>,

    /// When a record cannot be written at once: best-effort, spill (to disk), or durable[=DEADLINE] (no
    /// answer without its record)
    #[arg(long, value_name = "MODE", env = "KEYWARD_DECISION_LOG_MODE")]
    pub(super) decision_log_mode: Option<String>,

    /// Record these decisions alone: allowed, explicitDeny, implicitDeny, keyState
    #[arg(
        long,
        value_name = "DECISION",
        env = "KEYWARD_DECISION_LOG_DECISIONS",
        value_delimiter = ','
    )]
    pub(super) decision_log_decisions: Vec<String>,

    /// Record decisions on these actions alone, such as kms:Decrypt
    #[arg(
        long,
        value_name = "ACTION",
        env = "KEYWARD_DECISION_LOG_ACTIONS",
        value_delimiter = ','
    )]
    pub(super) decision_log_actions: Vec<String>,

    /// Of allows, record this share, from 0 to 1; denials are always recorded
    #[arg(long, value_name = "RATIO", env = "KEYWARD_DECISION_LOG_SAMPLE_ALLOWS")]
    pub(super) decision_log_sample_allows: Option<f64>,

    /// Values of encryption contexts in records: clear, hashed or omitted
    #[arg(long, value_name = "MASK", env = "KEYWARD_DECISION_LOG_ENCRYPTION_CONTEXT")]
    pub(super) decision_log_encryption_context: Option<String>,

    /// Values of principal tags in records: clear, hashed or omitted
    #[arg(long, value_name = "MASK", env = "KEYWARD_DECISION_LOG_PRINCIPAL_TAGS")]
    pub(super) decision_log_principal_tags: Option<String>,

    /// File with the key that records are chained with
    #[arg(long, value_name = "FILE", env = "KEYWARD_DECISION_LOG_KEY_FILE")]
    pub(super) decision_log_key_file: Option<PathBuf>,

    /// File with the key that values are hashed with (default: derived from the key of the chain, else
    /// a new one at each start)
    #[arg(long, value_name = "FILE", env = "KEYWARD_DECISION_LOG_MASK_KEY_FILE")]
    pub(super) decision_log_mask_key_file: Option<PathBuf>,

    /// Put the log file aside before it grows beyond this
    #[arg(long, value_name = "BYTES", env = "KEYWARD_DECISION_LOG_ROTATE_BYTES")]
    pub(super) decision_log_rotate_bytes: Option<u64>,

    /// Put the log file aside when it is this old, such as 24h
    #[arg(long, value_name = "AGE", env = "KEYWARD_DECISION_LOG_ROTATE_AGE")]
    pub(super) decision_log_rotate_age: Option<String>,

    /// Keep so many files that were put aside
    #[arg(long, value_name = "COUNT", env = "KEYWARD_DECISION_LOG_KEEP")]
    pub(super) decision_log_keep: Option<usize>,

    /// Folder for records that wait (default: spill in the data folder, else beside the log file)
    #[arg(long, value_name = "DIR", env = "KEYWARD_DECISION_LOG_SPILL_DIR")]
    pub(super) decision_log_spill_dir: Option<PathBuf>,

    /// The most that waits on disk for a sink
    #[arg(long, value_name = "BYTES", env = "KEYWARD_DECISION_LOG_SPILL_BYTES")]
    pub(super) decision_log_spill_bytes: Option<u64>,
}

/// `[telemetry]` of the file.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct TelemetryTable {
    metrics: Option<bool>,
    otlp_endpoint: Option<String>,
    trace_ratio: Option<f64>,
    trace_always: Vec<String>,
}

/// `[decision_log]` of the file.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct DecisionLogTable {
    pub(super) sinks: Vec<String>,
    pub(super) mode: Option<String>,
    pub(super) decisions: Vec<String>,
    pub(super) actions: Vec<String>,
    pub(super) sample_allows: Option<f64>,
    pub(super) encryption_context: Option<String>,
    pub(super) principal_tags: Option<String>,
    pub(super) key_file: Option<PathBuf>,
    pub(super) mask_key_file: Option<PathBuf>,
    pub(super) rotate_bytes: Option<u64>,
    pub(super) rotate_age: Option<String>,
    pub(super) keep: Option<usize>,
    pub(super) spill_dir: Option<PathBuf>,
    pub(super) spill_bytes: Option<u64>,
}

/// What is told outside, as the configuration has it.
#[derive(Clone, Debug, Default)]
pub struct TelemetryConfig {
    pub(super) telemetry: TelemetryTable,
    pub(super) decision_log: DecisionLogTable,
    pub(super) data_dir: Option<PathBuf>,
}

/// Bytes that wait on disk, when nothing else is said.
pub(super) const SPILL_BYTES: u64 = 256 * 1024 * 1024;

/// Puts flags, environment and file together.
///
/// # Errors
///
/// A value that cannot be used.
pub(super) fn telemetry(
    args: &TelemetryArgs,
    file: (&TelemetryTable, &DecisionLogTable),
    data_dir: Option<&Path>,
) -> Result<TelemetryConfig, InvalidConfig> {
    let (telemetry, log) = file;
    let list = |told: &[String], file: &[String]| {
        if told.is_empty() { file.to_vec() } else { told.to_vec() }
    };
    let text = |told: &Option<String>, file: &Option<String>, default: &str| {
        Some(told.clone().or_else(|| file.clone()).unwrap_or_else(|| default.to_owned()))
    };
    let rotation = Rotation::default();
    let config = TelemetryConfig {
        telemetry: TelemetryTable {
            metrics: Some(args.telemetry_metrics.or(telemetry.metrics).unwrap_or(true)),
            otlp_endpoint: args
                .telemetry_otlp_endpoint
                .clone()
                .or_else(|| telemetry.otlp_endpoint.clone()),
            trace_ratio: Some(args.telemetry_trace_ratio.or(telemetry.trace_ratio).unwrap_or(0.01)),
            trace_always: match list(&args.telemetry_trace_always, &telemetry.trace_always) {
                none if none.is_empty() => vec!["explanations".to_owned()],
                told => told,
            },
        },
        decision_log: DecisionLogTable {
            sinks: list(&args.decision_log, &log.sinks),
            mode: text(&args.decision_log_mode, &log.mode, "best-effort"),
            decisions: list(&args.decision_log_decisions, &log.decisions),
            actions: list(&args.decision_log_actions, &log.actions),
            sample_allows: Some(
                args.decision_log_sample_allows.or(log.sample_allows).unwrap_or(1.0),
            ),
            encryption_context: text(
                &args.decision_log_encryption_context,
                &log.encryption_context,
                "hashed",
            ),
            principal_tags: text(&args.decision_log_principal_tags, &log.principal_tags, "hashed"),
            key_file: args.decision_log_key_file.clone().or_else(|| log.key_file.clone()),
            mask_key_file: args
                .decision_log_mask_key_file
                .clone()
                .or_else(|| log.mask_key_file.clone()),
            rotate_bytes: Some(
                args.decision_log_rotate_bytes.or(log.rotate_bytes).unwrap_or(rotation.bytes),
            ),
            rotate_age: text(&args.decision_log_rotate_age, &log.rotate_age, "24h"),
            keep: Some(args.decision_log_keep.or(log.keep).unwrap_or(rotation.keep)),
            spill_dir: args.decision_log_spill_dir.clone().or_else(|| log.spill_dir.clone()),
            spill_bytes: Some(
                args.decision_log_spill_bytes.or(log.spill_bytes).unwrap_or(SPILL_BYTES),
            ),
        },
        data_dir: data_dir.map(Path::to_owned),
    };
    config.check()?;
    Ok(config)
}

pub(super) fn invalid(key: &str, message: impl std::fmt::Display) -> InvalidConfig {
    InvalidConfig::Value(format!("{key}: {message}"))
}

impl TelemetryConfig {
    /// Whether every value can be used; keys are not read.
    fn check(&self) -> Result<(), InvalidConfig> {
        let log = &self.decision_log;
        self.always()?;
        let otlp = self.otlp()?;
        if otlp.logs.is_none() && log.sinks.iter().any(|sink| sink == "otlp") {
            return Err(invalid("decision_log", CannotOpen::NoCollector));
        }
        self.log_settings(None, &[]).map(drop)?;
        for path in [&log.key_file, &log.mask_key_file].into_iter().flatten() {
            if log.sinks.is_empty() {
                let path = path.display();
                return Err(invalid("decision_log", format!("a key `{path}` and no sink")));
            }
        }
        Ok(())
    }

    /// The settings, with the keys that the files hold.
    ///
    /// # Errors
    ///
    /// A key cannot be read.
    pub fn settings(&self) -> Result<Settings, InvalidConfig> {
        let log = &self.decision_log;
        let chain = log.key_file.as_deref().map(|path| key("key_file", path)).transpose()?;
        let mask = match (&log.mask_key_file, &chain) {
            (Some(path), _) => key("mask_key_file", path)?,
            // The two must not be the same: who may verify need not be able to try out values.
            (None, Some(key)) => [b"keyward mask: ", &**key].concat(),
            (None, None) => {
                let mut fresh = vec![0; 32];
                getrandom::fill(&mut fresh).map_err(|error| invalid("decision_log", error))?;
                fresh
            }
        };
        Ok(Settings {
            metrics: self.telemetry.metrics.unwrap_or(true),
            log: self.log_settings(chain, &mask)?,
            otlp: self.otlp()?,
            always: self.always()?,
        })
    }

    /// What is exported: what is said here stands where the standard variables say nothing.
    fn otlp(&self) -> Result<OtlpSettings, InvalidConfig> {
        let read = |name: &str| std::env::var_os(name)?.into_string().ok();
        let ratio = self.telemetry.trace_ratio.unwrap_or(0.01);
        if !(0.0..=1.0).contains(&ratio) {
            let message = format!("`{ratio}`: expected a number from 0 to 1");
            return Err(invalid("telemetry.trace_ratio", message));
        }
        OtlpSettings::read(&read, self.telemetry.otlp_endpoint.as_deref(), ratio)
            .map_err(|error| InvalidConfig::Value(error.to_string()))
    }

    fn always(&self) -> Result<Always, InvalidConfig> {
        let mut always = Always::default();
        for text in &self.telemetry.trace_always {
            match &**text {
                "denials" => always.denials = true,
                "explanations" => always.explanations = true,
                "none" => {}
                other => {
                    let message =
                        format!("`{other}`: expected `denials`, `explanations` or `none`");
                    return Err(invalid("telemetry.trace_always", message));
                }
            }
        }
        Ok(always)
    }
}
