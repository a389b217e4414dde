//! The reader: strict RFC 8259, linear time, no recursion.

use std::borrow::Cow;
use std::sync::Arc;

use super::escape::{BadEscape, unescape};
use super::{Among, Json, Known, Member, Source, Span, Value};
use crate::engine::bundle::Limits;
use crate::engine::problem::Problem;

/// Reads a text as JSON; `None`, with problems reported, when it has errors.
///
/// Source: RFC 8259; member names must be unique, as IAM demands of policies.
pub fn read<'a>(
    source: &Source<'a>,
    limits: &Limits,
    problems: &mut Vec<Problem>,
) -> Option<Json<'a>> {
    read_among(source, limits, problems, Among::NONE)
}

/// Like [`read`], where objects that are known are not read again.
pub fn read_among<'a>(
    source: &Source<'a>,
    limits: &Limits,
    problems: &mut Vec<Problem>,
    among: Among<'_>,
) -> Option<Json<'a>> {
    let text = source.text();
    if text.len() > limits.document_bytes {
        let (size, most) = (text.len(), limits.document_bytes);
        let problem = Problem::error(
            "document-too-large",
            format!("the document has {size} bytes, more than {most}"),
        )
        .help("split it, or raise the limit on the size of documents")
        .at(source.place(Span { start: 0, end: 0 }));
        problems.push(problem);
        return None;
    }
    let before = problems.len();
    let mut reader = Reader {
        source,
        text,
        bytes: text.as_bytes(),
        at: 0,
        depth: limits.depth,
        problems,
        among,
    };
    match reader.document() {
        Ok(json) => (problems.len() == before).then_some(json),
        Err(fault) => {
            let problem = Problem::error(fault.code, fault.message).help(fault.help);
            problems.push(problem.at(source.place(fault.span)));
            None
        }
    }
}

/// What ends the reading.
pub(super) struct Fault {
    code: &'static str,
    message: String,
    help: &'static str,
    span: Span,
}

/// An object or array that is not finished.
enum Open<'a> {
    List { start: usize, items: Vec<Json<'a>> },
    Object { start: usize, members: Vec<Member<'a>>, name: Cow<'a, str>, name_span: Span },
}

struct Reader<'s, 'a> {
    source: &'s Source<'a>,
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    depth: usize,
    problems: &'s mut Vec<Problem>,
    among: Among<'s>,
}

