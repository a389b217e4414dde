//! Session policies: they arrive as text, in the request.

use std::sync::Arc;

use super::{Policy, PolicyKind, compile};
use crate::engine::bundle::Limits;
use crate::engine::json::{Source, read};
use crate::engine::problem::{Problem, Problems};

/// Bounds of a session policy text.
///
/// IAM allows 2,048 characters; here a policy may be as large as a key policy, since a session may
/// also carry managed policies, which IAM passes by ARN.
///
/// Source: IAM User Guide, "IAM and AWS STS quotas".
pub const SESSION_POLICY_LIMITS: Limits = Limits { document_bytes: 32 * 1024, depth: 32 };

/// Compiles a session policy.
///
/// # Errors
///
/// What is wrong in the text; places are named after `name`.
pub fn session(name: &str, text: &str) -> Result<Arc<Policy>, Problems> {
    let mut problems = Vec::new();
    let source = Source::new(name.into(), text);
    let compiled = read(&source, &SESSION_POLICY_LIMITS, &mut problems)
        .and_then(|json| compile(PolicyKind::Session, &json, &source, &mut problems));
    match (Problems::refusing(problems), compiled) {
        (None, Some(policy)) => Ok(Arc::new(policy)),
        (Some(problems), _) => Err(problems),
        (None, None) => {
            Err(Problems::from(Problem::error("bad-policy", "the text is not a policy")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::session;

    #[test]
    fn a_session_policy_is_checked_like_any_other() {
        let good = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"kms:*","Resource":"*"}}"#;
        assert_eq!(session("s", good).map(|policy| policy.statements().count()), Ok(1));
        let codes = |text: &str| -> Vec<&'static str> {
            session("s", text).unwrap_err().as_slice().iter().map(|problem| problem.code).collect()
        };
        assert_eq!(codes("{"), ["json-syntax"]);
        assert_eq!(codes("[]"), ["bad-policy"]);
        assert_eq!(
            codes(r#"{"Statement":[{"Effect":"Allow","Action":"kms:*"}]}"#),
            ["missing-resource"]
        );
    }
}
