//! Texts inside texts: JSON in a JSON string, perhaps percent-encoded.

use super::Span;
use super::escape::Characters;

/// How a text is written inside a JSON string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// As it is.
    Plain,
    /// Percent-encoded, as IAM prints policies.
    ///
    /// Source: IAM API Reference, `PolicyVersion` (`Document` is URL-encoded, RFC 3986).
    Percent,
}

/// Decodes percent-encoding; `None` when a `%` is not followed by two hexadecimal digits, or the
/// result is not UTF-8. A plus sign stands for itself.
///
/// Source: RFC 3986, section 2.1.
#[must_use]
pub fn percent_decoded(text: &str) -> Option<String> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => octet(char::from(bytes.next()?), char::from(bytes.next()?))?,
            _ => byte,
        });
    }
    String::from_utf8(decoded).ok()
}

fn octet(high: char, low: char) -> Option<u8> {
    u8::try_from(high.to_digit(16)? * 16 + low.to_digit(16)?).ok()
}

/// Decoded bytes between two remembered offsets.
const STRIDE: usize = 512;

/// Where decoded bytes stood as written: pairs of decoded and written offsets, ascending.
#[derive(Debug)]
pub(super) struct Offsets(Vec<(usize, usize)>);

impl Offsets {
    /// Of the string that stands at `span` of `outer`, quotes included.
    pub(super) fn new(outer: &str, span: Span, encoding: Encoding) -> Self {
        let mut pairs = vec![(0, span.start + 1)];
        let mut decoded = 0;
        let mut remembered = 0;
        for (written, length) in Units::new(outer, span.start + 1, span.end - 1, encoding) {
            if decoded - remembered >= STRIDE {
                pairs.push((decoded, written));
                remembered = decoded;
            }
            decoded += length;
        }
        Self(pairs)
    }

    /// Where the decoded byte at `offset` is written.
    pub(super) fn written(
        &self,
        offset: usize,
        outer: &str,
        span: Span,
        encoding: Encoding,
    ) -> usize {
        let after = self.0.partition_point(|(decoded, _)| *decoded <= offset);
        let (mut decoded, start) = after
            .checked_sub(1)
            .and_then(|last| self.0.get(last))
            .copied()
            .unwrap_or((0, span.start + 1));
        for (written, length) in Units::new(outer, start, span.end - 1, encoding) {
            decoded += length;
            if decoded > offset {
                return written;
            }
        }
        span.end - 1
    }
}

/// What stands for one character or octet: where it is written, and its decoded bytes.
struct Units<'a> {
    characters: Characters<'a>,
    encoding: Encoding,
}

impl<'a> Units<'a> {
    fn new(outer: &'a str, start: usize, end: usize, encoding: Encoding) -> Self {
        Self { characters: Characters::new(outer, start, end), encoding }
    }
}

impl Iterator for Units<'_> {
    type Item = (usize, usize);

    fn next(&mut self) -> Option<(usize, usize)> {
        let (written, character) = self.characters.next()?;
        if self.encoding == Encoding::Percent && character == '%' {
            self.characters.next();
            self.characters.next();
            return Some((written, 1));
        }
        Some((written, character.len_utf8()))
    }
}

#[cfg(test)]
mod tests {
    use super::percent_decoded;

    #[track_caller]
    fn check(text: &str, decoded: Option<&str>) {
        assert_eq!(percent_decoded(text).as_deref(), decoded, "{text:?}");
    }

    #[test]
    fn percent_encoding_is_that_of_rfc_3986() {
        check("%7B%22a%22%3a1%7D", Some(r#"{"a":1}"#));
        check("a+b%2Bc", Some("a+b+c"));
        check("%C3%A9", Some("é"));
        check("é", Some("é"));
    }

    #[test]
    fn what_is_not_percent_encoded_text_is_refused() {
        check("100%", None);
        check("%7", None);
        check("%zz", None);
        check("%+1", None);
        check("%FF", None);
    }
}
