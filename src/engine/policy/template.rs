//! Texts of policies: literal characters, wildcards and variables.

use smallvec::SmallVec;

use crate::engine::term::condition_key::{ConditionKey, has_form};
use crate::engine::term::text::folded;
use crate::engine::term::truth::Truth;
use crate::engine::term::values::{Context, Scalar, ShortText, Values};

/// A text of a policy, compiled.
///
/// Source: IAM User Guide, "IAM policy elements: Variables and tags"; "Condition operators"
/// (`StringLike`).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Template {
    /// `*`.
    Any,
    /// No wildcard, no variable.
    Literal(Box<str>),
    /// A literal and then `*`.
    Prefix(Box<str>),
    /// Anything else.
    Parts(Box<[Part]>),
}

/// A piece of a template.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    /// These characters.
    Literal(Box<str>),
    /// `*`: any characters, or none.
    AnyRun,
    /// `?`: exactly one character.
    AnyOne,
    /// `${name}` or `${name, 'default'}`.
    Variable {
        /// The condition key.
        key: ConditionKey,
        /// What stands for it when the request does not have it.
        default: Option<Box<str>>,
    },
}

/// What the characters of a policy text mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Syntax {
    /// `*` and `?` are wildcards.
    pub wildcards: bool,
    /// `${…}` is a variable: since version 2012-10-17.
    pub variables: bool,
}

impl Template {
    /// Compiles a text.
    ///
    /// # Errors
    ///
    /// What is wrong with a variable in it.
    pub fn parse(text: &str, syntax: Syntax) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(next) = rest.chars().next() {
            if syntax.variables && rest.starts_with("${") {
                let end = rest.find('}').ok_or("a variable `${` without `}`")?;
                let inside = rest.get(2..end).unwrap_or_default();
                match inside {
                    "*" | "?" | "$" => literal.push_str(inside),
                    _ => {
                        push_literal(&mut parts, &mut literal);
                        parts.push(variable(inside)?);
                    }
                }
                rest = rest.get(end + 1..).unwrap_or_default();
                continue;
            }
            match next {
                '*' if syntax.wildcards => {
                    push_literal(&mut parts, &mut literal);
                    if parts.last() != Some(&Part::AnyRun) {
                        parts.push(Part::AnyRun);
                    }
                }
                '?' if syntax.wildcards => {
                    push_literal(&mut parts, &mut literal);
                    parts.push(Part::AnyOne);
                }
                _ => literal.push(next),
            }
            rest = rest.get(next.len_utf8()..).unwrap_or_default();
        }
        push_literal(&mut parts, &mut literal);
        Ok(Self::classify(parts))
    }

    fn classify(parts: Vec<Part>) -> Self {
        match parts.as_slice() {
            [] => Self::Literal("".into()),
            [Part::AnyRun] => Self::Any,
            [Part::Literal(text)] => Self::Literal(text.clone()),
            [Part::Literal(text), Part::AnyRun] => Self::Prefix(text.clone()),
            _ => Self::Parts(parts.into()),
        }
    }

    /// Whether `value` matches, case counting.
    pub fn matches(&self, value: &str, context: &impl Context) -> Truth {
        match self {
            Self::Any => Truth::True,
            Self::Literal(text) => (**text == *value).into(),
            Self::Prefix(text) => value.starts_with(&**text).into(),
            Self::Parts(parts) => match resolve(parts, context) {
                Resolved::Tokens(tokens) => glob(&tokens, value).into(),
                Resolved::Null => Truth::False,
                Resolved::Doubt => Truth::Unsure,
            },
        }
    }

    /// Whether `value` is the same text, case not counting.
    pub fn equals_folded(&self, value: &str, context: &impl Context) -> Truth {
        match self {
            Self::Literal(text) => crate::engine::term::text::same(text, value).into(),
            Self::Any => (value == "*").into(),
            Self::Prefix(text) => folded(text).chain(['*']).eq(folded(value)).into(),
            Self::Parts(parts) => match resolve(parts, context) {
                Resolved::Tokens(tokens) => {
                    tokens.iter().flat_map(|token| folded(token.literal())).eq(folded(value)).into()
                }
                Resolved::Null => Truth::False,
                Resolved::Doubt => Truth::Unsure,
            },
        }
    }

    /// The variables in it.
    pub fn variables(&self) -> impl Iterator<Item = &ConditionKey> {
        let parts: &[Part] = if let Self::Parts(parts) = self { parts } else { &[] };
        parts.iter().filter_map(|part| match part {
            Part::Variable { key, .. } => Some(key),
            Part::Literal(_) | Part::AnyRun | Part::AnyOne => None,
        })
    }
}

