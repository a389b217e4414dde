//! Flags, environment and file become one checked configuration.

pub mod access;
pub mod decision_log;
pub mod reload;
pub mod serve;
pub mod telemetry;

use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::engine::bundle::{Limits, Options, Part};
use crate::engine::evaluation::Evaluation;
use crate::engine::term::key_id::is_region;
use crate::lint::rule::Severity;
use crate::rpc::listener::{Address, InvalidAddress};

/// Where the policy set is and how it is read. Flags come first, then the environment.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct PolicyArgs {
    /// Folder of the policy set
    #[arg(long, value_name = "DIR", env = "KEYWARD_POLICIES")]
    pub policies: Option<PathBuf>,

    /// Parts that the set must have: keys, aliases, grants, iam, organization, endpoints, assertions
    #[arg(long, value_name = "PART", env = "KEYWARD_POLICIES_REQUIRE", value_delimiter = ',')]
    pub policies_require: Vec<String>,

    /// Refuse a set in which `keyward lint` finds something at least this bad: error,
    /// security-warning, warning or suggestion
    #[arg(long, value_name = "SEVERITY", env = "KEYWARD_POLICIES_FAIL_ON")]
    pub policies_fail_on: Option<String>,

    /// Give keys without a policy the default key policy of KMS
    #[arg(long, env = "KEYWARD_ASSUME_DEFAULT_KEY_POLICY", num_args = 0..=1, default_missing_value = "true")]
    pub assume_default_key_policy: Option<bool>,

    /// Accept a set without any content
    #[arg(long, env = "KEYWARD_ALLOW_EMPTY", num_args = 0..=1, default_missing_value = "true")]
    pub allow_empty: Option<bool>,

    /// Region of requests that name none (also: AWS_REGION)
    #[arg(long, env = "KEYWARD_REGION")]
    pub region: Option<String>,

    /// Largest document, in bytes
    #[arg(long, value_name = "BYTES", env = "KEYWARD_LIMITS_DOCUMENT_BYTES")]
    pub limits_document_bytes: Option<usize>,

    /// Deepest nesting of a document
    #[arg(long, value_name = "LEVELS", env = "KEYWARD_LIMITS_DEPTH")]
    pub limits_depth: Option<usize>,

    /// Set a switch of the evaluation: NAME=VALUE, such as `profile=dual-control` (also:
    /// `--evaluation-NAME VALUE`, KEYWARD_EVALUATION_NAME)
    #[arg(long, value_name = "NAME=VALUE")]
    pub evaluation: Vec<String>,

    /// Configuration file (TOML)
    #[arg(long, value_name = "FILE", env = "KEYWARD_CONFIG")]
    pub config: Option<PathBuf>,
}

/// How the log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// A JSON object a line.
    Json,
}

/// What the file says; it takes part below flags and environment.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct File {
    listen: Vec<String>,
    admin_listen: Vec<String>,
    http_listen: Vec<String>,
    data_dir: Option<PathBuf>,
    region: Option<String>,
    threads: Option<NonZeroUsize>,
    insecure_plaintext: Option<bool>,
    log_format: Option<LogFormat>,
    assume_default_key_policy: Option<bool>,
    allow_empty: Option<bool>,
    settle: Option<String>,
    poll_interval: Option<String>,
    watch: Option<bool>,
    max_staleness: Option<String>,
    keep_last_good: Option<bool>,
    callers: Option<PathBuf>,
    anonymous: Option<bool>,
    tls: access::TlsTable,
    drain: access::DrainTable,
    policies: PoliciesTable,
    limits: LimitsTable,
    grants: GrantsTable,
    telemetry: telemetry::TelemetryTable,
    decision_log: telemetry::DecisionLogTable,
    evaluation: toml::Table,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct PoliciesTable {
    path: Option<PathBuf>,
    require: Vec<String>,
    fail_on: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct LimitsTable {
    document_bytes: Option<usize>,
    depth: Option<usize>,
    connections: Option<usize>,
    calls: Option<usize>,
    streams: Option<u32>,
    message_bytes: Option<usize>,
    message_time: Option<String>,
    incoming_bytes: Option<usize>,
    connection_age: Option<String>,
    keepalive: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct GrantsTable {
    per_key: Option<u64>,
}

/// Where the policy set is and how it is read, checked.
#[derive(Clone, Debug)]
pub struct PolicyConfig {
    /// The folder.
    pub folder: PathBuf,
    /// How it is read.
    pub options: Options,
    /// A set in which something at least this bad is found is refused.
    pub fail_on: Option<Severity>,
}

/// The configuration cannot be used: nothing is started.
#[derive(Debug, thiserror::Error)]
pub enum InvalidConfig {
    /// The file cannot be read.
    #[error("cannot read the configuration `{}`: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not what it should be.
    #[error("in the configuration `{}`: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What and where.
        source: Box<toml::de::Error>,
    },
    /// No folder is named.
    #[error(
        "no policies: give `--policies DIR`, KEYWARD_POLICIES, or `policies.path` in the configuration"
    )]
    NoPolicies,
    /// A value is not one that its key can have.
    #[error("{0}")]
    Value(String),
    /// An address cannot be read.
    #[error("{key}: {source}")]
    Address {
        /// Of which key.
        key: &'static str,
        /// What is wrong with it.
        source: InvalidAddress,
    },
    /// The address can be reached by others, in plaintext.
    #[error(
        "{0} can be reached from other machines, in plaintext: give `--tls-cert` and `--tls-key`, listen on loopback or a Unix socket, or say `--insecure-plaintext`"
    )]
    Exposed(Address),
    /// Whoever reaches the address could act as anybody.
    #[error(
        "admin-listen: whoever reaches {0} could create grants for anybody: use a Unix socket, whose permissions say who may, or `--tls-client-ca` with a callers file that says `admin = true` of operators"
    )]
    Admin(Address),
}

