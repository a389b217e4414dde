//! Follows the policy set: what the source holds is what answers, or it is said why not.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::{oneshot, watch};

use super::live::Live;
use super::load::{Loader, NotLoaded};
use super::status::{Active, MaxStaleness, Origin, Refused, State, Status, WhenStale};
use super::wake::{Ask, Wake};
use crate::engine::problem::{Problem, Problems};
use crate::engine::snapshot::build::Built;
use crate::engine::term::time::Timestamp;
use crate::store::directory::Scope;
use crate::store::directory::watch::{News, Watch};

/// Quiet never comes where somebody always writes: then it is read all the same.
const LONGEST_SETTLE: u32 = 20;

/// Of the time, what looking from time to time may take while every change is told: one part in
/// this many.
const LOOKING: u32 = 20;

/// What did not work is tried again after this time, and then after ever longer ones.
const FIRST_RETRY: Duration = Duration::from_millis(100);

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
pub type BoxedVerify = Box<dyn Fn(&Built) -> Vec<Problem> + Send>;

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
    pub clock: Box<dyn Fn() -> Timestamp + Send>,
    /// How it is followed.
    pub following: Following,
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

    /// Has it read again, every file of it.
    pub fn reload_soon(&self) {
        self.wake.ask(|asked| asked.reload = true);
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
        let now = instant();
        thread::Builder::new().name("policies".to_owned()).spawn(move || {
            // What happened while it was loaded is looked at before anything else.
            let running = Running {
                policies: &policies,
                looked: now,
                cost: Duration::ZERO,
                readable: now,
                retry: None,
                news: News { everything: true, swapped: true, ..News::default() },
                follower,
            };
            running.run();
        })
    }
}

struct Running<'p> {
    policies: &'p Policies,
    follower: Follower,
    /// When it was looked at last, and how long that took.
    looked: Instant,
    cost: Duration,
    /// When the source could be read last.
    readable: Instant,
    /// What did not work is tried again: when, and after how long next time.
    retry: Option<(Instant, Duration)>,
    /// What happened and is not yet looked at.
    news: News,
}

