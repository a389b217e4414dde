//! The policy set of `keyward serve`: loaded at the start, then followed.

mod last_good;

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::signal::unix::Signal;

use super::config::serve::ServeConfig;
use super::lint::verify;
use super::progress::Line;
use super::service_manager;
use crate::engine::problem::{Problem, Problems};
use crate::engine::snapshot::build::Built;
use crate::pdp::Pdp;
use crate::pdp::last_good::Keeper;
use crate::pdp::load::{Documents, Loader, NotLoaded};
use crate::pdp::reload::{Follower, Policies};
use crate::pdp::status::{Active, Origin, Status};
use crate::rpc::server::now;
use crate::store::directory::Scope;
use crate::store::directory::watch::Watch;
use crate::telemetry::policy::PolicyFacts;

/// A loaded policy set that is not followed yet.
#[derive(Debug)]
pub struct Start {
    /// The set.
    pub built: Built,
    /// How it is doing.
    pub policies: Arc<Policies>,
    loader: Loader,
    watch: Watch,
    /// For how long the source has been unreadable, if the set is a copy.
    unread: Option<Duration>,
}

/// Loads the policy set.
///
/// # Errors
///
/// There is none that can be used: everything that is wrong.
pub fn start(config: &ServeConfig) -> Result<Start, Problems> {
    let wake = Policies::unfollowed();
    let mut watch = if config.reload.watch { Watch::new(wake.on_news()) } else { Watch::off() };
    let (line, progress) = Line::begin();
    let mut loader =
        Loader::new(&config.policies.folder, config.policies.options.clone()).telling(progress);
    let held = |built: &Built, texts: Documents<'_>| verify(&config.policies, built, texts);
    let loaded = loader.load(&Scope::Stamps, &mut watch, &held);
    line.end();
    let built = match loaded {
        Ok(Some(built)) => built,
        Ok(None) => return Err(Problem::error("unread-set", "nothing was read").into()),
        Err(NotLoaded::Refused(problems)) => return Err(problems),
        Err(NotLoaded::Unreadable(error)) => {
            let (built, status, unread) = last_good::start(config, Problem::from(error))?;
            let policies = wake.begin(told(&watch, status));
            return Ok(Start {
                built,
                policies,
                loader: loader.renewed(),
                watch,
                unread: Some(unread),
            });
        }
        Err(NotLoaded::Restless(error)) => return Err(Problem::from(error).into()),
    };
    let active = Active::new(&built, loader.documents(), Origin::Source, now());
    let policies = wake.begin(told(&watch, Status::current(active)));
    Ok(Start { built, policies, loader, watch, unread: None })
}

/// With why changes are not told, if they are not.
fn told(watch: &Watch, status: Status) -> Status {
    if let Some(why) = watch.trouble() {
        tracing::warn!(why, "changes of policies are not told: looking from time to time");
    }
    Status { watch_trouble: watch.trouble().map(str::to_owned), ..status }
}

/// So long it is waited for the thread that follows to end.
const PATIENCE: Duration = Duration::from_secs(5);

/// A policy set that is followed.
#[derive(Debug)]
pub struct Followed {
    policies: Arc<Policies>,
    thread: JoinHandle<()>,
}

impl Start {
    /// Follows it: what changes in the folder changes what `pdp` answers. `hangup` has it read again.
    ///
    /// # Errors
    ///
    /// The operating system gives no thread.
    pub fn follow(
        self,
        pdp: &Arc<Pdp>,
        config: &ServeConfig,
        mut hangup: Signal,
    ) -> io::Result<Followed> {
        let Self { policies, loader, watch, unread, .. } = self;
        let keeper = last_good::place(config).map(Keeper::new);
        let held_to = config.policies.clone();
        let follower = Follower {
            loader,
            watch,
            live: Arc::clone(pdp.live()),
            verify: Box::new(move |built, texts| verify(&held_to, built, texts)),
            clock: Arc::new(now),
            following: config.reload.following,
            keeper,
            unread,
        };
        let thread = policies.follow(follower)?;
        let told = Arc::clone(&policies);
        tokio::spawn(async move {
            while hangup.recv().await.is_some() {
                tracing::info!("told to read the policies again");
                service_manager::reloading();
                // What comes of it is in the log and the status.
                let _ = told.reload().await;
                service_manager::ready();
            }
        });
        Ok(Followed { policies, thread })
    }
}

impl Followed {
    /// Follows it no more.
    pub fn stop(self) {
        let Self { policies, thread } = self;
        policies.stop();
        // A source that does not answer may hold the thread up for ever.
        let (over, ended) = mpsc::sync_channel(1);
        let joined = std::thread::spawn(move || over.send(thread.join().is_err()));
        match ended.recv_timeout(PATIENCE) {
            Ok(false) => {}
            Err(RecvTimeoutError::Timeout) => {
                tracing::warn!("reading the policies is held up and is given up");
            }
            Ok(true) | Err(RecvTimeoutError::Disconnected) => {
                tracing::error!("following the policies failed: this is a defect of Keyward");
            }
        }
        drop(joined);
    }
}

/// What metrics tell of the policy set.
#[must_use]
pub fn facts(status: &Status) -> PolicyFacts {
    let contents = status.active.contents;
    let objects = [
        ("document", contents.documents),
        ("key", contents.keys),
        ("alias", contents.aliases),
        ("grant", contents.grants),
        ("user", contents.users),
        ("role", contents.roles),
        ("endpoint", contents.endpoints),
        ("assertion", contents.assertions),
    ];
    let kept = status.active.origin == Origin::LastGood;
    PolicyFacts {
        revision: Arc::clone(&status.active.revision),
        origin: if kept { "last_good" } else { "source" },
        objects: objects.map(|(kind, count)| (kind, count as u64)).to_vec(),
        succeeded: status.counts.applied.saturating_add(1),
        failed: status.counts.refused.saturating_add(status.counts.unreadable),
        last_success: Duration::from_secs(u64::try_from(status.confirmed.seconds()).unwrap_or(0)),
    }
}
