//! Who may come in: the callers file and the certificates, read at the start and followed.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::timeout;

use super::config::access::AccessConfig;
use crate::engine::term::request::Bound;
use crate::rpc::callers::{Callers, Gate};
use crate::rpc::limits::Shed;
use crate::rpc::tls::{Reloaded, Tls};
use crate::telemetry::Telemetry;
use crate::telemetry::observed::Quantity;

/// The largest callers file, in bytes.
const LARGEST: u64 = 4 * 1024 * 1024;

/// Who may come in.
#[derive(Debug)]
pub struct Access {
    /// Knows who may ask.
    pub gate: Arc<Gate>,
    /// With it TCP listeners are served.
    pub tls: Option<Arc<Tls>>,
    /// Counts calls that were refused or ended because of the limits.
    pub shed: Arc<Shed>,
    callers: Option<CallersFile>,
    /// What was wrong with the certificate's files when they were looked at last.
    trouble: Option<String>,
    counts: Arc<Counts>,
}

/// What became of changed files.
#[derive(Debug, Default)]
struct Counts {
    callers_taken: AtomicU64,
    callers_refused: AtomicU64,
    tls_taken: AtomicU64,
    tls_refused: AtomicU64,
}

/// The callers file as it was read last.
#[derive(Debug)]
struct CallersFile {
    path: PathBuf,
    text: String,
    anonymous: bool,
    /// What was wrong with it when it was looked at last, so that it is told once.
    trouble: Option<String>,
}

impl CallersFile {
    fn read(path: &Path) -> Result<String, String> {
        let wrong = |error: std::io::Error| format!("cannot read `{}`: {error}", path.display());
        let metadata = std::fs::metadata(path).map_err(wrong)?;
        if !metadata.is_file() || metadata.len() > LARGEST {
            return Err(format!("`{}`: no file of at most {LARGEST} bytes", path.display()));
        }
        std::fs::read_to_string(path).map_err(wrong)
    }

    fn parse(path: &Path, text: &str, anonymous: bool) -> Result<Callers, String> {
        Callers::read(text, anonymous).map_err(|error| {
            format!("{}:{}:{}: {}", path.display(), error.line, error.column, error.message)
        })
    }
}

/// Reads what says who may come in.
///
/// # Errors
///
/// It cannot be used: nothing is served.
pub fn access(config: &AccessConfig) -> Result<Access, String> {
    let anonymous = config.anonymous;
    let (callers, file) = match &config.callers {
        None => (Callers::unnamed(anonymous), None),
        Some(path) => {
            let text = CallersFile::read(path)?;
            let callers = CallersFile::parse(path, &text, anonymous)?;
            tracing::info!(file = %path.display(), callers = callers.len(), "callers file loaded");
            let file = CallersFile { path: path.clone(), text, anonymous, trouble: None };
            (callers, Some(file))
        }
    };
    let tls = config.tls.clone().map(Tls::load).transpose();
    let tls = tls.map_err(|error| error.to_string())?.map(Arc::new);
    if let Some(tls) = &tls {
        tracing::info!(expires = %tls.expires(), "certificate loaded");
    }
    Ok(Access {
        gate: Arc::new(Gate::new(callers)),
        tls,
        shed: Arc::default(),
        callers: file,
        trouble: None,
        counts: Arc::default(),
    })
}

impl Access {
    /// Looks at the files every `pause`, and after SIGHUP; what cannot be used changes nothing.
    ///
    /// # Errors
    ///
    /// The operating system gives no signals.
    pub fn follow(self, pause: Duration, telemetry: &Telemetry) -> std::io::Result<()> {
        self.observe(telemetry);
        if self.callers.is_none() && self.tls.is_none() {
            return Ok(());
        }
        let hangup = signal(SignalKind::hangup())?;
        tokio::spawn(self.look(pause, hangup));
        Ok(())
    }

    async fn look(mut self, pause: Duration, mut hangup: Signal) {
        loop {
            // Whether a signal came or the pause is over: the files are looked at.
            let _ = timeout(pause, hangup.recv()).await;
            // Small files: a moment each.
            let looked = tokio::task::spawn_blocking(move || {
                self.look_at_callers();
                self.look_at_certificates();
                self
            });
            let Ok(access) = looked.await else {
                tracing::error!(
                    "following callers and certificates failed: this is a defect of Keyward"
                );
                return;
            };
            self = access;
        }
    }

