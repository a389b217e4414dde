//! Comparing texts whose case does not count.

use std::cmp::Ordering;

/// Whether the texts are equal when case does not count, in any script.
#[inline(always)]
#[must_use]
pub fn same(a: &str, b: &str) -> bool {
    if a == b {
        return true; // names are mostly spelt alike
    }
    if end_differently(a.as_bytes(), b.as_bytes()) {
        return false;
    }
    (a.len() == b.len() && a.eq_ignore_ascii_case(b)) || same_in_other_scripts(a, b)
}

/// Whether the last characters are of one byte each, in both texts, and are others in any case. Most
/// names are told apart by this.
#[inline(always)]
fn end_differently(a: &[u8], b: &[u8]) -> bool {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let differ = |a: u64, b: u64| (a | b) & (ONES << 7) == 0 && (a ^ b) & !(ONES << 5) != 0;
    match (a.last_chunk::<8>(), b.last_chunk::<8>()) {
        (Some(a), Some(b)) => differ(u64::from_le_bytes(*a), u64::from_le_bytes(*b)),
        _ => match (a.last(), b.last()) {
            (Some(a), Some(b)) => differ((*a).into(), (*b).into()),
            (None, None) => false,
            (Some(_), None) | (None, Some(_)) => true,
        },
    }
}

/// Whether texts are equal that are not when the case of ASCII alone does not count.
fn same_in_other_scripts(a: &str, b: &str) -> bool {
    !(a.is_ascii() && b.is_ascii()) && folded(a).eq(folded(b))
}

/// Where a byte stands first. For short texts, in which a search is over before a general one has
/// begun.
#[inline]
pub(super) fn position(bytes: &[u8], byte: u8) -> Option<usize> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let pattern = ONES * u64::from(byte);
    let (mut rest, mut at) = (bytes, 0);
    while let Some((chunk, behind)) = rest.split_first_chunk::<8>() {
        // The lowest byte that is zero has the lowest bit that is set.
        let word = u64::from_le_bytes(*chunk) ^ pattern;
        let zeros = word.wrapping_sub(ONES) & !word & (ONES << 7);
        if zeros != 0 {
            return Some(at + (zeros.trailing_zeros() / 8) as usize);
        }
        (rest, at) = (behind, at + 8);
    }
    rest.iter().position(|other| *other == byte).map(|index| at + index)
}

/// Bytes that a kind of name is made of: letters, digits and some others.
pub(super) struct Alphabet<const N: usize> {
    others: [u8; N],
    /// For texts that are too short to look at many bytes at once.
    each: [bool; 256],
}

impl<const N: usize> Alphabet<N> {
    /// Letters, digits and `others`.
    pub(super) const fn with(others: [u8; N]) -> Self {
        let mut each = [false; 256];
        let mut byte: u8 = 0;
        loop {
            let mut found = byte.is_ascii_alphanumeric();
            let mut other = 0;
            #[expect(clippy::indexing_slicing, reason = "in range, and checked when compiled")]
            while other < N {
                found |= others[other] == byte;
                other += 1;
            }
            #[expect(clippy::indexing_slicing, reason = "there is a place for every byte")]
            {
                each[byte as usize] = found;
            }
            if byte == u8::MAX {
                return Self { others, each };
            }
            byte += 1;
        }
    }

    /// Whether a text is made of these bytes alone.
    #[inline]
    pub(super) fn makes(&self, text: &str) -> bool {
        let bytes = text.as_bytes();
        let Some(last) = bytes.last_chunk::<16>() else {
            return bytes.iter().all(|byte| self.each.get(usize::from(*byte)) == Some(&true));
        };
        let (chunks, _) = bytes.as_chunks::<16>();
        chunks.iter().all(|chunk| self.makes_all(chunk)) && self.makes_all(last)
    }

    /// Whether sixteen bytes are all of them: without a way out, they are looked at together.
    #[inline]
    fn makes_all(&self, bytes: &[u8; 16]) -> bool {
        bytes.iter().fold(true, |all, byte| {
            let other = self.others.iter().fold(false, |any, other| any | (byte == other));
            all & (byte.is_ascii_alphanumeric() | other)
        })
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
    use super::{Alphabet, compare, position, same};

    #[test]
    fn a_byte_is_found_where_it_stands_first() {
        for length in 0..40 {
            let text = vec![b'x'; length];
            assert_eq!(position(&text, b':'), None);
            for first in 0..length {
                let mut text = text.clone();
                text[first] = b':';
                // Neighbours of the byte, before and behind it, are others.
                text[first + 1..].fill(if first % 2 == 0 { b':' } else { b';' });
                text[..first].fill(if first % 3 == 0 { b';' } else { 0xba });
                assert_eq!(position(&text, b':'), Some(first), "{text:?}");
            }
        }
    }

    const NAME: Alphabet<2> = Alphabet::with(*b"-_");

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
