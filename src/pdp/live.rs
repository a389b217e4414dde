//! The live snapshot: two halves, replaced apart. Neither replacement loses the other's.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::{ArcSwap, Guard};
use tokio::sync::watch;

use crate::engine::snapshot::Snapshot;
use crate::engine::snapshot::grants::Grants;
use crate::engine::snapshot::grants::live::{Change, LiveGrants};

/// The snapshot that answers now.
#[derive(Debug)]
pub struct Live {
    snapshot: ArcSwap<Snapshot>,
    /// Number of the last change of grants that is in the snapshot.
    sequence: watch::Sender<u64>,
    /// Whether nothing is to be answered.
    withheld: AtomicBool,
}

impl Live {
    /// Begins with `snapshot`.
    #[must_use]
    pub fn new(snapshot: Snapshot) -> Self {
        let sequence = watch::Sender::new(snapshot.grants.live.sequence());
        Self {
            snapshot: ArcSwap::from_pointee(snapshot),
            sequence,
            withheld: AtomicBool::new(false),
        }
    }

    /// The snapshot that answers now.
    #[must_use]
    pub fn snapshot(&self) -> Guard<Arc<Snapshot>> {
        self.snapshot.load()
    }

    /// Withholds answers, or gives them again: the policies are too old to be relied on.
    pub fn withhold(&self, withheld: bool) {
        self.withheld.store(withheld, Ordering::Release);
    }

    /// Whether answers are withheld.
    #[must_use]
    pub fn is_withheld(&self) -> bool {
        self.withheld.load(Ordering::Acquire)
    }

    /// Replaces what the documents say. The live grants stay, those that change meanwhile too.
    pub fn install(&self, documents: &Snapshot) {
        self.snapshot.rcu(|now| Snapshot {
            policies: Arc::clone(&documents.policies),
            grants: Grants {
                documents: Arc::clone(&documents.grants.documents),
                live: now.grants.live.clone(),
            },
        });
    }

    /// Begins with these live grants.
    pub fn begin(&self, live: &LiveGrants) {
        self.snapshot.rcu(|now| with_live(now, live.clone()));
        self.sequence.send_replace(live.sequence());
    }

    /// Takes over changes of the live grants, the last of which has the number `last`. When this
    /// returns, no decision that starts later is made without them.
    pub fn follow(&self, changes: &[Change], last: u64) {
        self.snapshot.rcu(|now| {
            let mut live = now.grants.live.clone();
            changes.iter().for_each(|change| live.apply(change));
            with_live(now, live.at(last))
        });
        self.sequence.send_replace(last);
    }

    /// Waits until the snapshot has the change with this number.
    pub async fn has(&self, sequence: u64) {
        // The sender is ours: it is not gone while we wait.
        let _ = self.sequence.subscribe().wait_for(|now| *now >= sequence).await;
    }
}

fn with_live(now: &Snapshot, live: LiveGrants) -> Snapshot {
    let documents = Arc::clone(&now.grants.documents);
    Snapshot { policies: Arc::clone(&now.policies), grants: Grants { documents, live } }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::Live;
    use crate::engine::snapshot::Snapshot;
    use crate::engine::snapshot::build::grant;
    use crate::engine::snapshot::grants::live::Change;

    const KEY: &str = "arn:aws:kms:us-west-2:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";

    fn created(id: &str) -> Change {
        let text = format!(
            r#"{{"KeyId":"{KEY}","GrantId":"{id}","GranteePrincipal":"111122223333","Operations":["Decrypt"]}}"#
        );
        Change::Created(Arc::new(grant("test", &text).unwrap()))
    }

    #[test]
    fn a_reload_that_compiled_while_a_grant_was_revoked_does_not_bring_it_back() {
        let live = Live::new(Snapshot::default());
        live.follow(&[created("a"), created("b")], 2);
        let compiled_meanwhile = Snapshot::clone(&live.snapshot());
        live.follow(&[Change::Removed { key_arn: KEY.into(), id: "a".into() }], 3);
        live.install(&compiled_meanwhile);
        let now = live.snapshot();
        assert!(now.grants.find(KEY, "a").is_none() && now.grants.find(KEY, "b").is_some());
        assert_eq!(now.grants.live.sequence(), 3);
    }

    #[tokio::test]
    async fn a_change_is_in_the_snapshot_when_it_has_been_waited_for() {
        let live = Arc::new(Live::new(Snapshot::default()));
        let other = Arc::clone(&live);
        let writer = tokio::spawn(async move { other.follow(&[created("a")], 1) });
        live.has(1).await;
        assert!(live.snapshot().grants.find(KEY, "a").is_some());
        writer.await.unwrap();
    }
}
