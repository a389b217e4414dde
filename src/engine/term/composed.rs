//! Texts that are borrowed where they can be, and otherwise put together in place.

use std::fmt;
use std::ops::Deref;

use smallvec::SmallVec;

/// A text: told by somebody, or put together of several. Up to 120 bytes it does not allocate, which
/// is more than the ARN of a key is long.
#[derive(Clone, Debug)]
pub struct Composed<'a>(Kind<'a>);

#[derive(Clone, Debug)]
enum Kind<'a> {
    Told(&'a str),
    Made(SmallVec<[u8; 120]>), // Invariant: UTF-8.
}

impl<'a> Composed<'a> {
    /// Puts a text together.
    #[must_use]
    pub fn of(parts: &[&str]) -> Self {
        let mut bytes = SmallVec::new();
        for part in parts {
            bytes.extend_from_slice(part.as_bytes());
        }
        Self(Kind::Made(bytes))
    }

    /// The text, borrowed where it was told by somebody.
    #[must_use]
    pub fn told(&self) -> Option<&'a str> {
        if let Kind::Told(text) = self.0 { Some(text) } else { None }
    }
}

impl<'a> From<&'a str> for Composed<'a> {
    fn from(text: &'a str) -> Self {
        Self(Kind::Told(text))
    }
}

impl Deref for Composed<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        match &self.0 {
            Kind::Told(text) => text,
            Kind::Made(bytes) => std::str::from_utf8(bytes).unwrap_or_default(),
        }
    }
}

impl PartialEq for Composed<'_> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl fmt::Display for Composed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::Composed;

    #[test]
    fn a_text_is_the_same_however_it_came_about() {
        let (told, made) = (Composed::from("é-1"), Composed::of(&["é", "", "-1"]));
        assert_eq!(told, made);
        assert_eq!((told.told(), made.told()), (Some("é-1"), None));
        let long = "x".repeat(100);
        assert_eq!(Composed::of(&[&long, &long]).to_string(), "x".repeat(200));
    }
}
