//! Comparing texts whose case does not count.

use std::cmp::Ordering;

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

/// Bytes that a kind of name is made of.
pub(super) struct Alphabet([bool; 256]);

impl Alphabet {
    /// Letters, digits and `others`.
    pub(super) const fn with(others: &[u8]) -> Self {
        let mut bytes = [false; 256];
        let mut byte: u8 = 0;
        loop {
            let mut found = byte.is_ascii_alphanumeric();
            let mut other = 0;
            #[expect(clippy::indexing_slicing, reason = "in range, and checked when compiled")]
            while other < others.len() {
                found |= others[other] == byte;
                other += 1;
            }
            #[expect(clippy::indexing_slicing, reason = "there is a place for every byte")]
            {
                bytes[byte as usize] = found;
            }
            if byte == u8::MAX {
                return Self(bytes);
            }
            byte += 1;
        }
    }

    /// Whether a text is made of these bytes alone.
    #[inline]
    pub(super) fn makes(&self, text: &str) -> bool {
        text.bytes().all(|byte| self.0.get(usize::from(byte)).is_some_and(|of| *of))
    }
}

/// Which of two texts comes first when case does not count. Those that are [`same`] are equal.
#[must_use]
pub fn compare(a: &str, b: &str) -> Ordering {
    if a.is_ascii() && b.is_ascii() {
        fn lower(text: &str) -> impl Iterator<Item = u8> {
            text.bytes().map(|byte| byte.to_ascii_lowercase())
        }
        return lower(a).cmp(lower(b));
    }
    folded(a).cmp(folded(b))
}

/// The characters of a text in lower case.
pub fn folded(text: &str) -> impl Iterator<Item = char> + '_ {
    text.chars().flat_map(char::to_lowercase)
}

#[cfg(test)]
mod tests {
    use super::{Alphabet, compare, same};

    const NAME: Alphabet = Alphabet::with(b"-_");

    #[test]
    fn a_name_is_made_of_letters_digits_and_what_else_it_may_have() {
        for byte in 0..=127_u8 {
            let text = format!("aZ09{}bcdefghijklmnopqrstuvwxyz", char::from(byte));
            let expected = byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
            assert_eq!(NAME.makes(&text), expected, "{text:?}");
        }
        assert!(!NAME.makes("é") && NAME.makes(""));
    }

    #[test]
    fn case_does_not_count_in_any_script() {
        assert!(same("Team", "tEAM") && same("ÉCOLE", "école") && same("", ""));
        assert!(!same("team", "teams") && !same("é", "e") && !same("", "a") && !same("a", ""));
        // The sign of the Kelvin is a k in lower case.
        assert!(compare("\u{212a}b", "Kc").is_lt() && compare("a", "B").is_lt());
        assert!(compare("ÉCOLE", "école").is_eq() && compare("Team", "teaM").is_eq());
        assert!(same("\u{212a}", "k") && same("x\u{212a}", "XK") && !same("\u{212a}", "x"));
    }
}
