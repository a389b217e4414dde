//! From places in characters to places in bytes.

/// Characters between two remembered offsets.
const STRIDE: usize = 256;

/// Where the characters of a text stand, in bytes.
pub(super) struct Offsets<'a> {
    text: &'a str,
    /// Bytes before each multiple of `STRIDE`; empty where every character is one byte.
    bytes: Vec<usize>,
}

impl<'a> Offsets<'a> {
    /// Of a text.
    pub(super) fn new(text: &'a str) -> Self {
        let bytes = if text.is_ascii() {
            Vec::new()
        } else {
            text.char_indices().step_by(STRIDE).map(|(offset, _)| offset).collect()
        };
        Self { text, bytes }
    }

    /// The byte at which the character with this number, from 0, starts.
    pub(super) fn of(&self, character: usize) -> usize {
        if self.bytes.is_empty() {
            return character.min(self.text.len());
        }
        let Some(start) = self.bytes.get(character / STRIDE) else { return self.text.len() };
        let rest = self.text.get(*start..).unwrap_or_default();
        rest.char_indices()
            .nth(character % STRIDE)
            .map_or(self.text.len(), |(offset, _)| start + offset)
    }
}

#[cfg(test)]
mod tests {
    use super::Offsets;

    #[test]
    fn characters_are_found_where_they_stand() {
        for text in ["", "abc", "äöü", &"aé€😀".repeat(700)] {
            let offsets = Offsets::new(text);
            for (number, (offset, _)) in text.char_indices().enumerate() {
                assert_eq!(offsets.of(number), offset);
            }
            assert_eq!(offsets.of(text.chars().count()), text.len());
            assert_eq!(offsets.of(usize::MAX), text.len());
        }
    }
}
