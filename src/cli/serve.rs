//! `keyward serve`: the service.

use std::io::{self, IsTerminal as _, Write as _};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::access::{self, Access};
use super::config::access::AccessArgs;
use super::config::reload::ReloadArgs;
use super::config::serve::{ServeArgs, ServeConfig, as_toml, serve as configuration};
use super::config::telemetry::TelemetryArgs;
use super::config::{LogFormat, PolicyArgs};
use super::{DONE, FAILED, PROBLEMS, USAGE, fail, policies, render, service_manager};
use crate::engine::snapshot::Snapshot;
use crate::pdp::Pdp;
use crate::pdp::counters::CacheCounts;
use crate::pdp::grants::GrantStore;
use crate::pdp::live::Live;
use crate::pdp::what_if::Folder;
use crate::rpc::listener::{ADMIN_SOCKET, DATA_SOCKET, Listener};
use crate::rpc::server::{self, Listeners, Services};
use crate::store::grants::opening::OpenError;
use crate::telemetry::Telemetry;
use crate::telemetry::observed::Quantity;

/// Arguments of `keyward serve`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  keyward serve --policies examples/quickstart\n  keyward serve --policies /etc/keyward \
                        --listen unix:/run/keyward/pdp.sock\n  keyward serve --policies /etc/keyward --data-dir /var/lib/keyward\n  keyward serve --config keyward.toml --check-config\n\n\
                        Exit codes: 0 stopped by SIGTERM or SIGINT, 1 failed, 3 problems in policies, 64 usage"
)]
pub struct Args {
    #[command(flatten)]
    policies: PolicyArgs,

    #[command(flatten)]
    reload: ReloadArgs,

    /// Where to listen: host:port (port 0 = any, the log tells) or unix:PATH; repeatable
    #[arg(long, value_name = "ADDR", env = "KEYWARD_LISTEN", value_delimiter = ',')]
    listen: Vec<String>,

    /// Where operators come in; repeatable (default: unix:DATA_DIR/admin.sock, else
    /// unix:$XDG_RUNTIME_DIR/keyward/admin.sock)
    #[arg(long, value_name = "ADDR", env = "KEYWARD_ADMIN_LISTEN", value_delimiter = ',')]
    admin_listen: Vec<String>,

    /// Where metrics and probes are served: host:port, unix:PATH or none (default: 127.0.0.1:7181)
    #[arg(long, value_name = "ADDR", env = "KEYWARD_HTTP_LISTEN", value_delimiter = ',')]
    http_listen: Vec<String>,

    #[command(flatten)]
    access: AccessArgs,

    #[command(flatten)]
    telemetry: TelemetryArgs,

    /// Folder for state: the grants database
    #[arg(long, value_name = "DIR", env = "KEYWARD_DATA_DIR")]
    data_dir: Option<PathBuf>,

    /// The most grants that a key may have (default: 50000, as in KMS)
    #[arg(long, value_name = "COUNT", env = "KEYWARD_GRANTS_PER_KEY")]
    grants_per_key: Option<u64>,

    /// Threads that answer authorization questions (default: one a core)
    #[arg(long, value_name = "COUNT", env = "KEYWARD_THREADS")]
    threads: Option<NonZeroUsize>,

    /// Listen in plaintext on addresses that other machines can reach
    #[arg(long, env = "KEYWARD_INSECURE_PLAINTEXT", num_args = 0..=1, default_missing_value = "true")]
    insecure_plaintext: Option<bool>,

    /// How to write the log; by default text on a terminal, else JSON
    #[arg(long, value_enum, env = "KEYWARD_LOG_FORMAT")]
    log_format: Option<LogFormat>,

    /// Print the configuration that would be used, and do nothing else
    #[arg(long)]
    check_config: bool,
}

/// Serves until told to stop.
#[must_use]
pub fn run(args: &Args) -> u8 {
    let serve_args = ServeArgs {
        reload: args.reload.clone(),
        listen: args.listen.clone(),
        admin_listen: args.admin_listen.clone(),
        http_listen: args.http_listen.clone(),
        access: args.access.clone(),
        telemetry: args.telemetry.clone(),
        data_dir: args.data_dir.clone(),
        grants_per_key: args.grants_per_key,
        threads: args.threads,
        insecure_plaintext: args.insecure_plaintext,
        log_format: args.log_format,
    };
    let config = match configuration(&args.policies, &serve_args) {
        Ok(config) => config,
        Err(error) => return fail(USAGE, error),
    };
    if args.check_config {
        let written = write!(io::stdout(), "{}", as_toml(&config));
        return if written.is_ok() { DONE } else { FAILED };
    }
    log(config.log_format);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(FAILED, error),
    };
    // Before anything is read: a change that is told meanwhile must not end the process.
    let hangup = match runtime.block_on(async { signal(SignalKind::hangup()) }) {
        Ok(hangup) => hangup,
        Err(error) => return fail(FAILED, error),
    };
    let colour = render::colour_on_stderr();
    let start = match policies::start(&config) {
        Ok(start) => start,
        Err(problems) => {
            // Nobody reads standard error: the exit code still tells.
            let _ = render::problems(problems.as_slice(), &mut io::stderr().lock(), colour);
            return fail(PROBLEMS, "the policy set cannot be used; nothing is served");
        }
    };
    let built = &start.built;
    // Warnings do not keep anybody from serving, told or not.
    let _ = render::problems(&built.warnings, &mut io::stderr().lock(), colour);
    tracing::info!(
        revision = &*built.snapshot.revision,
        keys = built.snapshot.keys.len(),
        grants = built.snapshot.grants.len(),
        "policy set loaded"
    );
    let pdp = match pdp(&config, built.snapshot.clone()) {
        Ok(pdp) => pdp,
        Err(error) => return fail(FAILED, error),
    };
    let telemetry = match config.telemetry.settings() {
        Ok(settings) => Telemetry::start(settings),
        Err(error) => return fail(FAILED, error),
    };
    let telemetry = match telemetry {
        Ok(telemetry) => telemetry,
        Err(error) => return fail(FAILED, error),
    };
    let access = match access::access(&config.access) {
        Ok(access) => access,
        Err(error) => return fail(FAILED, error),
    };
    let folder =
        Folder { path: config.policies.folder.clone(), options: config.policies.options.clone() };
    let pdp = Arc::new(pdp.from_folder(folder));
    let ended = runtime.block_on(serve(&config, pdp, (start, access, hangup), telemetry.clone()));
    telemetry.close();
    match ended {
        Ok(()) => {
            tracing::info!("stopped");
            DONE
        }
        Err(error) => fail(FAILED, error),
    }
}

