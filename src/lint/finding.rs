//! What was found.

use super::rule::{Rule, Severity};
use crate::engine::problem::{Place, Problem};

/// Something found.
#[derive(Clone, Debug)]
pub struct Finding {
    /// By which rule.
    pub rule: &'static Rule,
    /// How bad it is; a rule may take one case more seriously than another.
    pub severity: Severity,
    /// What is wrong: lower case, no full stop, user text in backticks.
    pub message: String,
    /// What to do about it.
    pub help: String,
    /// Where.
    pub place: Place,
    /// What it is about: the ARN of a key, policy, user or role, or a name.
    pub subject: Box<str>,
    /// The Sid of the statement, if it has one.
    pub sid: Option<Box<str>>,
    /// Why it is all right, where the documents explain it.
    pub explained: Option<Box<str>>,
}

/// All that was found in a set, in the order of the places.
#[derive(Clone, Debug, Default)]
pub struct Findings(Vec<Finding>);

impl Findings {
    /// Puts findings in order.
    #[must_use]
    pub fn new(mut findings: Vec<Finding>) -> Self {
        findings.sort_by(|a, b| {
            let of = |finding: &Finding| (finding.severity, finding.rule.code);
            a.place.cmp(&b.place).then_with(|| of(b).cmp(&of(a)))
        });
        Self(findings)
    }

    /// All of them, explained ones too.
    #[must_use]
    pub fn all(&self) -> &[Finding] {
        &self.0
    }

    /// Those that no document explains.
    pub fn open(&self) -> impl Iterator<Item = &Finding> {
        self.0.iter().filter(|finding| finding.explained.is_none())
    }

    /// How many of a severity no document explains.
    #[must_use]
    pub fn count(&self, severity: Severity) -> usize {
        self.open().filter(|finding| finding.severity == severity).count()
    }

    /// Whether something at least that bad is not explained.
    #[must_use]
    pub fn reach(&self, severity: Severity) -> bool {
        self.open().any(|finding| finding.severity >= severity)
    }

    /// Those that are at least so bad, as errors of the set.
    #[must_use]
    pub fn problems(&self, refusing: Severity) -> Vec<Problem> {
        let problem = |finding: &Finding| {
            Problem::error(finding.rule.code, finding.message.clone())
                .help(finding.help.clone())
                .at(finding.place.clone())
        };
        self.open().filter(|finding| finding.severity >= refusing).map(problem).collect()
    }
}