fn push_literal(parts: &mut Vec<Part>, literal: &mut String) {
    if !literal.is_empty() {
        parts.push(Part::Literal(std::mem::take(literal).into()));
    }
}

fn variable(inside: &str) -> Result<Part, String> {
    let (name, default) = match inside.split_once(',') {
        None => (inside.trim(), None),
        Some((name, default)) => {
            let quoted = default.trim();
            let text = quoted
                .strip_prefix('\'')
                .and_then(|rest| rest.strip_suffix('\''))
                .ok_or_else(|| {
                    format!("the default of the variable `${{{inside}}}` is not in single quotes")
                })?;
            (name.trim(), Some(text.into()))
        }
    };
    if !has_form(name) {
        return Err(format!("`${{{inside}}}` is no variable: expected `${{prefix:name}}`"));
    }
    let key = ConditionKey::parse(name).ok_or_else(|| format!("`{name}` is no condition key"))?;
    Ok(Part::Variable { key, default })
}

/// A piece of a template with its variables filled in.
#[derive(Clone, Debug)]
pub enum Token<'a> {
    /// These characters.
    Literal(&'a str),
    /// These characters, of a number or an instant.
    Short(ShortText),
    /// Any characters.
    AnyRun,
    /// One character.
    AnyOne,
}

impl Token<'_> {
    /// The characters; none for a wildcard.
    #[must_use]
    pub fn literal(&self) -> &str {
        match self {
            Self::Literal(text) => text,
            Self::Short(text) => text.as_str(),
            Self::AnyRun | Self::AnyOne => "",
        }
    }
}

/// Tokens of a template.
pub type Tokens<'a> = SmallVec<[Token<'a>; 8]>;

/// A template with its variables filled in.
#[expect(
    clippy::large_enum_variant,
    reason = "it lives on the stack, and deciding does not allocate"
)]
pub enum Resolved<'a> {
    /// All of them have values.
    Tokens(Tokens<'a>),
    /// One has none: the text is null, and equal to nothing.
    Null,
    /// One has several values, or an unknown one.
    Doubt,
}

/// Fills in the variables. Substituted text is literal: its `*` is no wildcard.
///
/// Source: IAM User Guide, "IAM policy elements: Variables and tags".
pub fn resolve<'a>(parts: &'a [Part], context: &'a impl Context) -> Resolved<'a> {
    let mut tokens = Tokens::new();
    for part in parts {
        let token = match part {
            Part::Literal(text) => Token::Literal(text),
            Part::AnyRun => Token::AnyRun,
            Part::AnyOne => Token::AnyOne,
            Part::Variable { key, default } => match (context.values(key), default) {
                (Values::One(Scalar::Text(text)), _) => Token::Literal(text),
                (Values::One(value), _) => Token::Short(ShortText::of(&value)),
                (Values::Absent, Some(default)) => Token::Literal(default),
                (Values::Absent, None) => return Resolved::Null,
                (Values::Many(_) | Values::Each(_) | Values::Unknown, _) => return Resolved::Doubt,
            },
        };
        tokens.push(token);
    }
    Resolved::Tokens(tokens)
}

