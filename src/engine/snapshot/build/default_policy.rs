//! The key policy that KMS gives a key when none is passed.

use std::sync::Arc;

use super::reading::Reading;
use super::revision::digest_of;
use crate::engine::json::{Source, read};
use crate::engine::policy::{Policy, PolicyKind};
use crate::engine::term::arn::Arn;

impl Reading<'_> {
    /// The default key policy of a key.
    ///
    /// Source: AWS KMS Developer Guide, "Default key policy" (when you create a key
    /// programmatically).
    pub(super) fn default_key_policy(&mut self, key: &Arn<'_>) -> Option<Arc<Policy>> {
        let (partition, account) = (key.partition(), key.account());
        let text = format!(
            r#"{{"Version":"2012-10-17","Id":"key-default-1","Statement":[{{
                "Sid":"Enable IAM User Permissions","Effect":"Allow",
                "Principal":{{"AWS":"arn:{partition}:iam::{account}:root"}},
                "Action":"kms:*","Resource":"*"}}]}}"#
        );
        let source = Source::new("default key policy".into(), &text);
        let problems = &mut self.said.problems;
        let json = read(&source, &self.options.limits, problems)?;
        self.interned.compiled(PolicyKind::Key, &json, &source, digest_of(&json), problems)
    }
}
