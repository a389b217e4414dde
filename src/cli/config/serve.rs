//! The configuration of `keyward serve`.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use super::access::{AccessArgs, AccessConfig, access};
use super::reload::{ReloadArgs, ReloadConfig, reload, staleness_written, written};
use super::telemetry::{TelemetryArgs, TelemetryConfig, telemetry};
use super::{
    File, GrantsTable, InvalidConfig, LimitsTable, LogFormat, PoliciesTable, PolicyArgs,
    PolicyConfig, file, policies,
};
use crate::rpc::listener::Address;

/// How `keyward serve` runs, checked.
#[derive(Clone, Debug)]
pub struct ServeConfig {
    /// The policy set.
    pub policies: PolicyConfig,
    /// How the policy set is followed.
    pub reload: ReloadConfig,
    /// Where to listen; not empty.
    pub listen: Vec<Address>,
    /// Where operators come in; may be empty.
    pub admin_listen: Vec<Address>,
    /// Where metrics and probes are served; may be empty.
    pub http_listen: Vec<Address>,
    /// Who may come in, and how much at once.
    pub access: AccessConfig,
    /// What is told outside.
    pub telemetry: TelemetryConfig,
    /// Where state is kept, if it is.
    pub data_dir: Option<PathBuf>,
    /// The most grants that a key may have.
    pub grants_per_key: u64,
    /// Threads that answer authorization questions.
    pub threads: NonZeroUsize,
    /// Listen in plaintext off loopback too.
    pub insecure_plaintext: bool,
    /// How the log is written; without a choice, as standard error deserves.
    pub log_format: Option<LogFormat>,
}

/// Where the data service listens when nothing is said.
const DEFAULT_LISTEN: &str = "127.0.0.1:7180";

/// Where metrics and probes are served when nothing is said.
const DEFAULT_HTTP_LISTEN: &str = "127.0.0.1:7181";

/// Source: AWS KMS Developer Guide, "Resource quotas" (grants per KMS key).
const GRANTS_PER_KEY: u64 = 50_000;

/// The arguments of `keyward serve` that are not about the policy set.
#[derive(Clone, Debug, Default)]
pub struct ServeArgs {
    /// How the policy set is followed.
    pub reload: ReloadArgs,
    /// `--listen`.
    pub listen: Vec<String>,
    /// `--admin-listen`.
    pub admin_listen: Vec<String>,
    /// `--http-listen`.
    pub http_listen: Vec<String>,
    /// Who may come in, and how much at once.
    pub access: AccessArgs,
    /// What is told outside.
    pub telemetry: TelemetryArgs,
    /// `--data-dir`.
    pub data_dir: Option<PathBuf>,
    /// `--grants-per-key`.
    pub grants_per_key: Option<u64>,
    /// `--threads`.
    pub threads: Option<NonZeroUsize>,
    /// `--insecure-plaintext`.
    pub insecure_plaintext: Option<bool>,
    /// `--log-format`.
    pub log_format: Option<LogFormat>,
}

/// The whole configuration of `keyward serve`.
///
/// # Errors
///
/// A value that cannot be used, or an address that is not safe.
pub fn serve(policy_args: &PolicyArgs, args: &ServeArgs) -> Result<ServeConfig, InvalidConfig> {
    let file = file(policy_args)?;
    let policies = policies(policy_args, &file)?;
    let default_listen = [DEFAULT_LISTEN.to_owned()];
    let listen = addresses("listen", &args.listen, &file.listen)?;
    let listen =
        if listen.is_empty() { addresses("listen", &default_listen, &[])? } else { listen };
    let data_dir = args.data_dir.clone().or_else(|| file.data_dir.clone());
    let mut admin_listen = addresses("admin-listen", &args.admin_listen, &file.admin_listen)?;
    if admin_listen.is_empty() {
        admin_listen.extend(admin_socket(data_dir.as_deref()));
    }
    let http_listen = http(&args.http_listen, &file.http_listen)?;
    let telemetry =
        telemetry(&args.telemetry, (&file.telemetry, &file.decision_log), data_dir.as_deref())?;
    let insecure_plaintext = args.insecure_plaintext.or(file.insecure_plaintext).unwrap_or(false);
    let access = access(&args.access, &file)?;
    access.check(&listen, &admin_listen, insecure_plaintext)?;
    Ok(ServeConfig {
        policies,
        reload: reload(&args.reload, &file, data_dir.as_deref())?,
        listen,
        admin_listen,
        http_listen,
        access,
        telemetry,
        data_dir,
        grants_per_key: args.grants_per_key.or(file.grants.per_key).unwrap_or(GRANTS_PER_KEY),
        threads: args.threads.or(file.threads).unwrap_or_else(cores),
        insecure_plaintext,
        log_format: args.log_format.or(file.log_format),
    })
}

/// Where metrics and probes are served: as said, nowhere for `none`, else where Prometheus looks.
fn http(told: &[String], file: &[String]) -> Result<Vec<Address>, InvalidConfig> {
    let texts = if told.is_empty() { file } else { told };
    match texts {
        [] => addresses("http-listen", &[DEFAULT_HTTP_LISTEN.to_owned()], &[]),
        [none] if none == "none" => Ok(Vec::new()),
        texts => addresses("http-listen", texts, &[]),
    }
}

