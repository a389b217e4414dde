//! The thread that follows the policy set: it waits for what happens, loads, and tells.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use super::standing::Standing;
use super::{Follower, Policies};
use crate::engine::problem::{Problem, Problems};
use crate::engine::snapshot::build::Built;
use crate::engine::term::time::Timestamp;
use crate::pdp::load::{Haste, NotLoaded};
use crate::pdp::status::{Active, Origin, Refused, State, Status};
use crate::pdp::wake::{Ask, instant};
use crate::store::directory::Scope;
use crate::store::directory::watch::News;

/// Quiet never comes where somebody always writes: then it is read all the same.
const LONGEST_SETTLE: u32 = 20;

/// Of the time, what looking from time to time may take while every change is told: one part in
/// this many.
const LOOKING: u32 = 20;

/// A folder that does not rest for so long is one that cannot be read.
const RESTLESS: Duration = Duration::from_secs(2);

/// What did not work is tried again after this time, and then after ever longer ones.
const FIRST_RETRY: Duration = Duration::from_millis(100);

/// The thread that follows the policy set.
pub(super) struct Running<'p> {
    policies: &'p Policies,
    follower: Follower,
    /// When it was looked at last, and how long that took.
    looked: Instant,
    cost: Duration,
    /// When the source was read.
    standing: &'p Standing,
    /// What did not work is tried again: when, and after how long next time.
    retry: Option<(Instant, Duration)>,
    /// Since when the folder does not rest, if it does not.
    restless: Option<Instant>,
    /// What happened and is not yet looked at.
    news: News,
}

impl<'p> Running<'p> {
    /// What happened while the set was loaded is looked at before anything else.
    pub(super) fn begin(
        policies: &'p Policies,
        mut follower: Follower,
        standing: &'p Standing,
    ) -> Self {
        let now = instant();
        if follower.unread.is_none()
            && let Some(keeper) = &mut follower.keeper
        {
            keeper.forget();
        }
        Self {
            policies,
            follower,
            looked: now,
            cost: Duration::ZERO,
            standing,
            retry: None,
            restless: None,
            news: News { everything: true, swapped: true, ..News::default() },
        }
    }

    /// Follows it until it is over.
    pub(super) fn run(mut self) {
        while let Some((scope, haste, asks)) = self.next() {
            let begun = instant();
            self.standing.begin(begun);
            let loaded = self.load(&scope, haste);
            self.looked = instant();
            self.cost = self.looked - begun;
            self.tell(loaded, !asks.is_empty());
            let status = Arc::clone(&self.policies.status.borrow());
            for ask in asks {
                // Whoever asked may have gone.
                let _ = ask.send(Arc::clone(&status));
            }
        }
        if let Some(keeper) = self.follower.keeper.take() {
            keeper.finish();
        }
    }

    /// Reads what changed. A panic ends neither this thread nor what the last good set answers: the
    /// set is refused, and everything is read anew when something changes.
    fn load(&mut self, scope: &Scope, haste: Haste) -> Result<Option<Built>, NotLoaded> {
        let Follower { loader, watch, verify, .. } = &mut self.follower;
        // What was half done is thrown away below.
        let loaded =
            catch_unwind(AssertUnwindSafe(|| loader.load_in(haste, scope, watch, &**verify)));
        loaded.unwrap_or_else(|panic| {
            *loader = loader.renewed();
            let problems = Problems::from(defect(&*panic));
            Err(NotLoaded::Refused(problems))
        })
    }

