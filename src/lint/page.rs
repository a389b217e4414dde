//! `docs/lint.md`, written from the rules.

use std::fmt::Write as _;

use super::rule::{Example, Rule};
use super::rules::GROUPS;

/// What stands before the rules.
const INTRODUCTION: &str = "\
# What `keyward lint` finds

<!-- Written by `keyward lint --explain all > docs/lint.md` from the rules in src/lint/rules; a test compares. -->

`keyward check` says whether a policy set can be used; `keyward lint` says what is dangerous, useless or probably not
meant in one that can. What the engine can decide the lint asks the engine: who can still change the policy of a key, who
can both administer and use it, whether a Deny takes an Allow back.

A finding has a stable code, a place, a severity and an advice. Severities are those of IAM Access Analyzer: **error**
(cannot be what was meant), **security-warning** (gives more access than is wise), **warning** (probably says something
else than was meant), **suggestion** (could be better). A statement that never matches is a warning in an Allow and a
security-warning in a Deny: someone relies on it.

## Explaining a finding

What is meant as it is, is explained where it stands: a member `Lint` beside `KeyMetadata`, in a user, group, role,
managed policy, endpoint or `Organization`, or at the top of a document covers what is found in that object.

```json
\"Lint\": [{\"Code\": \"decrypt-unbound\", \"Sid\": \"Allow use of the key\", \"Why\": \"the archive holds data without context\"}]
```

`Why` must be there; `Sid` narrows it to one statement. AWS's own tools do not write such a member, and nothing but the
lint reads it. An explanation that explains nothing is a finding itself.

";

/// The whole page.
#[must_use]
pub fn page() -> String {
    let mut out = INTRODUCTION.to_owned();
    out.push_str("## All findings\n\n| code | severity | finds |\n| --- | --- | --- |\n");
    for rule in GROUPS.iter().flat_map(|(_, rules)| rules.iter()) {
        // Writing to a text cannot fail.
        let _ = writeln!(
            out,
            "| [`{}`](#{}) | {} | {} |",
            rule.code,
            rule.code,
            rule.severity.name(),
            rule.title
        );
    }
    for (heading, rules) in GROUPS {
        let _ = write!(out, "\n## {heading}\n");
        for rule in rules {
            out.push('\n');
            out.push_str(&entry(rule));
        }
    }
    out
}

/// What there is to say of one rule.
#[must_use]
pub fn entry(rule: &Rule) -> String {
    let mut out = String::new();
    let _ = write!(
        out,
        "### {}\n\n**{}**: {}. {}\n\nTo do: {}.\n\n{}\n\n{}\nSource: {}.\n",
        rule.code,
        rule.severity.name(),
        rule.title,
        rule.why,
        rule.advice,
        example("Found in", rule.bad),
        example("Not in", rule.good),
        rule.source
    );
    out
}

fn example(words: &str, example: Example) -> String {
    let (what, text) = match example {
        Example::Statement(text) => ("a statement of a key policy", text),
        Example::Policy(text) => ("a key policy", text),
        Example::Identity(text) => ("a statement of a role's policy", text),
        Example::Grant(text) => ("a grant", text),
        Example::Document(text) => ("a document", text),
    };
    format!("{words} {what}:\n\n```json\n{text}\n```\n")
}