impl Running<'_> {
    fn run(mut self) {
        while let Some((scope, asks)) = self.next() {
            let begun = instant();
            let loaded = {
                let Follower { loader, watch, verify, .. } = &mut self.follower;
                loader.load(&scope, watch, &**verify)
            };
            self.looked = instant();
            self.cost = self.looked - begun;
            self.tell(loaded);
            let status = Arc::clone(&self.policies.status.borrow());
            for ask in asks {
                // Whoever asked may have gone.
                let _ = ask.send(Arc::clone(&status));
            }
        }
    }

    /// Waits until there is something to do: what, and who waits for it. `None` when it is over.
    fn next(&mut self) -> Option<(Scope, Vec<Ask>)> {
        let settle = self.follower.following.settle;
        let mut last: Option<Instant> = None;
        let mut first: Option<Instant> = None;
        loop {
            let heard = self.follower.watch.take();
            let now = instant();
            if heard.loose {
                last = Some(now);
                first.get_or_insert(now);
            }
            self.news.add(heard);
            let quiet = last.zip(first).map(|(last, first)| {
                (last + settle).min(first + settle.saturating_mul(LONGEST_SETTLE))
            });
            if self.news.swapped && !self.news.loose || quiet.is_some_and(|at| at <= now) {
                return Some((Scope::after(std::mem::take(&mut self.news)), Vec::new()));
            }
            let look = self.next_look();
            if look <= now && quiet.is_none() {
                self.news = News::default();
                return Some((Scope::Stamps, Vec::new()));
            }
            self.check_staleness(now);
            let until =
                quiet.unwrap_or(look).min(self.stale_at().filter(|at| *at > now).unwrap_or(look));
            let asked = self.policies.wake.wait(until.saturating_duration_since(now));
            if asked.stop {
                return None;
            }
            if asked.reload || !asked.asks.is_empty() {
                self.news = News::default();
                drop(self.follower.watch.take());
                return Some((Scope::Contents, asked.asks));
            }
        }
    }

    /// When it is looked at although nothing is told.
    fn next_look(&self) -> Instant {
        let poll = self.follower.following.poll;
        let told = self.follower.watch.trouble().is_none();
        let pause = if told { poll.max(self.cost.saturating_mul(LOOKING)) } else { poll };
        let regular = self.looked + pause;
        self.retry.map_or(regular, |(at, _)| at.min(regular))
    }

    fn tell(&mut self, loaded: Result<Option<Built>, NotLoaded>) {
        let now = (self.follower.clock)();
        let before = Arc::clone(&self.policies.status.borrow());
        let mut status = Status::clone(&before);
        status.checked = now;
        let trouble = self.follower.watch.trouble();
        if trouble != before.watch_trouble.as_deref() {
            match trouble {
                Some(why) => tracing::warn!(
                    why,
                    "changes of policies are not told: looking from time to time"
                ),
                None => tracing::info!("changes of policies are told again"),
            }
        }
        status.watch_trouble = trouble.map(str::to_owned);
        let readable = !matches!(loaded, Err(NotLoaded::Unreadable(_)));
        if readable {
            self.readable = self.looked;
        }
        match loaded {
            Ok(None) => {
                self.retry = None;
                if matches!(before.state, State::Unreadable { .. }) {
                    tracing::info!("the policies can be read again, and are what they were");
                    status.state =
                        self.follower.loader.refused().map_or(State::Current, |problems| {
                            State::Refused(Arc::new(Refused {
                                at: now,
                                problems: problems.clone(),
                            }))
                        });
                }
            }
            Ok(Some(built)) => {
                self.retry = None;
                self.apply(&built, &mut status, now);
            }
            Err(NotLoaded::Refused(problems)) => {
                self.retry = None;
                refuse(problems, &mut status, now);
            }
            Err(NotLoaded::Restless(restless)) => {
                // It is readable, and nothing is known against it: it is tried until it is quiet.
                self.try_again();
                tracing::warn!("{restless}: trying again");
            }
            Err(NotLoaded::Unreadable(error)) => {
                self.try_again();
                status.checked = before.checked;
                if !matches!(before.state, State::Unreadable { .. }) {
                    status.counts.unreadable += 1;
                    tracing::error!(
                        revision = &*status.active.revision,
                        "{error}; the last good policies answer"
                    );
                    let problem = Arc::new(Problem::from(error));
                    status.state = State::Unreadable { since: now, problem };
                }
            }
        }
        self.publish(status);
        self.check_staleness(self.looked);
    }

    fn apply(&self, built: &Built, status: &mut Status, now: Timestamp) {
        self.follower.live.install(&built.snapshot);
        let documents = self.follower.loader.documents();
        let active = Active::new(built, documents, Origin::Source, now);
        tracing::info!(
            revision = &*active.revision,
            before = &*status.active.revision,
            documents,
            keys = active.contents.keys,
            micros = u64::try_from(self.cost.as_micros()).unwrap_or(u64::MAX),
            "policies taken over"
        );
        status.counts.applied += 1;
        status.active = active;
        status.state = State::Current;
    }

    fn try_again(&mut self) {
        let longest = self.follower.following.poll.max(FIRST_RETRY);
        let pause = self.retry.map_or(FIRST_RETRY, |(_, pause)| (pause * 2).min(longest));
        self.retry = Some((self.looked + pause, pause));
    }

    /// When the source has been unreadable for too long, if it is.
    fn stale_at(&self) -> Option<Instant> {
        let unreadable = matches!(self.policies.status.borrow().state, State::Unreadable { .. });
        unreadable.then(|| self.readable + self.follower.following.max_staleness.after)
    }

    fn check_staleness(&self, now: Instant) {
        let then = self.follower.following.max_staleness.then;
        let stale = self.stale_at().filter(|at| *at <= now).map(|_| then);
        if self.policies.status.borrow().stale == stale {
            return;
        }
        self.follower.live.withhold(stale == Some(WhenStale::Deny));
        match stale {
            Some(then) => tracing::error!(?then, "the policies could not be read for too long"),
            None => tracing::info!("the policies are no longer too old"),
        }
        let status = Status::clone(&self.policies.status.borrow());
        self.publish(Status { stale, ..status });
    }

    fn publish(&self, status: Status) {
        self.policies.status.send_replace(Arc::new(status));
    }
}

/// The last good set answers; what is wrong with this one is told once.
fn refuse(problems: Problems, status: &mut Status, now: Timestamp) {
    if let State::Refused(before) = &status.state
        && before.problems == problems
    {
        return;
    }
    status.counts.refused += 1;
    tracing::error!(
        problems = problems.as_slice().len(),
        revision = &*status.active.revision,
        "policies refused; the last good ones answer"
    );
    for problem in problems.as_slice().iter().take(20) {
        tracing::error!("{problem}");
    }
    status.state = State::Refused(Arc::new(Refused { at: now, problems }));
}

fn instant() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "how long to wait, not what to decide")]
    Instant::now()
}
