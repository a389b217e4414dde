//! A text that can say where its bytes stand.

use std::sync::{Arc, OnceLock};

use super::Span;
use super::nested::{Encoding, Offsets};
use crate::engine::problem::Place;

/// Characters of a line that an excerpt shows at most.
const EXCERPT: usize = 160;
/// Characters before the column that an excerpt of a long line shows.
const BEFORE: usize = 60;
/// Bytes between two remembered counts of characters.
const STRIDE: usize = 1024;

/// A text and its name, or its place inside another text.
#[derive(Debug)]
pub struct Source<'a> {
    text: &'a str,
    origin: Origin<'a>,
}

#[derive(Debug)]
enum Origin<'a> {
    Document { name: Arc<str>, index: OnceLock<Index> },
    Inside { outer: &'a Source<'a>, span: Span, encoding: Encoding, offsets: OnceLock<Offsets> },
}

/// What makes finding a place cheap, however long the text is.
#[derive(Debug)]
struct Index {
    /// Offsets at which lines start.
    lines: Vec<usize>,
    /// Characters before each multiple of `STRIDE`.
    characters: Vec<usize>,
}

impl<'a> Source<'a> {
    /// A document of its own.
    #[must_use]
    pub fn new(name: Arc<str>, text: &'a str) -> Self {
        Self { text, origin: Origin::Document { name, index: OnceLock::new() } }
    }

    /// The decoded `text` of the JSON string that stands at `span` of `outer`, quotes included.
    #[must_use]
    pub fn nested(outer: &'a Source<'a>, span: Span, encoding: Encoding, text: &'a str) -> Self {
        Self { text, origin: Origin::Inside { outer, span, encoding, offsets: OnceLock::new() } }
    }

    /// The text.
    #[must_use]
    pub fn text(&self) -> &'a str {
        self.text
    }

    /// The text at a span.
    #[must_use]
    pub fn slice(&self, span: Span) -> &'a str {
        self.text.get(span.start..span.end).unwrap_or_default()
    }

    /// The place of a span; in the outermost document, where texts are nested.
    #[must_use]
    pub fn place(&self, span: Span) -> Place {
        match &self.origin {
            Origin::Document { name, index } => {
                place(name, self.text, index.get_or_init(|| Index::new(self.text)), span)
            }
            Origin::Inside { outer, span: string, encoding, offsets } => {
                let (within, string, encoding) = (outer.text, *string, *encoding);
                let offsets = offsets.get_or_init(|| Offsets::new(within, string, encoding));
                let written = |offset| offsets.written(offset, within, string, encoding);
                let start = written(span.start);
                let end = if span.end > span.start { written(span.end) } else { start };
                outer.place(Span { start, end })
            }
        }
    }

    /// The line of a span, from 1.
    #[must_use]
    pub fn line(&self, span: Span) -> u32 {
        self.place(Span { start: span.start, end: span.start }).line
    }
}

impl Index {
    fn new(text: &str) -> Self {
        let mut lines = vec![0];
        let mut characters = Vec::with_capacity(text.len() / STRIDE + 1);
        let mut count = 0;
        for (offset, byte) in text.bytes().enumerate() {
            if offset % STRIDE == 0 {
                characters.push(count);
            }
            count += usize::from(is_start(byte));
            if byte == b'\n' {
                lines.push(offset + 1);
            }
        }
        Self { lines, characters }
    }

    /// Characters before `offset`.
    fn characters(&self, text: &str, offset: usize) -> usize {
        let slot = offset / STRIDE;
        let Some(before) = self.characters.get(slot) else {
            let last = self.characters.len().saturating_sub(1);
            let before = self.characters.get(last).copied().unwrap_or_default();
            return before + count(text, last * STRIDE, offset);
        };
        before + count(text, slot * STRIDE, offset)
    }
}

fn count(text: &str, start: usize, end: usize) -> usize {
    let bytes = text.as_bytes().get(start..end).unwrap_or_default();
    bytes.iter().filter(|byte| is_start(**byte)).count()
}

/// Whether a character of UTF-8 starts with this byte.
fn is_start(byte: u8) -> bool {
    byte & 0xC0 != 0x80
}

fn place(name: &Arc<str>, text: &str, index: &Index, span: Span) -> Place {
    let wanted = text.floor_char_boundary(span.start);
    let line = index.lines.partition_point(|start| *start <= wanted);
    let line_start =
        line.checked_sub(1).and_then(|i| index.lines.get(i)).copied().unwrap_or_default();
    let line_end = index.lines.get(line).map_or(text.len(), |next| next - 1);
    let whole = text.get(line_start..line_end).unwrap_or_default();
    let whole = whole.strip_suffix('\r').unwrap_or(whole);
    let line_end = line_start + whole.len();
    // A place at the end of a line is that of its last character.
    let last = whole.chars().next_back().map_or(line_start, |last| line_end - last.len_utf8());
    let start = wanted.min(last);
    let end = span.end.clamp(start, line_end);
    let characters = |offset| index.characters(text, offset);
    let column = characters(start) - characters(line_start);
    let excerpt = Excerpt::new(text, line_start, line_end, start);
    let width = characters(text.floor_char_boundary(end.min(excerpt.end)))
        .saturating_sub(characters(start));
    Place {
        document: Arc::clone(name),
        line: narrow(line),
        column: narrow(column + 1),
        width: narrow(width.max(1)),
        excerpt: excerpt.text.into(),
        excerpt_column: narrow(excerpt.column),
    }
}

