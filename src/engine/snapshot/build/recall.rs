//! Key policies that many keys carry: where the same bytes stand again, nothing is read, counted or
//! compiled again.

use std::sync::Arc;

use super::reading::Reading;
use super::revision::Digest;
use crate::engine::json::{Among, Json, Known, Value};
use crate::engine::policy::Policy;

/// Policies that are remembered: most keys carry one of a few.
const MOST: usize = 32;

/// The longest policy that is remembered. Of longer ones it depends on what stands around them
/// whether they are too long.
const LONGEST: usize = 32_768;

/// Key policies that several keys carried, as they were written; by whoever reads documents one
/// after the other, all with the same options.
#[derive(Debug, Default)]
pub struct Recall {
    objects: Vec<Arc<Known>>,
    texts: Vec<Box<str>>,
    /// Of the objects, and of the texts.
    policies: [Vec<(Digest, Arc<Policy>)>; 2],
}

impl Recall {
    /// Where they are looked for: a key is a document, or one of its list of keys.
    pub(super) fn among(&self) -> Among<'_> {
        Among { known: &self.objects, member: "Policy", list: "Keys" }
    }

    /// The policy that is written as `json`, and its fingerprint.
    fn policy(&self, json: &Json<'_>) -> Option<&(Digest, Arc<Policy>)> {
        let [objects, texts] = &self.policies;
        match &json.value {
            Value::Known(known) => {
                objects.get(self.objects.iter().position(|one| Arc::ptr_eq(one, known))?)
            }
            Value::Text(text) => texts.get(self.texts.iter().position(|one| **one == **text)?),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::List(_) | Value::Object(_) => {
                None
            }
        }
    }

    fn remember(&mut self, json: &Json<'_>, text: &str, digest: Digest, policy: &Arc<Policy>) {
        let [objects, texts] = &mut self.policies;
        match &json.value {
            Value::Object(_) if objects.len() < MOST && text.len() <= LONGEST => {
                self.objects.push(Arc::new(Known::new(json, text)));
                objects.push((digest, Arc::clone(policy)));
            }
            Value::Text(text) if texts.len() < MOST && text.len() <= LONGEST => {
                self.texts.push((**text).into());
                texts.push((digest, Arc::clone(policy)));
            }
            _ => {}
        }
    }
}

impl Reading<'_> {
    /// The key policy that is written as `json`, if it is remembered; else what `read` makes of it.
    pub(super) fn recalled(
        &mut self,
        json: &Json<'_>,
        read: impl FnOnce(&mut Self) -> Option<Arc<Policy>>,
    ) -> Option<Arc<Policy>> {
        if let Some((digest, policy)) = self.recall.policy(json) {
            self.digests.remember(json, *digest);
            return Some(Arc::clone(policy));
        }
        let problems = self.said.problems.len();
        let policy = read(self)?;
        // Nothing was wrong, and some other key carries it: more of them may.
        if self.said.problems.len() == problems && Arc::strong_count(&policy) > 1 {
            let digest = self.digests.of(json, &self.options.limits);
            self.recall.remember(json, self.source.slice(json.span), digest, &policy);
        }
        Some(policy)
    }
}
