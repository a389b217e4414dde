//! The escape sequences of JSON strings.

/// What is wrong with an escape sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BadEscape {
    /// The text ends within it.
    Unfinished,
    /// The character after the backslash means nothing.
    Unknown,
    /// `\u` without four hexadecimal digits.
    NotHexadecimal,
    /// Half of a surrogate pair.
    LoneSurrogate,
}

/// Reads the escape sequence at `at`, where the backslash stands: its character, and the offset
/// after it.
///
/// Source: RFC 8259, section 7.
pub(super) fn unescape(bytes: &[u8], at: usize) -> Result<(char, usize), BadEscape> {
    let letter = *bytes.get(at + 1).ok_or(BadEscape::Unfinished)?;
    let plain = match letter {
        b'"' => '"',
        b'\\' => '\\',
        b'/' => '/',
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'u' => return unicode(bytes, at),
        _ => return Err(BadEscape::Unknown),
    };
    Ok((plain, at + 2))
}

fn unicode(bytes: &[u8], at: usize) -> Result<(char, usize), BadEscape> {
    let first = hexadecimal(bytes, at + 2)?;
    if let Some(plain) = char::from_u32(first) {
        return Ok((plain, at + 6));
    }
    let second_at = at + 6;
    if first >= 0xDC00 || bytes.get(second_at..second_at + 2) != Some(b"\\u") {
        return Err(BadEscape::LoneSurrogate);
    }
    let second = hexadecimal(bytes, second_at + 2)?;
    if !(0xDC00..0xE000).contains(&second) {
        return Err(BadEscape::LoneSurrogate);
    }
    let code = 0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00);
    char::from_u32(code).map(|pair| (pair, at + 12)).ok_or(BadEscape::LoneSurrogate)
}

fn hexadecimal(bytes: &[u8], at: usize) -> Result<u32, BadEscape> {
    let digits = bytes.get(at..at + 4).ok_or(BadEscape::Unfinished)?;
    let mut code = 0;
    for &digit in digits {
        let digit = char::from(digit).to_digit(16).ok_or(BadEscape::NotHexadecimal)?;
        code = code * 16 + digit;
    }
    Ok(code)
}

/// Decodes the inside of a JSON string that was read before, character by character.
#[derive(Clone)]
pub(super) struct Characters<'a> {
    text: &'a str,
    at: usize,
    end: usize,
}

impl<'a> Characters<'a> {
    /// Characters of `text` from byte `at` up to byte `end`.
    pub(super) fn new(text: &'a str, at: usize, end: usize) -> Self {
        Self { text, at, end }
    }
}

impl Iterator for Characters<'_> {
    /// Where the character starts as written, and the character.
    type Item = (usize, char);

    fn next(&mut self) -> Option<(usize, char)> {
        let at = self.at;
        if at >= self.end {
            return None;
        }
        let written = self.text.get(at..)?.chars().next()?;
        let (character, next) = match written {
            '\\' => unescape(self.text.as_bytes(), at).unwrap_or(('\\', at + 1)),
            _ => (written, at + written.len_utf8()),
        };
        self.at = next;
        Some((at, character))
    }
}

#[cfg(test)]
mod tests {
    use super::{BadEscape, Characters, unescape};

    #[track_caller]
    fn check(text: &str, expected: Result<(char, usize), BadEscape>) {
        assert_eq!(unescape(text.as_bytes(), 0), expected, "{text:?}");
    }

    #[test]
    fn escapes_stand_for_one_character() {
        check(r"\n", Ok(('\n', 2)));
        check(r"\/x", Ok(('/', 2)));
        check(r"\u00e9", Ok(('é', 6)));
        check(r"\uD83D\uDE00", Ok(('😀', 12)));
    }

    #[test]
    fn what_stands_for_no_character_is_refused() {
        check(r"\", Err(BadEscape::Unfinished));
        check(r"\u12", Err(BadEscape::Unfinished));
        check(r"\x41", Err(BadEscape::Unknown));
        check(r"\u00g0", Err(BadEscape::NotHexadecimal));
        check(r"\u+0e9", Err(BadEscape::NotHexadecimal));
        check(r"\uD83D", Err(BadEscape::LoneSurrogate));
        check(r"\uD83Dxxxxxx", Err(BadEscape::LoneSurrogate));
        check(r"\uD83D\u0041", Err(BadEscape::LoneSurrogate));
        check(r"\uDE00\uD83D", Err(BadEscape::LoneSurrogate));
    }

    #[test]
    fn characters_know_where_they_stood() {
        let text = r#""é\n\u0041b""#;
        let found: Vec<_> = Characters::new(text, 1, text.len() - 1).collect();
        assert_eq!(found, [(1, 'é'), (3, '\n'), (5, 'A'), (11, 'b')]);
    }
}