    /// Waits until there is something to do: what, and who waits for it. `None` when it is over.
    fn next(&mut self) -> Option<(Scope, Haste, Vec<Ask>)> {
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
            if self.news.swapped || quiet.is_some_and(|at| at <= now) {
                let haste = if self.news.swapped { Haste::AtOnce } else { Haste::Settled };
                return Some((Scope::after(std::mem::take(&mut self.news)), haste, Vec::new()));
            }
            let look = self.next_look();
            if look <= now && quiet.is_none() {
                self.news = News::default();
                return Some((Scope::Stamps, Haste::Unsettled, Vec::new()));
            }
            let mut until = quiet.unwrap_or(look);
            let good = self.policies.status.borrow().is_current();
            if let Some(keeper) = &mut self.follower.keeper
                && good
                && self.follower.loader.is_settled()
            {
                // Never of a set that was read and refused.
                keeper.keep(&self.follower.loader, now, wall());
                until = keeper.at(now).map_or(until, |at| until.min(at));
            }
            let asked = self.policies.wake.wait(until.saturating_duration_since(now));
            if asked.stop {
                return None;
            }
            if !asked.asks.is_empty() {
                self.news = News::default();
                drop(self.follower.watch.take());
                return Some((Scope::Contents, Haste::AtOnce, asked.asks));
            }
        }
    }

    /// When it is looked at although nothing is told.
    fn next_look(&self) -> Instant {
        let poll = self.follower.following.poll;
        let told = self.follower.watch.trouble().is_none();
        let pause = if told { poll.max(self.cost.saturating_mul(LOOKING)) } else { poll };
        // What may not have settled is not looked at before it may have.
        self.retry.map_or(self.looked + pause, |(at, _)| at)
    }

    /// Tells what came of a look; somebody may have `asked` for it.
    fn tell(&mut self, loaded: Result<Option<Built>, NotLoaded>, asked: bool) {
        let now = (self.follower.clock)();
        let standing = self.standing;
        let mut times = standing.lock();
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
        let readable = matches!(loaded, Ok(_) | Err(NotLoaded::Refused(_)));
        let whole = loaded.is_ok();
        if readable {
            self.restless = None;
            (times.readable, times.before) = (self.looked, Duration::ZERO);
        }
        match loaded {
            Ok(None) => {
                self.retry = None;
                if let Some(keeper) = &mut self.follower.keeper {
                    keeper.seen(self.looked, wall());
                }
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
                status.checked = before.checked;
                let since = *self.restless.get_or_insert(self.looked);
                let settle = self.follower.following.settle;
                let patience = RESTLESS.max(settle.saturating_mul(LONGEST_SETTLE));
                if asked || self.looked.saturating_duration_since(since) >= patience {
                    self.try_again(settle);
                    unreadable(restless.into(), &mut status, now);
                } else {
                    // It is looked at again when it may have settled.
                    self.retry = Some((self.looked + settle, FIRST_RETRY));
                }
            }
            Err(NotLoaded::Unreadable(error)) => {
                self.try_again(Duration::ZERO);
                status.checked = before.checked;
                unreadable(error.into(), &mut status, now);
            }
        }
        if whole && status.is_current() {
            status.confirmed = now;
        }
        self.policies.publish(status);
        standing.told(&mut times, self.looked);
    }

    fn apply(&mut self, built: &Built, status: &mut Status, now: Timestamp) {
        if let Some(keeper) = &mut self.follower.keeper {
            keeper.forget();
        }
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

    /// Has what did not work tried again, after ever longer times, but not before `least` is over.
    fn try_again(&mut self, least: Duration) {
        let longest = self.follower.following.poll.max(FIRST_RETRY);
        let pause = self.retry.map_or(FIRST_RETRY, |(_, pause)| (pause * 2).min(longest));
        self.retry = Some((self.looked + pause.max(least), pause));
    }
}

/// A set on which Keyward failed.
fn defect(panic: &(dyn Any + Send)) -> Problem {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
    let message =
        format!("keyward failed while it loaded this set, by a defect of its own: {text}");
    Problem::error("internal-defect", message).help(
        "report it with this message and the log; undo the last change, or have the set read again \
         with SIGHUP",
    )
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

/// The last good set answers; why the source cannot be read is told once.
fn unreadable(problem: Problem, status: &mut Status, now: Timestamp) {
    if matches!(status.state, State::Unreadable { .. }) {
        return;
    }
    status.counts.unreadable += 1;
    let (revision, why) = (&*status.active.revision, &problem.message);
    tracing::error!(revision, "{why}; the last good policies answer");
    status.state = State::Unreadable { since: now, problem: Arc::new(problem) };
}

/// What the copy of the last good set is dated by.
fn wall() -> SystemTime {
    #[expect(clippy::disallowed_methods, reason = "a file's time, no decision's")]
    SystemTime::now()
}