    fn look_at_callers(&mut self) {
        let Some(file) = &mut self.callers else { return };
        let read = CallersFile::read(&file.path).and_then(|text| {
            if text == file.text {
                return Ok(None);
            }
            let callers = CallersFile::parse(&file.path, &text, file.anonymous)?;
            Ok(Some((text, callers)))
        });
        match read {
            Ok(None) => file.trouble = None,
            Ok(Some((text, callers))) => {
                tracing::info!(callers = callers.len(), "callers file taken over");
                self.gate.install(callers);
                self.counts.callers_taken.fetch_add(1, Ordering::Relaxed);
                file.text = text;
                file.trouble = None;
            }
            Err(why) => {
                if file.trouble.as_ref() != Some(&why) {
                    self.counts.callers_refused.fetch_add(1, Ordering::Relaxed);
                    tracing::error!(
                        problem = why,
                        "the callers file cannot be used: the one before goes on"
                    );
                    file.trouble = Some(why);
                }
            }
        }
    }

    fn look_at_certificates(&mut self) {
        let Some(tls) = &self.tls else { return };
        match tls.reload() {
            Ok(Reloaded::Same) => self.trouble = None,
            Ok(Reloaded::Changed) => {
                self.trouble = None;
                self.counts.tls_taken.fetch_add(1, Ordering::Relaxed);
                tracing::info!(expires = %tls.expires(), "certificate taken over");
            }
            Err(error) => {
                let why = error.to_string();
                if self.trouble.as_ref() != Some(&why) {
                    self.counts.tls_refused.fetch_add(1, Ordering::Relaxed);
                    tracing::error!(
                        problem = why,
                        "the certificate files cannot be used: those before go on"
                    );
                    self.trouble = Some(why);
                }
            }
        }
    }

    fn observe(&self, telemetry: &Telemetry) {
        let gate = |read: fn(&Gate) -> &AtomicU64| {
            let gate = Arc::clone(&self.gate);
            move || read(&gate).load(Ordering::Relaxed)
        };
        telemetry
            .observe(Quantity::Refused("caller_unknown"), gate(|gate| &gate.refusals().unknown));
        telemetry.observe(
            Quantity::Refused("caller_forbidden"),
            gate(|gate| &gate.refusals().forbidden),
        );
        telemetry
            .observe(Quantity::Refused("caller_too_fast"), gate(|gate| &gate.refusals().too_fast));
        let shed = |read: fn(&Shed) -> &AtomicU64| {
            let shed = Arc::clone(&self.shed);
            move || read(&shed).load(Ordering::Relaxed)
        };
        telemetry.observe(Quantity::Refused("overloaded"), shed(|shed| &shed.calls));
        telemetry.observe(Quantity::Refused("incoming_bytes"), shed(|shed| &shed.bytes));
        telemetry.observe(Quantity::Refused("too_slow"), shed(|shed| &shed.slow));
        telemetry.observe(Quantity::Refused("message_bytes"), shed(|shed| &shed.long));
        telemetry.observe(Quantity::Silenced, shed(|shed| &shed.silent));
        for bound in Bound::ALL {
            let shed = Arc::clone(&self.shed);
            telemetry.observe(Quantity::Refused(bound.name()), move || {
                shed.beyond(bound).load(Ordering::Relaxed)
            });
        }
        let count = |read: fn(&Counts) -> &AtomicU64| {
            let counts = Arc::clone(&self.counts);
            move || read(&counts).load(Ordering::Relaxed)
        };
        if self.callers.is_some() {
            telemetry.observe(
                Quantity::Reloads("callers", "success"),
                count(|counts| &counts.callers_taken),
            );
            telemetry.observe(
                Quantity::Reloads("callers", "failure"),
                count(|counts| &counts.callers_refused),
            );
        }
        if let Some(tls) = &self.tls {
            telemetry.observe(
                Quantity::Reloads("certificate", "success"),
                count(|counts| &counts.tls_taken),
            );
            telemetry.observe(
                Quantity::Reloads("certificate", "failure"),
                count(|counts| &counts.tls_refused),
            );
            let tls = Arc::clone(tls);
            telemetry.observe(Quantity::CertificateExpiry, move || {
                u64::try_from(tls.expires().seconds()).unwrap_or(0)
            });
        }
    }
}
