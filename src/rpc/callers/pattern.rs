//! Patterns over callers' attributes: `spiffe://prod.example/ns/{namespace}/sa/{account}` reads
//! attributes, `arn:aws:sts::111122223333:assumed-role/{account}/*` uses them.

use std::fmt;

/// Attributes of a caller, by name.
pub(super) type Attributes = Vec<(Box<str>, Box<str>)>;

/// The longest pattern, in bytes.
const LONGEST: usize = 1024;

/// A pattern. `*` stands for characters other than `:` and `/`; `**`, at the end alone, for any;
/// `{name}` for an attribute of the caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pattern(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Literal(Box<str>),
    /// Within a component.
    Star,
    /// All that is left.
    Rest,
    Attribute(Box<str>),
}

/// A text is no pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}`: {why}")]
pub(super) struct InvalidPattern {
    text: String,
    why: &'static str,
}

impl Pattern {
    /// Reads a pattern; `*` alone stands for everything.
    pub(super) fn parse(text: &str) -> Result<Self, InvalidPattern> {
        let invalid = |why| InvalidPattern { text: text.to_owned(), why };
        if text.is_empty() || text.len() > LONGEST {
            return Err(invalid("a pattern has 1 to 1024 bytes"));
        }
        if text == "*" {
            return Ok(Self(vec![Piece::Rest]));
        }
        let (text, rest) = text.strip_suffix("**").map_or((text, false), |text| (text, true));
        let mut pieces = Vec::new();
        let mut left = text;
        while let Some(at) = left.find(['*', '{', '}']) {
            let (before, special) = left.split_at(at);
            push_literal(&mut pieces, before);
            left = match special.as_bytes() {
                [b'*', b'*', ..] => return Err(invalid("`**` can only stand at the end")),
                [b'*', ..] => {
                    pieces.push(Piece::Star);
                    special.get(1..).unwrap_or_default()
                }
                [b'{', ..] => {
                    let end = special.find('}').ok_or(invalid("a `{` without its `}`"))?;
                    let name = special.get(1..end).unwrap_or_default();
                    if name.is_empty()
                        || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
                    {
                        return Err(invalid("an attribute is letters, digits and `_` in braces"));
                    }
                    pieces.push(Piece::Attribute(name.into()));
                    special.get(end + 1..).unwrap_or_default()
                }
                _ => return Err(invalid("a `}` without its `{`")),
            };
        }
        push_literal(&mut pieces, left);
        if rest {
            pieces.push(Piece::Rest);
        }
        Ok(Self(pieces))
    }

    /// The attributes that it uses.
    pub(super) fn attributes(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Attribute(name) => Some(&**name),
            Piece::Literal(_) | Piece::Star | Piece::Rest => None,
        })
    }

    /// Whether `text` matches, with the caller's attributes filled in. What an attribute holds is
    /// never a wildcard.
    pub(super) fn matches(&self, text: &str, attributes: &Attributes) -> bool {
        // Where to go on when the characters after the last `*` do not fit.
        let mut again: Option<(usize, &str)> = None;
        let (mut piece, mut left) = (0, text);
        loop {
            let fits = match self.0.get(piece) {
                None if left.is_empty() => return true,
                Some(Piece::Rest) => return true,
                Some(Piece::Star) => {
                    again = Some((piece + 1, left));
                    Some(left)
                }
                Some(Piece::Literal(literal)) => left.strip_prefix(&**literal),
                Some(Piece::Attribute(name)) => attributes
                    .iter()
                    .find(|(other, _)| other == name)
                    .and_then(|(_, value)| left.strip_prefix(&**value)),
                None => None,
            };
            if let Some(rest) = fits {
                (piece, left) = (piece + 1, rest);
                continue;
            }
            // The `*` takes one character more, within its component.
            let Some((after, from)) = again else { return false };
            let mut characters = from.chars();
            match characters.next() {
                None | Some(':' | '/') => return false,
                Some(_) => {
                    again = Some((after, characters.as_str()));
                    (piece, left) = (after, characters.as_str());
                }
            }
        }
    }

    /// Reads attributes: each stands for one component, of the characters of IAM names.
    pub(super) fn read(&self, text: &str) -> Option<Attributes> {
        let mut found = Attributes::new();
        let mut left = text;
        for piece in &self.0 {
            match piece {
                Piece::Literal(literal) => left = left.strip_prefix(&**literal)?,
                Piece::Rest => return Some(found),
                Piece::Star => left = left.get(component(left)..)?,
                Piece::Attribute(name) => {
                    let (value, rest) = left.split_at_checked(component(left))?;
                    let plain = |b: u8| b.is_ascii_alphanumeric() || b"+=,.@_-".contains(&b);
                    if value.is_empty() || !value.bytes().all(plain) {
                        return None;
                    }
                    found.push((name.clone(), value.into()));
                    left = rest;
                }
            }
        }
        left.is_empty().then_some(found)
    }

    /// Whether `read` can tell where each attribute ends.
    pub(super) fn is_readable(&self) -> bool {
        let ends = |piece: Option<&Piece>| match piece {
            None | Some(Piece::Rest) => true,
            Some(Piece::Literal(literal)) => literal.starts_with(['/', ':', ',']),
            Some(Piece::Star | Piece::Attribute(_)) => false,
        };
        self.0.iter().enumerate().all(|(at, piece)| match piece {
            Piece::Attribute(_) | Piece::Star => ends(self.0.get(at + 1)),
            Piece::Literal(_) | Piece::Rest => true,
        })
    }
}

