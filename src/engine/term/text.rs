//! Comparing texts whose case does not count.

/// Whether the texts are equal when case does not count, in any script.
#[inline]
#[must_use]
pub fn same(a: &str, b: &str) -> bool {
    match (a.as_bytes().last(), b.as_bytes().last()) {
        // Characters of one byte: the texts end differently.
        (Some(x), Some(y)) if x.is_ascii() && y.is_ascii() && !x.eq_ignore_ascii_case(y) => {
            return false;
        }
        (None, None) => return true,
        (None, Some(_)) | (Some(_), None) => return false,
        (Some(_), Some(_)) => {}
    }
    same_folded(a, b)
}

fn same_folded(a: &str, b: &str) -> bool {
    if a.eq_ignore_ascii_case(b) {
        return true;
    }
    !(a.is_ascii() && b.is_ascii()) && folded(a).eq(folded(b))
}

/// Whether a text is made of letters, digits and `others` alone. All bytes are looked at, many at
/// once.
#[inline]
#[must_use]
pub(super) fn made_of<const N: usize>(text: &str, others: &[u8; N]) -> bool {
    text.bytes().fold(true, |all, byte| {
        let letter = (byte | 0x20).wrapping_sub(b'a') < 26;
        let digit = byte.wrapping_sub(b'0') < 10;
        let other = others.iter().fold(false, |found, other| found | (byte == *other));
        all & (letter | digit | other)
    })
}

/// The characters of a text in lower case.
pub fn folded(text: &str) -> impl Iterator<Item = char> + '_ {
    text.chars().flat_map(char::to_lowercase)
}

#[cfg(test)]
mod tests {
    use super::{made_of, same};

    #[test]
    fn a_name_is_made_of_letters_digits_and_what_else_it_may_have() {
        for byte in 0..=127_u8 {
            let text = format!("aZ09{}bcdefghijklmnopqrstuvwxyz", char::from(byte));
            let expected = byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
            assert_eq!(made_of(&text, b"-_"), expected, "{text:?}");
        }
        assert!(!made_of("é", b"-_") && made_of("", b"-_"));
    }

    #[test]
    fn case_does_not_count_in_any_script() {
        assert!(same("Team", "tEAM") && same("ÉCOLE", "école") && same("", ""));
        assert!(!same("team", "teams") && !same("é", "e") && !same("", "a") && !same("a", ""));
        // The sign of the Kelvin is a k in lower case.
        assert!(same("\u{212a}", "k") && same("x\u{212a}", "XK") && !same("\u{212a}", "x"));
    }
}
