//! `keyward serve`: the service.

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};

use super::config::{self, LogFormat, PolicyArgs, ServeArgs, ServeConfig};
use super::{DONE, FAILED, PROBLEMS, USAGE, fail, render};
use crate::pdp::Pdp;
use crate::pdp::load::load;
use crate::rpc::listener::Listener;
use crate::rpc::server;
use crate::wire::assertion::verify;

/// Arguments of `keyward serve`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  keyward serve --policies examples/quickstart\n  keyward serve --policies /etc/keyward \
                        --listen unix:/run/keyward/pdp.sock\n  keyward serve --config keyward.toml --check-config\n\n\
                        Exit codes: 0 stopped by SIGTERM or SIGINT, 1 failed, 3 problems in policies, 64 usage"
)]
pub struct Args {
    #[command(flatten)]
    policies: PolicyArgs,

    /// Where to listen: host:port (port 0 = any, the log tells) or unix:PATH; repeatable
    #[arg(long, value_name = "ADDR", env = "KEYWARD_LISTEN", value_delimiter = ',')]
    listen: Vec<String>,

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
        listen: args.listen.clone(),
        insecure_plaintext: args.insecure_plaintext,
        log_format: args.log_format,
    };
    let config = match config::serve(&args.policies, &serve_args) {
        Ok(config) => config,
        Err(error) => return fail(USAGE, error),
    };
    if args.check_config {
        let written = write!(io::stdout(), "{}", config::as_toml(&config));
        return if written.is_ok() { DONE } else { FAILED };
    }
    log(config.log_format);
    let colour = render::colour_on_stderr();
    let built = match load(&config.policies.folder, &config.policies.options, &|built| {
        verify(built, server::now())
    }) {
        Ok(built) => built,
        Err(problems) => {
            // Nobody reads standard error: the exit code still tells.
            let _ = render::problems(problems.as_slice(), &mut io::stderr().lock(), colour);
            return fail(PROBLEMS, "the policy set cannot be used; nothing is served");
        }
    };
    // Warnings do not keep anybody from serving, told or not.
    let _ = render::problems(&built.warnings, &mut io::stderr().lock(), colour);
    let snapshot = built.snapshot;
    tracing::info!(
        revision = &*snapshot.revision,
        keys = snapshot.keys.len(),
        grants = snapshot.grants.len(),
        "policy set loaded"
    );
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(FAILED, error),
    };
    match runtime.block_on(serve(&config, Pdp::new(snapshot))) {
        Ok(()) => DONE,
        Err(error) => fail(FAILED, error),
    }
}

async fn serve(config: &ServeConfig, pdp: Pdp) -> Result<(), Box<dyn std::error::Error>> {
    let mut listeners = Vec::new();
    for address in &config.listen {
        let listener = Listener::bind(address).await?;
        tracing::info!(address = %listener.address()?, "listening");
        listeners.push(listener);
    }
    let (mut terminate, mut interrupt) =
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let shutdown = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping");
    };
    server::serve(listeners, Arc::new(pdp), Arc::new(server::now), shutdown).await?;
    tracing::info!("stopped");
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
