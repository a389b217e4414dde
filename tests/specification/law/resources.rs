//! `Resource` and `NotResource`: which authorizations they cover.
//!
//! Source: IAM User Guide, "IAM JSON policy elements: Resource", "NotResource", "IAM policy
//! elements: Variables and tags"; AWS KMS Developer Guide, "Key policies in AWS KMS" (Resource).

use super::arn;
use super::context::Context;
use super::pattern::{Sign, glob, signs};
use super::policy::Statement;
use super::truth::Truth;
use super::variables::{self, Expanded, expand, segments_as_written};

/// Stands for "whatever it is" in the last part of an ARN: only a wildcard matches it.
const WHATEVER: char = '\u{F8FF}';

/// What an authorization is on.
#[derive(Clone, Debug)]
pub(crate) enum Resource {
    /// A key or an alias.
    Arn(String),
    /// No resource: `*` alone.
    Everything,
    /// `*`, or the principal that ListRetirableGrants names.
    EverythingOr(String),
    /// CreateKey: `*`, or all of an account in a Region. The ARN ends at the fifth colon.
    AccountWide(String),
    /// TagResource of a key that is being made. The ARN ends at the fifth colon.
    EveryKey(String),
}

impl Resource {
    /// The ARN that patterns other than `*` must match.
    fn arn(&self) -> Option<String> {
        match self {
            Self::Arn(arn) | Self::EverythingOr(arn) => Some(arn.clone()),
            Self::Everything => None,
            Self::AccountWide(prefix) => Some(format!("{prefix}{WHATEVER}")),
            Self::EveryKey(prefix) => Some(format!("{prefix}key/{WHATEVER}")),
        }
    }
}

/// Whether the statement is about the resource. Without either element it is about nothing.
pub(crate) fn resource_matches(
    statement: &Statement,
    resource: &Resource,
    context: &Context,
) -> Truth {
    let covers = |text: &String| covers(text, resource, statement.variables, context);
    match (&statement.resource, &statement.not_resource) {
        (Some(list), _) => Truth::any(list.iter().map(covers)),
        (None, Some(list)) => {
            let excluded = Truth::any(list.iter().map(covers));
            // What a variable without value excludes cannot be known.
            let vague = statement.variables && list.iter().any(|text| is_vague(text, context));
            if vague { excluded.not().doubted() } else { excluded.not() }
        }
        (None, None) => Truth::False,
    }
}

fn is_vague(text: &str, context: &Context) -> bool {
    let segments = segments_as_written(text);
    is_misplaced(&segments)
        || segments.iter().any(|segment| !matches!(expand(segment, context), Expanded::Text(_)))
}

/// Variables have a meaning from the sixth segment on; a pattern of fewer segments has its resource
/// in the last one.
fn is_misplaced(segments: &[String]) -> bool {
    let last = segments.len() - 1;
    let may_hold = |index: usize, text: &str| {
        index == 5 || (index == last && text.contains('/')) || !variables::holds_variable(text)
    };
    !segments.iter().enumerate().all(|(index, text)| may_hold(index, text))
}

fn covers(text: &str, resource: &Resource, with_variables: bool, context: &Context) -> Truth {
    if text == "*" {
        return Truth::True;
    }
    let segments = match with_variables {
        true => segments_as_written(text),
        false => text.splitn(6, ':').map(str::to_owned).collect(),
    };
    if with_variables && is_misplaced(&segments) {
        return Truth::Unsure;
    }
    let Some(arn) = resource.arn() else { return Truth::False };
    let compiled: Vec<Segment> = segments
        .iter()
        .map(|text| Segment {
            pattern: match with_variables {
                true => expand(text, context),
                false => Expanded::Text(signs(text)),
            },
            crosses: text.ends_with('*'),
        })
        .collect();
    let parts = arn::parts(&arn).map_or(Vec::new(), |parts| parts.to_vec());
    let covered = laid(&compiled, &parts);
    // In the first segment and in that of the service no pattern has a wildcard.
    let odd = [0, 2].iter().any(|i| segments.get(*i).is_some_and(|s| s.contains(['*', '?'])));
    if odd { covered.doubted() } else { covered }
}

/// What stands between two colons of a pattern.
struct Segment {
    pattern: Expanded,
    /// A `*` at the end may also match across the colons that follow.
    crosses: bool,
}

/// Lays the segments over the parts of an ARN, in every way that there is.
fn laid(segments: &[Segment], parts: &[&str]) -> Truth {
    let Some((first, others)) = segments.split_first() else {
        return Truth::of(parts.is_empty());
    };
    let Some((part, rest)) = parts.split_first() else { return Truth::False };
    let here = first.pattern.matching(|pattern: &[Sign]| Truth::of(glob(pattern, part)));
    let reach = if first.crosses { rest.len() } else { 0 };
    here.and(Truth::any((0..=reach).map(|skipped| laid(others, &rest[skipped..]))))
}
