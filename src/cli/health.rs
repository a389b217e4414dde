//! `keyward health`: whether a running service is alive or ready, for probes.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use super::config::reload::time;
use super::{DONE, FAILED, Format, USAGE, fail};
use crate::rpc::listener::Address;

/// Arguments of `keyward health`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  keyward health\n  keyward health --address unix:/run/keyward/pdp.sock\n  keyward health \
                  --of policies --format json\n  keyward health --address pdp.example:7180 --tls-ca ca.pem --tls-cert probe.pem --tls-key probe.key\n\n\
                  Exit codes: 0 yes, 1 no or no answer, 64 usage"
)]
pub struct Args {
    /// Where the service listens: host:port or unix:PATH
    #[arg(
        long,
        value_name = "ADDR",
        env = "KEYWARD_HEALTH_ADDRESS",
        default_value = "127.0.0.1:7180"
    )]
    address: String,

    /// What to ask for: `alive`, `ready` to answer, or whether the last reload of the `policies`
    /// succeeded
    #[arg(long, value_enum, default_value = "ready")]
    of: Of,

    /// How long to wait for an answer
    #[arg(long, value_name = "TIME", default_value = "2s")]
    timeout: String,

    /// CA of the server's certificate, as PEM; with it the connection has TLS
    #[arg(long, value_name = "FILE")]
    tls_ca: Option<PathBuf>,

    /// Certificate to show the server, as PEM
    #[arg(long, value_name = "FILE", requires = "tls_key", requires = "tls_ca")]
    tls_cert: Option<PathBuf>,

    /// The key of that certificate, as PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,

    /// The name in the server's certificate, where it is not the host of the address
    #[arg(long, value_name = "NAME", requires = "tls_ca")]
    tls_name: Option<String>,

    /// How to write the answer
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

/// What can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Of {
    /// The process answers at all.
    Alive,
    /// A usable policy set is active, and the service is not ending.
    Ready,
    /// The last reload of the policies succeeded.
    Policies,
}

impl Of {
    /// The name that the health service knows it by.
    fn service(self) -> &'static str {
        match self {
            Self::Alive => "",
            Self::Ready => "keyward.v1.AuthorizationService",
            Self::Policies => "keyward.policy",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Alive => "alive",
            Self::Ready => "ready",
            Self::Policies => "policies",
        }
    }
}

/// Asks, and tells.
#[must_use]
pub fn run(args: &Args) -> u8 {
    let patience = match time("timeout", &args.timeout) {
        Ok(patience) => patience,
        Err(error) => return fail(USAGE, error),
    };
    let endpoint = match endpoint(args, patience) {
        Ok(endpoint) => endpoint,
        Err(error) => return fail(USAGE, error),
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(FAILED, error),
    };
    let answer = runtime.block_on(async {
        tokio::time::timeout(patience, ask(endpoint, args.of.service())).await.unwrap_or_else(
            |_| Err(format!("no answer from {} within {}", args.address, args.timeout)),
        )
    });
    let (status, trouble) = match answer {
        Ok(status) => (status.as_str_name(), None),
        Err(why) => ("UNKNOWN", Some(why)),
    };
    let said = match args.format {
        Format::Text => match &trouble {
            None => writeln!(io::stdout(), "{}: {status}", args.of.name()),
            Some(why) => return fail(FAILED, why),
        },
        Format::Json => {
            let told = serde_json::json!({
                "address": args.address, "of": args.of.name(), "status": status, "problem": trouble,
            });
            writeln!(io::stdout(), "{told}")
        }
    };
    let serving = status == ServingStatus::Serving.as_str_name();
    if serving && said.is_ok() { DONE } else { FAILED }
}

fn endpoint(args: &Args, patience: Duration) -> Result<Endpoint, String> {
    // A host's name is resolved when it is connected to; an address is checked here.
    let unix = args.address.strip_prefix("unix:").is_some();
    let uri = match (unix, &args.tls_ca) {
        (true, _) => match args.address.parse::<Address>() {
            Ok(Address::Unix(path)) => format!("unix:{}", path.display()),
            Ok(Address::Tcp(_)) | Err(_) => {
                return Err(format!("`{}` is no address", args.address));
            }
        },
        (false, None) => format!("http://{}", args.address),
        (false, Some(_)) => format!("https://{}", args.address),
    };
    let wrong = |error: tonic::transport::Error| {
        format!("`{}` is no address such as `127.0.0.1:7180` or `unix:PATH`: {error}", args.address)
    };
    let endpoint = Endpoint::from_shared(uri).map_err(wrong)?.connect_timeout(patience);
    let Some(ca) = args.tls_ca.as_ref().filter(|_| !unix) else { return Ok(endpoint) };
    let read = |path: &PathBuf| {
        std::fs::read(path).map_err(|error| format!("cannot read `{}`: {error}", path.display()))
    };
    let mut tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(read(ca)?));
    if let (Some(certificate), Some(key)) = (&args.tls_cert, &args.tls_key) {
        tls = tls.identity(Identity::from_pem(read(certificate)?, read(key)?));
    }
    if let Some(name) = &args.tls_name {
        tls = tls.domain_name(name);
    }
    endpoint.tls_config(tls).map_err(|error| format!("TLS: {}", causes(&error)))
}

async fn ask(endpoint: Endpoint, service: &str) -> Result<ServingStatus, String> {
    let channel: Channel = endpoint.connect().await.map_err(|error| causes(&error))?;
    let request = HealthCheckRequest { service: service.to_owned() };
    let answer = HealthClient::new(channel).check(request).await;
    let answer = answer.map_err(|status| format!("{}: {}", status.code(), status.message()))?;
    Ok(answer.into_inner().status())
}

/// An error with all that caused it.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = error.source();
    }
    text
}
