//! Findings in gRPC.

use crate::lint::finding::Finding;
use crate::lint::rule::Severity;
use crate::wire::v1;

/// A finding as a message.
#[must_use]
pub fn finding_message(finding: &Finding) -> v1::Finding {
    let severity = match finding.severity {
        Severity::Suggestion => v1::FindingSeverity::Suggestion,
        Severity::Warning => v1::FindingSeverity::Warning,
        Severity::SecurityWarning => v1::FindingSeverity::SecurityWarning,
        Severity::Error => v1::FindingSeverity::Error,
    };
    v1::Finding {
        code: finding.rule.code.to_owned(),
        severity: severity.into(),
        message: finding.message.clone(),
        help: finding.help.clone(),
        why: finding.rule.why.to_owned(),
        source: finding.rule.source.to_owned(),
        sid: finding.sid.as_deref().unwrap_or_default().to_owned(),
        line: finding.place.line,
        column: finding.place.column,
        width: finding.place.width,
    }
}
