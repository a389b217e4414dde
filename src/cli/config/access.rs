//! Who may come in, and how much at once: flags and environment, file, defaults.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::reload::{time, written};
use super::{File, InvalidConfig};
use crate::rpc::limits::Limits;
use crate::rpc::listener::Address;
use crate::rpc::server::Drain;
use crate::rpc::tls::TlsFiles;

/// Who may come in, and how much at once.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct AccessArgs {
    /// Who may ask, about whom, and what they may claim: see docs/callers.md
    #[arg(long, value_name = "FILE", env = "KEYWARD_CALLERS")]
    pub callers: Option<PathBuf>,

    /// Whether callers on this machine that the callers file does not name are answered (default:
    /// true)
    #[arg(long, env = "KEYWARD_ANONYMOUS", num_args = 0..=1, default_missing_value = "true")]
    pub anonymous: Option<bool>,

    /// The server's certificate and those between it and its CA, as PEM
    #[arg(long, value_name = "FILE", env = "KEYWARD_TLS_CERT")]
    pub tls_cert: Option<PathBuf>,

    /// The key of the certificate, as PEM
    #[arg(long, value_name = "FILE", env = "KEYWARD_TLS_KEY")]
    pub tls_key: Option<PathBuf>,

    /// CAs of client certificates, as PEM; with them every client needs a certificate
    #[arg(long, value_name = "FILE", env = "KEYWARD_TLS_CLIENT_CA")]
    pub tls_client_ca: Option<PathBuf>,

    /// Connections at once; more wait (default: 10000)
    #[arg(long, value_name = "COUNT", env = "KEYWARD_LIMITS_CONNECTIONS")]
    pub limits_connections: Option<usize>,

    /// Calls at once that wait for their answer; more are refused with RESOURCE_EXHAUSTED
    /// (default: 4096)
    #[arg(long, value_name = "COUNT", env = "KEYWARD_LIMITS_CALLS")]
    pub limits_calls: Option<usize>,

    /// Calls at once on one connection (default: 128)
    #[arg(long, value_name = "COUNT", env = "KEYWARD_LIMITS_STREAMS")]
    pub limits_streams: Option<u32>,

    /// Largest request message, in bytes (default: 4194304)
    #[arg(long, value_name = "BYTES", env = "KEYWARD_LIMITS_MESSAGE_BYTES")]
    pub limits_message_bytes: Option<usize>,

    /// How long a message may take to come whole (default: 30s)
    #[arg(long, value_name = "TIME", env = "KEYWARD_LIMITS_MESSAGE_TIME")]
    pub limits_message_time: Option<String>,

    /// Bytes of all messages that have not come whole, together (default: 268435456)
    #[arg(long, value_name = "BYTES", env = "KEYWARD_LIMITS_INCOMING_BYTES")]
    pub limits_incoming_bytes: Option<usize>,

    /// How old a connection becomes before it is asked to end, so that clients spread anew; 0s:
    /// as old as it likes (default: 1h)
    #[arg(long, value_name = "TIME", env = "KEYWARD_LIMITS_CONNECTION_AGE")]
    pub limits_connection_age: Option<String>,

    /// How long a connection may say nothing before it is asked whether it is there; when nothing
    /// comes for as long again, it is cut (default: 30s)
    #[arg(long, value_name = "TIME", env = "KEYWARD_LIMITS_KEEPALIVE")]
    pub limits_keepalive: Option<String>,

    /// For how long to go on answering after SIGTERM, so that load balancers learn of it (default:
    /// 0s)
    #[arg(long, value_name = "TIME", env = "KEYWARD_DRAIN_GRACE")]
    pub drain_grace: Option<String>,

    /// How long calls in flight may take to end after that (default: 10s)
    #[arg(long, value_name = "TIME", env = "KEYWARD_DRAIN_TIMEOUT")]
    pub drain_timeout: Option<String>,
}

/// `tls` in the file.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct TlsTable {
    cert: Option<PathBuf>,
    key: Option<PathBuf>,
    client_ca: Option<PathBuf>,
}

/// `drain` in the file.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct DrainTable {
    grace: Option<String>,
    timeout: Option<String>,
}

/// Who may come in, and how much at once, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessConfig {
    /// The callers file.
    pub callers: Option<PathBuf>,
    /// Whether callers on this machine that nobody names are answered.
    pub anonymous: bool,
    /// The files of TLS.
    pub tls: Option<TlsFiles>,
    /// How much at once.
    pub limits: Limits,
    /// How the service ends.
    pub drain: Drain,
}