/// The snapshot, and the grants database behind it where there is one.
fn pdp(config: &ServeConfig, snapshot: Snapshot) -> Result<Pdp, OpenError> {
    let Some(folder) = &config.data_dir else { return Ok(Pdp::new(snapshot)) };
    let live = Arc::new(Live::new(snapshot));
    let store = GrantStore::open(folder, &live)?;
    let status = store.status();
    tracing::info!(
        folder = %folder.display(),
        grants = status.grants,
        sequence = status.sequence,
        "grants database opened"
    );
    Ok(Pdp::with_grants(live, store))
}

/// Counts what the caches do.
fn observe_caches(telemetry: &Telemetry, pdp: &Arc<Pdp>) {
    observe_cache(telemetry, pdp, "session_policies", |pdp| pdp.sessions().counts());
    observe_cache(telemetry, pdp, "decisions", |pdp| pdp.decisions().counts());
}

fn observe_cache(
    telemetry: &Telemetry,
    pdp: &Arc<Pdp>,
    cache: &'static str,
    counts: fn(&Pdp) -> CacheCounts,
) {
    let observe = |quantity, number: fn(&CacheCounts) -> u64| {
        let pdp = Arc::clone(pdp);
        telemetry.observe(quantity, move || number(&counts(&pdp)));
    };
    observe(Quantity::CacheHits(cache), |counts| counts.hits);
    observe(Quantity::CacheMisses(cache), |counts| counts.misses);
    observe(Quantity::CacheEvictions(cache), |counts| counts.evictions);
    observe(Quantity::CacheEntries(cache), |counts| counts.entries);
}

async fn serve(
    config: &ServeConfig,
    pdp: Arc<Pdp>,
    (start, access, hangup): (policies::Start, Access, Signal),
    telemetry: Telemetry,
) -> Result<(), Box<dyn std::error::Error>> {
    // Before anybody is told that there is something to stop.
    let (mut terminate, mut interrupt) =
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let policies = Arc::clone(&start.policies);
    let followed = start.follow(&pdp, config, hangup)?;
    let counted = Arc::clone(&pdp);
    telemetry.observe(Quantity::Grants, move || counted.snapshot().grants.len() as u64);
    observe_caches(&telemetry, &pdp);
    let status = policies.status();
    telemetry.observe_policy(move || policies::facts(&status.borrow()));
    let mut listeners = Listeners {
        threads: Some(config.threads),
        tls: access.tls.clone(),
        limits: config.access.limits,
        drain: config.access.drain,
        ..Listeners::default()
    };
    for address in &config.listen {
        let listener = Listener::bind(address, DATA_SOCKET).await?;
        tracing::info!(address = %listener.address()?, "listening");
        listeners.data.push(listener);
    }
    for address in &config.admin_listen {
        let listener = Listener::bind(address, ADMIN_SOCKET).await?;
        tracing::info!(address = %listener.address()?, "listening for operators");
        listeners.admin.push(listener);
    }
    for address in &config.http_listen {
        let listener = Listener::bind(address, DATA_SOCKET).await?;
        tracing::info!(address = %listener.address()?, "listening for metrics and probes");
        listeners.http.push(listener);
    }
    let shutdown = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping");
        service_manager::stopping();
        tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            tracing::warn!("told again to stop: ending at once");
            std::process::exit(i32::from(FAILED));
        });
    };
    let services = Services {
        pdp: Arc::clone(&pdp),
        clock: Arc::new(server::now),
        grants_per_key: config.grants_per_key,
        policies,
        max_staleness: config.reload.following.max_staleness,
        telemetry: telemetry.clone(),
        gate: Arc::clone(&access.gate),
        shed: Arc::clone(&access.shed),
    };
    access.follow(config.reload.following.poll, &telemetry)?;
    service_manager::ready();
    server::serve(listeners, services, shutdown).await?;
    followed.stop();
    if let Some(grants) = pdp.grants() {
        grants.close().await;
    }
    Ok(())
}

fn log(format: Option<LogFormat>) {
    let chosen = if io::stderr().is_terminal() { LogFormat::Text } else { LogFormat::Json };
    let builder = tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .with_target(false)
        .log_internal_errors(false) // to nobody, when standard error is gone
        .with_max_level(tracing::Level::INFO);
    match format.unwrap_or(chosen) {
        LogFormat::Text => builder.with_ansi(render::colour_on_stderr()).init(),
        LogFormat::Json => builder.json().flatten_event(true).init(),
    }
}