/// The file that flags or environment name.
///
/// # Errors
///
/// It cannot be read, or holds what it should not.
pub fn file(args: &PolicyArgs) -> Result<File, InvalidConfig> {
    let Some(path) = &args.config else { return Ok(File::default()) };
    let text = fs::read_to_string(path)
        .map_err(|source| InvalidConfig::Unreadable { path: path.clone(), source })?;
    parse(&text, path)
}

/// Reads the text of a configuration file; `path` is for the message alone.
///
/// # Errors
///
/// It holds what it should not.
pub fn parse(text: &str, path: &Path) -> Result<File, InvalidConfig> {
    toml::from_str(text)
        .map_err(|source| InvalidConfig::File { path: path.to_owned(), source: Box::new(source) })
}

/// The policy set's part of the configuration.
///
/// # Errors
///
/// A value that cannot be used.
pub fn policies(args: &PolicyArgs, file: &File) -> Result<PolicyConfig, InvalidConfig> {
    let folder = args.policies.clone().or_else(|| file.policies.path.clone());
    let folder = folder.ok_or(InvalidConfig::NoPolicies)?;
    let defaults = Limits::default();
    let options = Options {
        assume_default_key_policy: args
            .assume_default_key_policy
            .or(file.assume_default_key_policy)
            .unwrap_or(false),
        allow_empty: args.allow_empty.or(file.allow_empty).unwrap_or(false),
        require: require(if args.policies_require.is_empty() {
            &file.policies.require
        } else {
            &args.policies_require
        })?,
        limits: Limits {
            document_bytes: args
                .limits_document_bytes
                .or(file.limits.document_bytes)
                .unwrap_or(defaults.document_bytes),
            depth: args.limits_depth.or(file.limits.depth).unwrap_or(defaults.depth),
        },
        evaluation: evaluation(args, file)?,
        default_region: region(args.region.clone().or_else(|| file.region.clone()))?,
    };
    let fail_on = args.policies_fail_on.as_ref().or(file.policies.fail_on.as_ref());
    let fail_on = fail_on.map(|text| severity(text)).transpose()?;
    Ok(PolicyConfig { folder, options, fail_on })
}

fn severity(text: &str) -> Result<Severity, InvalidConfig> {
    Severity::from_name(text).ok_or_else(|| {
        let known = Severity::ALL.map(Severity::name).join(", ");
        InvalidConfig::Value(format!(
            "policies.fail_on: no severity `{text}`: expected one of {known}"
        ))
    })
}

fn require(parts: &[String]) -> Result<Vec<String>, InvalidConfig> {
    match parts.iter().find(|part| Part::from_name(part).is_none()) {
        Some(part) => {
            let known: Vec<&str> = Part::ALL.into_iter().map(Part::name).collect();
            let message =
                format!("policies.require: no part `{part}`: expected one of {}", known.join(", "));
            Err(InvalidConfig::Value(message))
        }
        None => Ok(parts.to_vec()),
    }
}

fn region(told: Option<String>) -> Result<Option<Box<str>>, InvalidConfig> {
    let from_aws = || std::env::var_os("AWS_REGION").and_then(|value| value.into_string().ok());
    match told.or_else(from_aws).filter(|text| !text.is_empty()) {
        Some(text) if !is_region(&text) => Err(InvalidConfig::Value(format!(
            "region: `{text}` is no Region: expected a name such as `us-west-2`"
        ))),
        found => Ok(found.map(Into::into)),
    }
}

/// File first, then environment, then flags: the later wins.
fn evaluation(args: &PolicyArgs, file: &File) -> Result<Evaluation, InvalidConfig> {
    let mut evaluation = Evaluation::default();
    let mut set = |name: &str, value: &str| {
        evaluation.set(name, value).map_err(|error| InvalidConfig::Value(error.to_string()))
    };
    for (name, value) in &file.evaluation {
        match value {
            toml::Value::String(text) => set(name, text)?,
            toml::Value::Boolean(value) => set(name, if *value { "true" } else { "false" })?,
            _ => {
                return Err(InvalidConfig::Value(format!(
                    "evaluation.{name}: expected a text or a truth value"
                )));
            }
        }
    }
    for name in Evaluation::NAMES {
        let variable = format!("KEYWARD_EVALUATION_{}", name.to_uppercase());
        if let Some(value) = std::env::var_os(&variable) {
            set(name, &value.to_string_lossy())?;
        }
    }
    for pair in &args.evaluation {
        let (name, value) = pair.split_once('=').ok_or_else(|| {
            InvalidConfig::Value(format!("--evaluation `{pair}`: expected NAME=VALUE"))
        })?;
        set(name, value)?;
    }
    Ok(evaluation)
}