/// A line, or what stands around a place in a long one.
struct Excerpt {
    text: String,
    /// From 1.
    column: usize,
    /// Offset in the document at which it ends.
    end: usize,
}

impl Excerpt {
    fn new(text: &str, line_start: usize, line_end: usize, at: usize) -> Self {
        let before = text.get(line_start..at).unwrap_or_default();
        let after = text.get(at..line_end).unwrap_or_default();
        let is_short = |part: &str, most: usize| part.chars().nth(most).is_none();
        let shown = before.chars().rev().take(EXCERPT).count();
        if shown < EXCERPT && is_short(after, EXCERPT - shown) {
            return Self { text: format!("{before}{after}"), column: shown + 1, end: line_end };
        }
        let start = before.char_indices().rev().nth(BEFORE - 1).map_or(0, |(offset, _)| offset);
        let end =
            after.char_indices().nth(EXCERPT - BEFORE).map_or(after.len(), |(offset, _)| offset);
        let (left, right) =
            (if start > 0 { "…" } else { "" }, if end < after.len() { "…" } else { "" });
        let before = before.get(start..).unwrap_or_default();
        let after = after.get(..end).unwrap_or_default();
        Self {
            text: format!("{left}{before}{after}{right}"),
            column: left.chars().count() + before.chars().count() + 1,
            end: at + end,
        }
    }
}

fn narrow(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::{Encoding, Source, Span};

    #[track_caller]
    fn check(text: &str, at: &str, expected: (u32, u32, u32, &str, u32)) {
        let start = text.find(at).unwrap_or(text.len());
        let place = Source::new("a.json".into(), text).place(Span { start, end: start + at.len() });
        let found = (place.line, place.column, place.width, &*place.excerpt, place.excerpt_column);
        assert_eq!(found, expected, "{at:?} in {text:?}");
    }

    #[test]
    fn places_count_lines_and_characters() {
        check("abc", "b", (1, 2, 1, "abc", 2));
        check("é\nüöx\n", "x", (2, 3, 1, "üöx", 3));
        check("a\r\nbcd\r\n", "cd", (2, 2, 2, "bcd", 2));
        check("", "x", (1, 1, 1, "", 1));
    }

    #[test]
    fn what_reaches_over_a_line_is_cut_to_it() {
        check("ab{\n}\n", "{\n}", (1, 3, 1, "ab{", 3));
        check("ab", "nowhere", (1, 2, 1, "ab", 2));
    }

    #[test]
    fn long_lines_are_cut_around_the_column() {
        let text = format!("{}x{}", "é".repeat(5000), "b".repeat(5000));
        let excerpt = format!("…{}x{}…", "é".repeat(60), "b".repeat(99));
        check(&text, "x", (1, 5001, 1, &excerpt, 62));
        let text = format!("x{}", "b".repeat(5000));
        let excerpt = format!("x{}…", "b".repeat(99));
        check(&text, "x", (1, 1, 1, &excerpt, 1));
        check(&text, &text, (1, 1, 100, &excerpt, 1));
    }

    #[test]
    fn nested_texts_are_placed_in_the_document() {
        // {"a":\n "{\"é\":\n\u0041!}"}
        let outer = "{\"a\":\n \"{\\\"é\\\":\\n\\u0041!}\"}";
        let span = Span { start: 7, end: outer.len() - 1 };
        let source = Source::new("a.json".into(), outer);
        let text = "{\"é\":\nA!}";
        let inner = Source::nested(&source, span, Encoding::Plain, text);
        for (at, column, width) in
            [("{", 3, 1), ("é", 6, 1), ("A", 12, 6), ("!", 18, 1), ("}", 19, 1), ("A!", 12, 7)]
        {
            let start = text.find(at).unwrap_or_default();
            let place = inner.place(Span { start, end: start + at.len() });
            assert_eq!((place.line, place.column, place.width), (2, column, width), "{at:?}");
        }
    }

    #[test]
    fn percent_encoded_texts_are_placed_in_the_document() {
        let outer = format!(r#"{{"a":"{}%7B\u002522%22x"}}"#, "%20".repeat(2000));
        let source = Source::new("a.json".into(), &outer);
        let text = format!("{}{{\"\"x", " ".repeat(2000));
        let span = Span { start: 5, end: outer.len() - 1 };
        let inner = Source::nested(&source, span, Encoding::Percent, &text);
        for (offset, column) in
            [(0, 7), (1999, 6004), (2000, 6007), (2001, 6010), (2002, 6018), (2003, 6021)]
        {
            let place = inner.place(Span { start: offset, end: offset + 1 });
            assert_eq!(place.column, column, "{offset}");
        }
    }
}