/// Whether `text` matches the tokens: linear in either, no recursion.
pub fn glob(tokens: &[Token<'_>], text: &str) -> bool {
    let (mut at, mut token) = (0, 0);
    // Where to go on after a mismatch: the token behind the last `*`, and the next start for it.
    let mut retry: Option<(usize, usize)> = None;
    loop {
        let rest = text.get(at..).unwrap_or_default();
        let step = match tokens.get(token) {
            None if rest.is_empty() => return true,
            None => None,
            Some(Token::AnyRun) => {
                retry = Some((token + 1, at));
                Some(0)
            }
            Some(Token::AnyOne) => rest.chars().next().map(char::len_utf8),
            Some(literal) => {
                let literal = literal.literal();
                rest.starts_with(literal).then_some(literal.len())
            }
        };
        if let Some(length) = step {
            at += length;
            token += 1;
            continue;
        }
        let Some((behind, start)) = retry else { return false };
        let Some(skipped) = text.get(start..).and_then(|rest| rest.chars().next()) else {
            return false;
        };
        (token, at) = (behind, start + skipped.len_utf8());
        retry = Some((behind, at));
    }
}

#[cfg(test)]
mod tests {
    use super::{Syntax, Template};
    use crate::engine::term::condition_key::ConditionKey;
    use crate::engine::term::truth::Truth::{self, False, True, Unsure};
    use crate::engine::term::values::{Context, Scalar, Values};

    struct Sample;

    impl Context for Sample {
        fn values<'v>(&'v self, key: &'v ConditionKey) -> Values<'v> {
            match &*key.name {
                "aws:username" => Values::One(Scalar::Text("al*ce")),
                "aws:EpochTime" => Values::One(Scalar::Integer(12)),
                "aws:TagKeys" => Values::texts(&["a", "b"]),
                _ => Values::Absent,
            }
        }
    }

    const LIKE: Syntax = Syntax { wildcards: true, variables: true };

    #[track_caller]
    fn check(pattern: &str, value: &str, expected: Truth) {
        let template = Template::parse(pattern, LIKE).unwrap();
        assert_eq!(template.matches(value, &Sample), expected, "{pattern:?} on {value:?}");
    }

    #[test]
    fn wildcards_match_runs_and_single_characters() {
        check("*", "", True);
        check("a*", "a", True);
        check("a*c", "abbc", True);
        check("a*c", "abb", False);
        check("a?c", "abc", True);
        check("a?c", "ac", False);
        check("?", "é", True);
        check("a*b*c", "axxbyybzzc", True);
        check("*ab", "aab", True);
        check("a**b", "ab", True);
        check("", "", True);
        check("", "a", False);
        check("*x", "*x", True);
        check("*?", "", False);
    }

    #[test]
    fn a_star_in_the_value_is_a_character() {
        check("a", "*", False);
        check("\u{2a}", "*x", True);
        check("${*}x", "*x", True);
        check("${*}x", "axx", False);
        check("${?}${$}", "?$", True);
    }

    #[test]
    fn variables_stand_for_literal_text() {
        check("home/${aws:username}/*", "home/al*ce/x", True);
        check("home/${aws:username}/*", "home/alice/x", False);
        check("${aws:EpochTime}", "12", True);
        check("${aws:missing}", "", False);
        check("${aws:missing, 'none'}", "none", True);
        check("${aws:TagKeys}", "a", Unsure);
    }

    #[test]
    fn bad_variables_are_refused() {
        for text in ["${", "${}", "${aws}", "${aws:x, none}", "a${b c:d}"] {
            assert!(Template::parse(text, LIKE).is_err(), "{text:?}");
        }
    }

    #[test]
    fn old_versions_have_no_variables() {
        let old = Syntax { wildcards: false, variables: false };
        let template = Template::parse("${aws:username}*", old).unwrap();
        assert_eq!(template.matches("${aws:username}*", &Sample), True);
        assert_eq!(template.equals_folded("${AWS:username}*", &Sample), True);
    }

    #[test]
    fn hostile_patterns_take_linear_steps() {
        let pattern = "*a".repeat(200);
        let value = "a".repeat(5_000) + "b";
        check(&pattern, &value, False);
    }
}