/// The length of the component that a text starts with.
fn component(text: &str) -> usize {
    text.find(['/', ':', ',']).unwrap_or(text.len())
}

fn push_literal(pieces: &mut Vec<Piece>, text: &str) {
    if !text.is_empty() {
        pieces.push(Piece::Literal(text.into()));
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|piece| match piece {
            Piece::Literal(text) => f.write_str(text),
            Piece::Star => f.write_str("*"),
            Piece::Rest => f.write_str("**"),
            Piece::Attribute(name) => write!(f, "{{{name}}}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Attributes, Pattern};

    fn orders() -> Attributes {
        vec![("account".into(), "Orders".into()), ("star".into(), "*".into())]
    }

    #[track_caller]
    fn check(pattern: &str, text: &str, matches: bool) {
        let pattern = Pattern::parse(pattern).unwrap();
        assert_eq!(pattern.matches(text, &orders()), matches, "{pattern} on {text}");
    }

    #[test]
    fn a_star_stays_within_its_component() {
        check("*", "arn:aws:iam::111122223333:user/a/b", true);
        check("arn:aws:sts::1:assumed-role/App/*", "arn:aws:sts::1:assumed-role/App/s", true);
        check("arn:aws:sts::1:assumed-role/App/*", "arn:aws:sts::1:assumed-role/App/s/t", false);
        check("arn:aws:sts::*:assumed-role/App/*", "arn:aws:sts::1:assumed-role/App/s", true);
        check("arn:aws:sts::*:assumed-role/App/*", "arn:aws:sts::1:x:assumed-role/App/s", false);
        check("arn:aws:iam::1:user/**", "arn:aws:iam::1:user/team/anna", true);
        check("arn:aws:iam::1:user/**", "arn:aws:iam::12:user/team/anna", false);
        check("a*b*c", "aXbYbc", true);
        check("a*b*c", "aXbYb", false);
        check("s3.amazonaws.com", "s3.amazonaws.com", true);
        check("s3.amazonaws.com", "s3.amazonaws.com.evil", false);
    }

    #[test]
    fn attributes_are_filled_in_and_are_never_wildcards() {
        check("r/{account}/*", "r/Orders/s", true);
        check("r/{account}/*", "r/OrdersAdmin/s", false);
        check("r/{star}/*", "r/anything/s", false);
        check("r/{star}/*", "r/*/s", true);
        check("r/{unknown}/s", "r//s", false);
    }

    #[test]
    fn attributes_are_read_from_one_component_each() {
        let pattern = Pattern::parse("spiffe://prod.example/ns/{namespace}/sa/{account}").unwrap();
        assert!(pattern.is_readable());
        let found = pattern.read("spiffe://prod.example/ns/shop/sa/Orders").unwrap();
        assert_eq!(found[1], ("account".into(), "Orders".into()));
        for other in [
            "spiffe://prod.example/ns/shop/sa/Orders/admin",
            "spiffe://prod.example/ns//sa/Orders",
            "spiffe://prod.example/ns/shop/sa/Or*rs",
            "spiffe://prod.example.evil/ns/shop/sa/Orders",
        ] {
            assert_eq!(pattern.read(other), None, "{other}");
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "a{b", "a}b", "a{}", "a{b c}", "**a", "a**b", &"a".repeat(1025)] {
            assert!(Pattern::parse(text).is_err(), "{text}");
        }
        assert!(!Pattern::parse("{a}{b}").unwrap().is_readable());
        assert!(!Pattern::parse("{a}x").unwrap().is_readable());
    }
}
