//! Session policies, compiled once. They arrive as text in requests, mostly the same few again and
//! again.

use std::sync::Arc;

use moka::sync::Cache;

use super::counters::{CacheCounts, Counters};
use crate::engine::policy::{Policy, session};
use crate::engine::problem::Problems;

/// Bytes of text whose compiled form is kept. Compiled, a policy takes about as much again.
const KEPT_BYTES: u64 = 8 * 1024 * 1024;

/// What an entry costs beside its text.
const OVERHEAD: u32 = 512;

/// Compiled session policies by content. An entry never becomes stale, because it depends on its
/// text alone; texts are compared whole, never by hash. Refused texts are not kept.
#[derive(Debug)]
pub struct SessionPolicies {
    compiled: Cache<Box<str>, Arc<Policy>>,
    counters: Counters,
}

impl Default for SessionPolicies {
    fn default() -> Self {
        #[expect(clippy::borrowed_box, reason = "so the cache hands its keys over")]
        let weight = |text: &Box<str>, _: &Arc<Policy>| {
            u32::try_from(text.len()).unwrap_or(u32::MAX).saturating_add(OVERHEAD)
        };
        let counters = Counters::default();
        let compiled = Cache::builder()
            .max_capacity(KEPT_BYTES)
            .weigher(weight)
            .eviction_listener(counters.evictions())
            .build();
        Self { compiled, counters }
    }
}

impl SessionPolicies {
    /// The compiled form of a text.
    ///
    /// # Errors
    ///
    /// What is wrong in the text; places are named after `name`.
    pub fn get(&self, name: &str, text: &str) -> Result<Arc<Policy>, Problems> {
        if let Some(policy) = self.compiled.get(text) {
            self.counters.hit();
            return Ok(policy);
        }
        self.counters.missed();
        let policy = session(name, text)?;
        self.compiled.insert(text.into(), Arc::clone(&policy));
        Ok(policy)
    }

    /// How the cache is doing.
    #[must_use]
    pub fn counts(&self) -> CacheCounts {
        self.compiled.run_pending_tasks();
        self.counters.counts(self.compiled.entry_count())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{CacheCounts, KEPT_BYTES, OVERHEAD, SessionPolicies};

    const TEXT: &str = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"kms:*","Resource":"*"}}"#;

    #[test]
    fn equal_texts_are_compiled_once_and_different_ones_never_mixed() {
        let sessions = SessionPolicies::default();
        let first = sessions.get("a", TEXT).unwrap();
        assert!(Arc::ptr_eq(&first, &sessions.get("b", TEXT).unwrap()));
        let other = TEXT.replace("Allow", "Deny");
        assert!(!Arc::ptr_eq(&first, &sessions.get("a", &other).unwrap()));
        let counts = CacheCounts { hits: 1, misses: 2, evictions: 0, entries: 2 };
        assert_eq!(sessions.counts(), counts);
    }

    #[test]
    fn what_is_kept_is_bounded_and_what_is_given_up_is_counted() {
        let sessions = SessionPolicies::default();
        let size = (TEXT.len() + "00000".len()) as u64 + u64::from(OVERHEAD);
        let room = KEPT_BYTES / size;
        for number in 0..room + 100 {
            let text = TEXT.replace("kms:*", &format!("kms:*{number:05}"));
            sessions.get("a", &text).unwrap();
        }
        let counts = sessions.counts();
        assert_eq!((counts.misses, counts.evictions), (room + 100, 100));
        assert_eq!(counts.entries, room);
    }

    #[test]
    fn a_refused_text_is_refused_again() {
        let sessions = SessionPolicies::default();
        for name in ["a", "b"] {
            let problems = sessions.get(name, "{").unwrap_err();
            let place = problems.as_slice()[0].place.as_ref().unwrap();
            assert_eq!(&*place.document, name);
        }
    }
}
