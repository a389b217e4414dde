//! What a service manager that waits for it is told: systemd, or whoever listens at `NOTIFY_SOCKET`.

use sd_notify::NotifyState;

/// It answers, with what it was told to read.
pub(super) fn ready() {
    tell(&[NotifyState::Ready]);
}

/// It was told to read again what it has read; that it has done so is told by [`ready`].
pub(super) fn reloading() {
    // A manager does not believe it without the time.
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => tracing::warn!(%error, "the service manager cannot be told of a reload"),
    }
}

/// It ends.
pub(super) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

fn tell(news: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(news) {
        tracing::warn!(%error, "the service manager cannot be told");
    }
}
