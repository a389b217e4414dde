//! Policy variables: `${aws:username}` and `${aws:PrincipalTag/team, 'none'}`.
//!
//! Source: IAM User Guide, "IAM policy elements: Variables and tags".

use super::context::{Context, Entry, is_condition_key, is_multivalued};
use super::pattern::{Sign, literal, signs};
use super::truth::Truth;

/// What a text with variables comes to.
pub(crate) enum Expanded {
    /// Every variable stands for a text.
    Text(Vec<Sign>),
    /// A variable has neither value nor default: the text is null.
    Null,
    /// A variable holds several values, or one that nobody knows: the text may be anything.
    Anything,
}

impl Expanded {
    /// Null is equal to nothing; what may be anything is unsure.
    pub(crate) fn matching(&self, matches: impl Fn(&[Sign]) -> Truth) -> Truth {
        match self {
            Self::Text(pattern) => matches(pattern),
            Self::Null => Truth::False,
            Self::Anything => Truth::Unsure,
        }
    }
}

/// A piece of a text: as it stands, or the inside of `${…}`.
enum Piece<'a> {
    Plain(&'a str),
    Variable(&'a str),
}

/// None if a variable is not closed.
fn pieces(text: &str) -> Option<Vec<Piece<'_>>> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let (inside, behind) = after.split_once('}')?;
        pieces.extend([Piece::Plain(before), Piece::Variable(inside)]);
        rest = behind;
    }
    pieces.push(Piece::Plain(rest));
    Some(pieces)
}

/// `${*}`, `${?}` and `${$}` are the characters themselves.
fn is_special(variable: &str) -> bool {
    ["*", "?", "$"].contains(&variable)
}

/// Name and default of a variable.
fn name_and_default(variable: &str) -> (&str, Option<&str>) {
    match variable.split_once(',') {
        Some((name, default)) => (name.trim(), Some(default.trim())),
        None => (variable.trim(), None),
    }
}

/// A default stands in single quotes.
fn unquoted(default: &str) -> Option<&str> {
    default.strip_prefix('\'')?.strip_suffix('\'')
}

/// Whether every variable of the text can be read.
pub(crate) fn are_readable(text: &str) -> bool {
    let readable = |piece: Piece<'_>| match piece {
        Piece::Plain(_) => true,
        Piece::Variable(variable) => {
            let (name, default) = name_and_default(variable);
            let well_named =
                is_condition_key(name) && default.is_none_or(|d| unquoted(d).is_some());
            is_special(variable) || well_named
        }
    };
    pieces(text).is_some_and(|pieces| pieces.into_iter().all(readable))
}

/// The condition keys that the variables of a text name.
pub(crate) fn names(text: &str) -> Vec<String> {
    let named = |piece: Piece<'_>| match piece {
        Piece::Variable(variable) if !is_special(variable) => {
            Some(name_and_default(variable).0.to_owned())
        }
        Piece::Plain(_) | Piece::Variable(_) => None,
    };
    pieces(text).unwrap_or_default().into_iter().filter_map(named).collect()
}

/// Whether the text holds a variable that stands for a condition key.
pub(crate) fn holds_variable(text: &str) -> bool {
    !names(text).is_empty()
}

/// Replaces the variables of a text.
pub(crate) fn expand(text: &str, context: &Context) -> Expanded {
    let mut pattern = Vec::new();
    for piece in pieces(text).unwrap_or_default() {
        match piece {
            Piece::Plain(text) => pattern.extend(signs(text)),
            Piece::Variable(variable) if is_special(variable) => pattern.extend(literal(variable)),
            Piece::Variable(variable) => match value_of(variable, context) {
                Expanded::Text(value) => pattern.extend(value),
                nothing => return nothing,
            },
        }
    }
    Expanded::Text(pattern)
}

/// What one variable stands for: always literal text.
fn value_of(variable: &str, context: &Context) -> Expanded {
    let (name, default) = name_and_default(variable);
    let default = default.and_then(unquoted);
    match (context.get(name), default) {
        (Some(Entry::One(value)), _) if !is_multivalued(name) => Expanded::Text(literal(value)),
        (Some(_), _) => Expanded::Anything,
        (None, Some(default)) => Expanded::Text(literal(default)),
        (None, None) => Expanded::Null,
    }
}

/// Cuts a text at its first five colons; those inside variables do not count.
pub(crate) fn segments_as_written(text: &str) -> Vec<String> {
    let mut segments = vec![String::new()];
    let mut open = false;
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        open = (open || rest.starts_with("${")) && character != '}';
        if character == ':' && !open && segments.len() < 6 {
            segments.push(String::new());
        } else {
            segments.last_mut().expect("never empty").push(character);
        }
        rest = &rest[character.len_utf8()..];
    }
    segments
}
