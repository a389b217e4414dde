//! Follows the policy set: what the source holds is what answers, or it is said why not.

mod running;
mod standing;
#[cfg(test)]
mod tests;

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::sync::{oneshot, watch};

use self::running::Running;
use self::standing::Standing;
use super::last_good::Keeper;
use super::live::Live;
use super::load::{Documents, Loader};
use super::status::{Active, MaxStaleness, Status, WhenStale};
use super::wake::Wake;
use crate::engine::problem::Problem;
use crate::engine::snapshot::build::Built;
use crate::engine::term::time::Timestamp;
use crate::store::directory::watch::Watch;

/// Reading that takes so long is held up by the source.
const HELD_UP: Duration = Duration::from_secs(60);

/// How the folder is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Following {
    /// Quiet that must follow changes of loose files before they are read.
    pub settle: Duration,
    /// How often it is looked at, whatever the operating system tells.
    pub poll: Duration,
    /// For how long it may be unreadable.
    pub max_staleness: MaxStaleness,
}

/// Like [`Verify`](super::load::Verify), for another thread.
pub type BoxedVerify = Box<dyn Fn(&Built, Documents<'_>) -> Vec<Problem> + Send>;

/// The time, for another thread.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// What the thread that follows needs.
pub struct Follower {
    /// What was read so far.
    pub loader: Loader,
    /// What the operating system tells.
    pub watch: Watch,
    /// What answers.
    pub live: Arc<Live>,
    /// What must hold of a set.
    pub verify: BoxedVerify,
    /// The time.
    pub clock: Clock,
    /// How it is followed.
    pub following: Following,
    /// Keeps a copy of the set that answers, if that is wanted.
    pub keeper: Option<Keeper>,
    /// For how long the source has been unreadable: at a start from a copy.
    pub unread: Option<Duration>,
}

impl std::fmt::Debug for Follower {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Follower").field("following", &self.following).finish_non_exhaustive()
    }
}

/// The policy set that answers: how it is doing, and how to have it read again.
#[derive(Debug)]
pub struct Policies {
    status: watch::Sender<Arc<Status>>,
    wake: Arc<Wake>,
    followed: bool,
}

/// The start of a set that will be followed.
#[derive(Debug)]
pub struct Beginning {
    wake: Arc<Wake>,
}

impl Beginning {
    /// To be called, from any thread, when something happened to the folder.
    pub fn on_news(&self) -> impl Fn() + Send + 'static {
        let wake = Arc::clone(&self.wake);
        move || wake.ask(|asked| asked.news = true)
    }

    /// The set is there.
    #[must_use]
    pub fn begin(self, status: Status) -> Arc<Policies> {
        let status = watch::Sender::new(Arc::new(status));
        Arc::new(Policies { status, wake: self.wake, followed: true })
    }
}

/// Nobody follows the source: the set stays as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the policy set of this service does not change")]
pub struct NotFollowed;

impl Policies {
    /// A set that stays as it is.
    #[must_use]
    pub fn fixed(active: Active) -> Arc<Self> {
        let status = watch::Sender::new(Arc::new(Status::current(active)));
        Arc::new(Self { status, wake: Arc::default(), followed: false })
    }

    /// What a set needs that will be followed; nothing is known of it yet.
    #[must_use]
    pub fn unfollowed() -> Beginning {
        Beginning { wake: Arc::default() }
    }

    /// How it is doing, and how it will be doing.
    #[must_use]
    pub fn status(&self) -> watch::Receiver<Arc<Status>> {
        self.status.subscribe()
    }

    /// Has it read again, every file of it, and waits for what comes of that.
    ///
    /// # Errors
    ///
    /// Nobody follows it.
    pub async fn reload(&self) -> Result<Arc<Status>, NotFollowed> {
        if !self.followed {
            return Err(NotFollowed);
        }
        let (ask, outcome) = oneshot::channel();
        self.wake.ask(|asked| asked.asks.push(ask));
        outcome.await.map_err(|_| NotFollowed)
    }

    /// Has it followed no more.
    pub fn stop(&self) {
        self.wake.ask(|asked| asked.stop = true);
    }

    /// Follows it, on a thread of its own, until [`Policies::stop`].
    ///
    /// # Errors
    ///
    /// There is no thread to be had.
    pub fn follow(self: &Arc<Self>, follower: Follower) -> io::Result<thread::JoinHandle<()>> {
        let policies = Arc::clone(self);
        let MaxStaleness { after, then } = follower.following.max_staleness;
        if then == WhenStale::Deny && follower.unread.is_some_and(|unread| unread >= after) {
            // Before the first question.
            follower.live.withhold(true);
        }
        let standing = Arc::new(Standing::new(
            Arc::clone(&policies),
            Arc::clone(&follower.live),
            follower.following.max_staleness,
            Arc::clone(&follower.clock),
            follower.unread.unwrap_or_default(),
            HELD_UP,
        ));
        let watched = Arc::clone(&standing);
        let named = |name: &str| thread::Builder::new().name(name.to_owned());
        let watching = named("policies-watch").spawn(move || watched.watch())?;
        named("policies").spawn(move || {
            Running::begin(&policies, follower, &standing).run();
            standing.end();
            if watching.join().is_err() {
                tracing::error!("watching the policies failed: this is a defect of Keyward");
            }
        })
    }

    /// To be called by whoever holds the times of [`Standing`].
    fn publish(&self, status: Status) {
        self.status.send_replace(Arc::new(status));
    }
}
