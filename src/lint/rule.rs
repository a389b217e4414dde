//! A rule: what it finds, why that matters, what to do, and examples that are its tests.

use super::view::{GrantView, IdentityView, KeyView, PolicyView, Report, StatementView};

/// How bad a finding is. The names are those of IAM Access Analyzer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Could be better.
    Suggestion,
    /// Probably says something else than was meant.
    Warning,
    /// Gives more access than is wise.
    SecurityWarning,
    /// Cannot be what was meant.
    Error,
}

impl Severity {
    /// All of them, the worst first.
    pub const ALL: [Self; 4] =
        [Self::Error, Self::SecurityWarning, Self::Warning, Self::Suggestion];

    /// As flags and reports write it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::SecurityWarning => "security-warning",
            Self::Warning => "warning",
            Self::Suggestion => "suggestion",
        }
    }

    /// The severity of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|severity| severity.name() == name)
    }
}

/// Something that is looked for.
#[derive(Debug)]
pub struct Rule {
    /// Stable code.
    pub code: &'static str,
    /// How bad it is, as a rule.
    pub severity: Severity,
    /// What is found, in a few words.
    pub title: &'static str,
    /// Why it matters.
    pub why: &'static str,
    /// What to do.
    pub advice: &'static str,
    /// The page of AWS's documentation that it rests on.
    pub source: &'static str,
    /// Something in which it is found.
    pub bad: Example,
    /// The same in good order.
    pub good: Example,
    /// How it is found.
    pub check: Check,
}

/// Something to look at, as JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Example {
    /// A statement of a key policy, beside one that enables the account's IAM policies.
    Statement(&'static str),
    /// A key policy.
    Policy(&'static str),
    /// A statement of a role's identity policy.
    Identity(&'static str),
    /// A grant on a key.
    Grant(&'static str),
    /// A document of the policy set.
    Document(&'static str),
}

/// How a rule looks.
#[derive(Clone, Copy)]
pub enum Check {
    /// At each statement of each policy.
    Statement(fn(&StatementView<'_>, &mut Report<'_>)),
    /// At each policy as a whole.
    Policy(fn(&PolicyView<'_>, &mut Report<'_>)),
    /// At each key.
    Key(fn(&KeyView<'_>, &mut Report<'_>)),
    /// At each user and role, with all of its policies.
    Identity(fn(&IdentityView<'_>, &mut Report<'_>)),
    /// At each grant of the documents.
    Grant(fn(&GrantView<'_>, &mut Report<'_>)),
    /// At the explanations in the documents.
    Explanations,
}

impl std::fmt::Debug for Check {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Statement(_) => "Statement",
            Self::Policy(_) => "Policy",
            Self::Key(_) => "Key",
            Self::Identity(_) => "Identity",
            Self::Grant(_) => "Grant",
            Self::Explanations => "Explanations",
        })
    }
}

impl Example {
    /// A policy set with the example in it.
    #[must_use]
    pub fn document(self) -> String {
        let key = |policy: &str, more: &str| {
            format!(
                "{{\"KeyMetadata\": {{\"Arn\": \
                 \"arn:aws:kms:us-west-2:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab\"}},\n\
                 \"Policy\": {policy}{more}}}\n"
            )
        };
        match self {
            Self::Statement(text) => {
                let policy = format!(
                    "{{\"Version\": \"2012-10-17\", \"Statement\": [\n{{\"Sid\": \"Enable IAM User Permissions\", \
                     \"Effect\": \"Allow\", \"Principal\": {{\"AWS\": \"arn:aws:iam::111122223333:root\"}}, \
                     \"Action\": \"kms:*\", \"Resource\": \"*\"}},\n{text}\n]}}"
                );
                key(&policy, "")
            }
            Self::Policy(text) => key(text, ""),
            Self::Grant(text) => key("\"default\"", &format!(",\n\"Grants\": [\n{text}\n]")),
            Self::Identity(text) => format!(
                "{{\"RoleDetailList\": [{{\"RoleName\": \"App\", \"Arn\": \
                 \"arn:aws:iam::111122223333:role/App\", \"RolePolicyList\": [{{\"PolicyName\": \"App\",\n\
                 \"PolicyDocument\": {{\"Version\": \"2012-10-17\", \"Statement\": [\n{text}\n]}}}}]}}]}}\n"
            ),
            Self::Document(text) => format!("{text}\n"),
        }
    }
}
