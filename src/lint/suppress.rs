//! Explanations: `"Lint": [{"Code": "…", "Sid": "…", "Why": "…"}]` beside what it explains.
//!
//! They stand in the object that describes a key, user, group, role, managed policy, endpoint or
//! organization, or at the top of a document, and cover what is found inside that object.

use super::finding::Finding;
use super::rule::Check;
use super::rules;
use super::view::{Raw, Report};
use super::walk::Placed;
use crate::engine::json::{Json, Source, Span};

/// The explanations of a document.
#[derive(Debug, Default)]
pub(super) struct Explanations {
    /// In the order in which their objects start.
    all: Vec<Explanation>,
    wrong: Vec<(Span, String)>,
}

#[derive(Debug)]
struct Explanation {
    code: Box<str>,
    sid: Option<Box<str>>,
    why: Box<str>,
    /// The object that carries it.
    covers: Span,
    span: Span,
    used: bool,
}

impl Explanations {
    /// Takes in those that an object carries.
    pub(super) fn of(&mut self, object: &Json<'_>) {
        let Some(lint) = object.member("Lint") else { return };
        let Some(items) = lint.as_list() else {
            self.wrong.push((lint.span, "`Lint` is not a list".to_owned()));
            return;
        };
        for item in items {
            match explanation(item, object.span) {
                Ok(explanation) => self.all.push(explanation),
                Err(message) => self.wrong.push((item.span, message)),
            }
        }
    }

    /// Marks what is explained, and finds explanations that explain nothing.
    pub(super) fn explain(mut self, found: Vec<Placed>, source: &Source<'_>) -> Vec<Finding> {
        let mut findings: Vec<Finding> = Vec::with_capacity(found.len());
        self.all.sort_by_key(|explanation| explanation.covers.start);
        for Placed { mut finding, at } in found {
            finding.explained = self.why(&finding, at);
            findings.push(finding);
        }
        for rule in rules::all().filter(|rule| matches!(rule.check, Check::Explanations)) {
            let mut raws: Vec<Raw> = Vec::new();
            let mut report = Report { rule, found: &mut raws, sid: None };
            if rule.code == rules::documents::BAD {
                for (span, message) in &self.wrong {
                    report.at(*span, message.clone());
                }
            } else {
                for unused in self.all.iter().filter(|explanation| !explanation.used) {
                    let what = match &unused.sid {
                        Some(sid) => format!("`{}` in the statement `{sid}`", unused.code),
                        None => format!("`{}` here", unused.code),
                    };
                    report.at(unused.span, format!("nothing is found of {what}"));
                }
            }
            findings.extend(raws.into_iter().map(|raw| Finding {
                rule,
                severity: raw.severity,
                message: raw.message,
                help: raw.help.into_owned(),
                place: source.place(raw.span),
                subject: "".into(),
                sid: None,
                explained: None,
            }));
        }
        findings
    }

    /// The explanation of the object that the finding is about, or else of the document.
    fn why(&mut self, finding: &Finding, at: usize) -> Option<Box<str>> {
        let whole = self.all.first()?.covers.start;
        let before = self.all.partition_point(|explanation| explanation.covers.start <= at);
        let nearest = before.checked_sub(1).and_then(|last| self.all.get(last))?.covers.start;
        // Objects of things do not overlap; the document alone stands around all.
        let fits = |explanation: &&mut Explanation| {
            explanation.covers.end > at
                && *explanation.code == *finding.rule.code
                && explanation.sid.as_ref().is_none_or(|sid| finding.sid.as_ref() == Some(sid))
        };
        for start in [nearest, whole] {
            let first = self.all.partition_point(|explanation| explanation.covers.start < start);
            let beside = self.all.iter_mut().skip(first);
            let found =
                beside.take_while(|explanation| explanation.covers.start == start).find(fits);
            if let Some(explanation) = found {
                explanation.used = true;
                return Some(explanation.why.clone());
            }
        }
        None
    }
}

fn explanation(item: &Json<'_>, covers: Span) -> Result<Explanation, String> {
    let members = item.as_object().ok_or("an explanation is an object")?;
    for member in members {
        if !["Code", "Sid", "Why"].contains(&&*member.name) {
            return Err(format!("an explanation has no member `{}`", member.name));
        }
        if member.value.as_text().is_none() {
            return Err(format!("`{}` is not a text", member.name));
        }
    }
    let text = |name: &str| item.member(name).and_then(Json::as_text);
    let code = text("Code").ok_or("the explanation does not say which `Code` it explains")?;
    if rules::find(code).is_none() {
        return Err(rules::unknown(code));
    }
    let why = text("Why").filter(|why| !why.trim().is_empty());
    let why = why.ok_or_else(|| format!("the explanation of `{code}` does not say `Why`"))?;
    Ok(Explanation {
        code: code.into(),
        sid: text("Sid").map(Into::into),
        why: why.into(),
        covers,
        span: item.span,
        used: false,
    })
}