impl<'a> Reader<'_, 'a> {
    fn document(&mut self) -> Result<Json<'a>, Fault> {
        if self.text.starts_with('\u{feff}') {
            let span = Span { start: 0, end: 3 };
            let message = "the document starts with a byte order mark".to_owned();
            return Err(Fault {
                code: "json-syntax",
                message,
                help: "save it as UTF-8 without byte order mark",
                span,
            });
        }
        let mut open: Vec<Open<'a>> = Vec::new();
        loop {
            let Some(mut json) = self.value(&mut open)? else { continue };
            // Gives the value to what encloses it, and that, if finished, likewise.
            loop {
                self.skip_white();
                let more = match open.last_mut() {
                    None if self.at == self.bytes.len() => return Ok(json),
                    None => return Err(self.unexpected("the end of the document")),
                    Some(Open::List { items, .. }) => {
                        items.push(json);
                        self.eat(b',')
                    }
                    Some(Open::Object { members, name, name_span, .. }) => {
                        members.push(Member {
                            name: std::mem::take(name),
                            name_span: *name_span,
                            value: json,
                        });
                        let more = self.eat(b',');
                        if more {
                            (*name, *name_span) = self.name("the name of a member")?;
                        }
                        more
                    }
                };
                if more {
                    break;
                }
                json = match open.pop() {
                    Some(Open::List { start, items }) if self.eat(b']') => {
                        Json { span: self.since(start), value: Value::List(items) }
                    }
                    Some(Open::Object { start, members, .. }) if self.eat(b'}') => {
                        self.report_duplicates(&members);
                        Json { span: self.since(start), value: Value::Object(members) }
                    }
                    Some(Open::List { .. }) => return Err(self.unexpected("`,` or `]`")),
                    Some(Open::Object { .. }) | None => return Err(self.unexpected("`,` or `}`")),
                };
            }
        }
    }

    /// A value, or `None` when an object or array was opened.
    fn value(&mut self, open: &mut Vec<Open<'a>>) -> Result<Option<Json<'a>>, Fault> {
        self.skip_white();
        let start = self.at;
        let value = match self.bytes.get(start) {
            Some(b'{') => {
                if let Some(known) = self.known(open) {
                    self.at += known.text().len();
                    return Ok(Some(Json { span: self.since(start), value: Value::Known(known) }));
                }
                self.enter(open.len())?;
                self.skip_white();
                if !self.eat(b'}') {
                    let (name, name_span) = self.name("the name of a member or `}`")?;
                    open.push(Open::Object { start, members: Vec::new(), name, name_span });
                    return Ok(None);
                }
                Value::Object(Vec::new())
            }
            Some(b'[') => {
                self.enter(open.len())?;
                self.skip_white();
                if !self.eat(b']') {
                    open.push(Open::List { start, items: Vec::new() });
                    return Ok(None);
                }
                Value::List(Vec::new())
            }
            Some(b'"') => Value::Text(self.string()?),
            Some(b'-' | b'0'..=b'9') => Value::Number(self.number()?),
            Some(b't') if self.eat_word("true") => Value::Bool(true),
            Some(b'f') if self.eat_word("false") => Value::Bool(false),
            Some(b'n') if self.eat_word("null") => Value::Null,
            _ => return Err(self.unexpected("a value")),
        };
        Ok(Some(Json { span: self.since(start), value }))
    }

    /// The object that stands here, if it is known and looked for here.
    fn known(&self, open: &[Open<'a>]) -> Option<Arc<Known>> {
        let (list, name) = match open {
            [Open::Object { name, .. }] => (None, name),
            [Open::Object { name: list, .. }, Open::List { .. }, Open::Object { name, .. }] => {
                (Some(&**list), name)
            }
            _ => return None,
        };
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        self.among.find(list, name, rest, (open.len(), self.depth))
    }

    /// Steps into an object or array.
    fn enter(&mut self, depth: usize) -> Result<(), Fault> {
        let start = self.at;
        self.at += 1;
        if depth < self.depth {
            return Ok(());
        }
        let message = format!("more than {} levels of nesting", self.depth);
        Err(Fault {
            code: "json-too-deep",
            message,
            help: "no document of AWS is nested so deep",
            span: self.since(start),
        })
    }

    /// The name of a member and the colon after it.
    fn name(&mut self, expected: &str) -> Result<(Cow<'a, str>, Span), Fault> {
        self.skip_white();
        let start = self.at;
        if self.bytes.get(start) != Some(&b'"') {
            return Err(self.unexpected(expected));
        }
        let name = self.string()?;
        let span = self.since(start);
        self.skip_white();
        if self.eat(b':') { Ok((name, span)) } else { Err(self.unexpected("`:`")) }
    }

    /// A string, from its opening quote.
    fn string(&mut self) -> Result<Cow<'a, str>, Fault> {
        let opening = self.at;
        self.at += 1;
        let mut owned: Option<String> = None;
        loop {
            let start = self.at;
            let rest = self.bytes.get(start..).unwrap_or_default();
            let length = rest.iter().position(|&byte| byte == b'"' || byte == b'\\' || byte < 0x20);
            self.at = length.map_or(self.bytes.len(), |length| start + length);
            let plain = self.text.get(start..self.at).unwrap_or_default();
            match self.bytes.get(self.at) {
                None => {
                    let end = opening + 1;
                    return Err(
                        self.fault("a string that does not end", Span { start: opening, end })
                    );
                }
                Some(b'"') => {
                    self.at += 1;
                    return Ok(match owned {
                        None => Cow::Borrowed(plain),
                        Some(mut text) => {
                            text.push_str(plain);
                            Cow::Owned(text)
                        }
                    });
                }
                Some(b'\\') => {
                    let text = owned.get_or_insert_default();
                    text.push_str(plain);
                    let (character, next) =
                        unescape(self.bytes, self.at).map_err(|bad| self.bad_escape(bad))?;
                    text.push(character);
                    self.at = next;
                }
                Some(control) => {
                    let message = format!("the control character U+{control:04X} in a string");
                    let mut fault = self.fault(message, Span { start: self.at, end: self.at + 1 });
                    fault.help = "write it as an escape such as `\\n`, `\\t` or `\\u0000`";
                    return Err(fault);
                }
            }
        }
    }

    fn bad_escape(&self, bad: BadEscape) -> Fault {
        let (message, width) = match bad {
            BadEscape::Unfinished => ("an escape that does not end", 1),
            BadEscape::Unknown => {
                ("an unknown escape: expected one of `\"\\/bfnrtu` after `\\`", 2)
            }
            BadEscape::NotHexadecimal => ("expected four hexadecimal digits after `\\u`", 6),
            BadEscape::LoneSurrogate => ("half a surrogate pair, which is no character", 6),
        };
        self.fault(message, Span { start: self.at, end: self.at + width })
    }

    fn number(&mut self) -> Result<&'a str, Fault> {
        let start = self.at;
        self.eat(b'-');
        if !self.eat(b'0') {
            self.digits()?;
        }
        if self.eat(b'.') {
            self.digits()?;
        }
        if self.eat(b'e') || self.eat(b'E') {
            if !self.eat(b'-') {
                self.eat(b'+');
            }
            self.digits()?;
        }
        Ok(self.text.get(start..self.at).unwrap_or_default())
    }

    fn digits(&mut self) -> Result<(), Fault> {
        let start = self.at;
        while self.bytes.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
        if self.at > start { Ok(()) } else { Err(self.unexpected("a digit")) }
    }

    fn skip_white(&mut self) {
        while let Some(b' ' | b'\n' | b'\t' | b'\r') = self.bytes.get(self.at) {
            self.at += 1;
        }
    }

    fn eat(&mut self, byte: u8) -> bool {
        let there = self.bytes.get(self.at) == Some(&byte);
        self.at += usize::from(there);
        there
    }

    fn eat_word(&mut self, word: &str) -> bool {
        let there = self.bytes.get(self.at..).is_some_and(|rest| rest.starts_with(word.as_bytes()));
        self.at += if there { word.len() } else { 0 };
        there
    }

    fn since(&self, start: usize) -> Span {
        Span { start, end: self.at }
    }

    fn fault(&self, message: impl Into<String>, span: Span) -> Fault {
        Fault {
            code: "json-syntax",
            message: message.into(),
            help: "documents are JSON as in RFC 8259",
            span,
        }
    }

    /// Something else stands here than was expected.
    fn unexpected(&self, expected: &str) -> Fault {
        let here = self.text.get(self.at..).and_then(|rest| rest.chars().next());
        let Some(found) = here else {
            let end = self.text.trim_end().len();
            return self.fault(
                format!("expected {expected}, found the end of the document"),
                Span { start: end, end },
            );
        };
        let span = Span { start: self.at, end: self.at + found.len_utf8() };
        let shown = if found.is_control() {
            format!("U+{:04X}", u32::from(found))
        } else {
            format!("`{found}`")
        };
        let mut fault = self.fault(format!("expected {expected}, found {shown}"), span);
        let before = self.text.get(..self.at).unwrap_or_default().trim_end();
        fault.help = match found {
            '}' | ']' if before.ends_with(',') => "remove the comma before it",
            '/' | '#' => "JSON has no comments",
            '\'' => "strings stand in double quotes",
            '"' if expected.starts_with("`,`") => "put a comma between",
            _ => fault.help,
        };
        fault
    }

    /// Reports every member whose name stood before in the same object.
    fn report_duplicates(&mut self, members: &[Member<'a>]) {
        const FEW: usize = 12;
        if members.len() <= FEW {
            for (index, second) in members.iter().enumerate().skip(1) {
                if let Some(first) =
                    members.iter().take(index).find(|first| first.name == second.name)
                {
                    self.report_duplicate(first, second);
                }
            }
            return;
        }
        let mut sorted: Vec<&Member<'a>> = members.iter().collect();
        sorted.sort_by(|a, b| a.name.cmp(&b.name));
        for same in sorted.chunk_by(|a, b| a.name == b.name) {
            if let Some((first, others)) = same.split_first() {
                others.iter().for_each(|second| self.report_duplicate(first, second));
            }
        }
    }

    fn report_duplicate(&mut self, first: &Member<'a>, second: &Member<'a>) {
        let line = self.source.line(first.name_span);
        let message = format!("the member `{}` is there twice, first on line {line}", second.name);
        let problem = Problem::error("json-duplicate-member", message)
            .help("keep one of them: readers disagree on which one counts")
            .at(self.source.place(second.name_span));
        self.problems.push(problem);
    }
}

#[cfg(test)]
mod tests;