/// The part of the configuration.
///
/// # Errors
///
/// A value that cannot be used, or files of TLS that are missing.
pub(super) fn access(args: &AccessArgs, file: &File) -> Result<AccessConfig, InvalidConfig> {
    let defaults = Limits::default();
    let told = |flag: &Option<String>, file: &Option<String>, default: Duration, key: &str| {
        flag.as_ref().or(file.as_ref()).map_or(Ok(default), |text| time(key, text))
    };
    let limits = Limits {
        connections: args
            .limits_connections
            .or(file.limits.connections)
            .unwrap_or(defaults.connections),
        calls: args.limits_calls.or(file.limits.calls).unwrap_or(defaults.calls),
        streams: args.limits_streams.or(file.limits.streams).unwrap_or(defaults.streams),
        message_bytes: args
            .limits_message_bytes
            .or(file.limits.message_bytes)
            .unwrap_or(defaults.message_bytes),
        message_time: told(
            &args.limits_message_time,
            &file.limits.message_time,
            defaults.message_time,
            "limits.message_time",
        )?,
        incoming_bytes: args
            .limits_incoming_bytes
            .or(file.limits.incoming_bytes)
            .unwrap_or(defaults.incoming_bytes),
        connection_age: told(
            &args.limits_connection_age,
            &file.limits.connection_age,
            defaults.connection_age,
            "limits.connection_age",
        )?,
        keepalive: told(
            &args.limits_keepalive,
            &file.limits.keepalive,
            defaults.keepalive,
            "limits.keepalive",
        )?,
    };
    for (key, nothing) in [
        ("limits.connections", limits.connections == 0),
        ("limits.calls", limits.calls == 0),
        ("limits.streams", limits.streams == 0),
        ("limits.message_bytes", limits.message_bytes == 0),
        ("limits.message_time", limits.message_time.is_zero()),
        ("limits.incoming_bytes", limits.incoming_bytes == 0),
        ("limits.keepalive", limits.keepalive.is_zero()),
    ] {
        if nothing {
            return Err(InvalidConfig::Value(format!("{key}: 0 would let nothing in")));
        }
    }
    let usual = Drain::default();
    Ok(AccessConfig {
        callers: args.callers.clone().or_else(|| file.callers.clone()),
        anonymous: args.anonymous.or(file.anonymous).unwrap_or(true),
        tls: tls(args, &file.tls)?,
        limits,
        drain: Drain {
            grace: told(&args.drain_grace, &file.drain.grace, usual.grace, "drain.grace")?,
            timeout: told(
                &args.drain_timeout,
                &file.drain.timeout,
                usual.timeout,
                "drain.timeout",
            )?,
        },
    })
}

fn tls(args: &AccessArgs, file: &TlsTable) -> Result<Option<TlsFiles>, InvalidConfig> {
    let certificate = args.tls_cert.clone().or_else(|| file.cert.clone());
    let key = args.tls_key.clone().or_else(|| file.key.clone());
    let client_ca = args.tls_client_ca.clone().or_else(|| file.client_ca.clone());
    match (certificate, key, client_ca) {
        (None, None, None) => Ok(None),
        (Some(certificate), Some(key), client_ca) => {
            Ok(Some(TlsFiles { certificate, key, client_ca }))
        }
        _ => {
            Err(InvalidConfig::Value("tls: TLS needs both `--tls-cert` and `--tls-key`".to_owned()))
        }
    }
}

impl AccessConfig {
    /// Whether addresses may be listened on.
    ///
    /// # Errors
    ///
    /// One would let in what it must not.
    pub(super) fn check(
        &self,
        listen: &[Address],
        admin: &[Address],
        insecure_plaintext: bool,
    ) -> Result<(), InvalidConfig> {
        let plain = self.tls.is_none() && !insecure_plaintext;
        if let Some(exposed) = listen.iter().find(|address| !address.is_local() && plain) {
            return Err(InvalidConfig::Exposed(exposed.clone()));
        }
        let proven =
            self.tls.as_ref().is_some_and(|tls| tls.client_ca.is_some()) && self.callers.is_some();
        if let Some(open) =
            admin.iter().find(|address| !matches!(address, Address::Unix(_)) && !proven)
        {
            return Err(InvalidConfig::Admin(open.clone()));
        }
        Ok(())
    }

    /// The tables of a file that says the same.
    pub(super) fn tables(&self) -> (TlsTable, DrainTable) {
        let tls = self.tls.as_ref();
        let tls = TlsTable {
            cert: tls.map(|tls| tls.certificate.clone()),
            key: tls.map(|tls| tls.key.clone()),
            client_ca: tls.and_then(|tls| tls.client_ca.clone()),
        };
        let drain = DrainTable {
            grace: Some(written(self.drain.grace)),
            timeout: Some(written(self.drain.timeout)),
        };
        (tls, drain)
    }
}