/// The cores that this process may use.
fn cores() -> NonZeroUsize {
    // Where that cannot be told, one thread is right.
    std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}

/// Flags or environment, else the file.
fn addresses(
    key: &'static str,
    told: &[String],
    file: &[String],
) -> Result<Vec<Address>, InvalidConfig> {
    let texts = if told.is_empty() { file } else { told };
    let read =
        |text: &String| text.parse().map_err(|source| InvalidConfig::Address { key, source });
    texts.iter().map(read).collect()
}

/// The socket for operators when nothing is said: in the data folder, or in the user's runtime
/// folder. Both are nobody else's.
fn admin_socket(data_dir: Option<&Path>) -> Option<Address> {
    let runtime = || {
        let folder = std::env::var_os("XDG_RUNTIME_DIR").filter(|folder| !folder.is_empty())?;
        Some(Path::new(&folder).join("keyward"))
    };
    let folder = data_dir.map(Path::to_owned).or_else(runtime)?;
    Some(Address::Unix(folder.join("admin.sock")))
}

/// The configuration as a file that says the same.
#[must_use]
pub fn as_toml(config: &ServeConfig) -> String {
    let options = &config.policies.options;
    let AccessConfig { limits, .. } = config.access;
    let (tls, drain) = config.access.tables();
    let file = File {
        listen: config.listen.iter().map(ToString::to_string).collect(),
        admin_listen: config.admin_listen.iter().map(ToString::to_string).collect(),
        http_listen: if config.http_listen.is_empty() {
            vec!["none".to_owned()]
        } else {
            config.http_listen.iter().map(ToString::to_string).collect()
        },
        telemetry: config.telemetry.telemetry.clone(),
        decision_log: config.telemetry.decision_log.clone(),
        data_dir: config.data_dir.clone(),
        region: options.default_region.as_deref().map(str::to_owned),
        threads: Some(config.threads),
        insecure_plaintext: Some(config.insecure_plaintext),
        log_format: config.log_format,
        assume_default_key_policy: Some(options.assume_default_key_policy),
        allow_empty: Some(options.allow_empty),
        settle: Some(written(config.reload.following.settle)),
        poll_interval: Some(written(config.reload.following.poll)),
        watch: Some(config.reload.watch),
        keep_last_good: Some(config.reload.keep_last_good),
        max_staleness: Some(staleness_written(config.reload.following.max_staleness)),
        policies: PoliciesTable {
            path: Some(config.policies.folder.clone()),
            require: options.require.clone(),
            fail_on: config.policies.fail_on.map(|severity| severity.name().to_owned()),
        },
        limits: LimitsTable {
            document_bytes: Some(options.limits.document_bytes),
            depth: Some(options.limits.depth),
            connections: Some(limits.connections),
            calls: Some(limits.calls),
            streams: Some(limits.streams),
            message_bytes: Some(limits.message_bytes),
            message_time: Some(written(limits.message_time)),
            incoming_bytes: Some(limits.incoming_bytes),
            connection_age: Some(written(limits.connection_age)),
            keepalive: Some(written(limits.keepalive)),
        },
        callers: config.access.callers.clone(),
        anonymous: Some(config.access.anonymous),
        tls,
        drain,
        grants: GrantsTable { per_key: Some(config.grants_per_key) },
        evaluation: options
            .evaluation
            .values()
            .map(|(name, value)| (name.to_owned(), toml::Value::from(value)))
            .collect(),
    };
    toml::to_string(&file).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::{PolicyArgs, parse};
    use super::{ServeArgs, as_toml, serve};

    fn args(policies: &[&str]) -> PolicyArgs {
        PolicyArgs {
            policies: Some("p".into()),
            evaluation: policies.iter().map(ToString::to_string).collect(),
            ..PolicyArgs::default()
        }
    }

    #[test]
    fn the_printed_configuration_is_a_file_that_says_the_same() {
        let config = serve(&args(&["profile=dual-control"]), &ServeArgs::default()).unwrap();
        let text = as_toml(&config);
        let again = parse(&text, Path::new("x")).unwrap();
        assert_eq!(again.evaluation["profile"].as_str(), Some("dual-control"), "{text}");
        assert_eq!(again.listen, ["127.0.0.1:7180"]);
    }

    #[test]
    fn nonsense_is_refused_with_its_name() {
        let error = |args: &PolicyArgs, serve_args: &ServeArgs| {
            serve(args, serve_args).unwrap_err().to_string()
        };
        let none = ServeArgs::default();
        assert!(error(&PolicyArgs::default(), &none).contains("--policies"));
        assert!(error(&args(&["nonsense=1"]), &none).contains("evaluation.nonsense"));
        assert!(error(&args(&["profile"]), &none).contains("NAME=VALUE"));
        let open = ServeArgs { listen: vec!["0.0.0.0:1".to_owned()], ..ServeArgs::default() };
        assert!(error(&args(&[]), &open).contains("--insecure-plaintext"));
        assert!(
            parse("listn = []", Path::new("k.toml")).unwrap_err().to_string().contains("listn")
        );
    }
}
