//! YAML as the values that JSON has, with places. Strict, and bounded in size, depth and aliases.
//!
//! Source: YAML 1.2.2, "Core Schema". What JSON has no word for is refused: tags but `!!str`, keys
//! that are no scalars, infinities, numbers in other notations than JSON's stay texts.

use std::borrow::Cow;

use hashbrown::HashMap;
use saphyr_parser::{Event, Parser, ScalarStyle, Span as Marks, StrInput, Tag};

use super::offsets::Offsets;
use crate::engine::bundle::Limits;
use crate::engine::json::{Json, Member, Source, Span, Value};
use crate::engine::problem::Problem;

/// Values in a file, those that aliases stand for counted each time.
const MOST_VALUES: usize = 250_000;
/// Keys of one mapping.
const MOST_KEYS: usize = 2_000;

/// Reads a text as YAML: its documents, or `None`, with the problem reported.
pub fn read<'a>(
    source: &Source<'a>,
    limits: &Limits,
    problems: &mut Vec<Problem>,
) -> Option<Vec<Json<'a>>> {
    let text = source.text();
    if text.len() > limits.document_bytes {
        let (size, most) = (text.len(), limits.document_bytes);
        let message = format!("the file has {size} bytes, more than {most}");
        let problem = Problem::error("document-too-large", message).help("split it");
        problems.push(problem.at(source.place(Span { start: 0, end: 0 })));
        return None;
    }
    let offsets = Offsets::new(text);
    let mut reader = Reader {
        text,
        offsets: &offsets,
        depth: limits.depth,
        open: Vec::new(),
        anchored: HashMap::new(),
        values: 0,
        documents: Vec::new(),
    };
    match reader.all(Parser::new_from_str(text)) {
        Ok(()) => Some(reader.documents),
        Err(fault) => {
            let problem = Problem::error(fault.code, fault.message).help(fault.help);
            problems.push(problem.at(source.place(fault.span)));
            None
        }
    }
}

/// What ends the reading.
struct Fault {
    code: &'static str,
    message: String,
    help: &'static str,
    span: Span,
}

/// A list or mapping that is not finished, with the number of its anchor (0: none) and the count
/// of values before it.
struct Open<'a> {
    anchor: usize,
    before: usize,
    start: usize,
    items: Items<'a>,
}

enum Items<'a> {
    List(Vec<Json<'a>>),
    Mapping { members: Vec<Member<'a>>, name: Option<(Cow<'a, str>, Span)> },
}

struct Reader<'o, 'a> {
    text: &'a str,
    offsets: &'o Offsets<'a>,
    depth: usize,
    open: Vec<Open<'a>>,
    /// By number of the anchor: the value, and how many values it has.
    anchored: HashMap<usize, (Json<'a>, usize)>,
    values: usize,
    documents: Vec<Json<'a>>,
}

impl<'a> Reader<'_, 'a> {
    fn all(&mut self, parser: Parser<'a, StrInput<'a>>) -> Result<(), Fault> {
        for event in parser {
            let (event, marks) = event.map_err(|error| {
                let at = self.offsets.of(error.marker().index());
                let end = self.text.ceil_char_boundary(at.saturating_add(1));
                Fault {
                    code: "yaml-syntax",
                    message: format!("this is no YAML: {}", error.info()),
                    help: "indent with spaces, and put texts with `: `, ` #` or a leading `*&!{[` in quotes",
                    span: Span { start: at.min(self.text.len()), end },
                }
            })?;
            self.event(event, self.span(marks))?;
        }
        Ok(())
    }

    fn span(&self, marks: Marks) -> Span {
        let start = self.offsets.of(marks.start.index());
        Span { start, end: self.offsets.of(marks.end.index()).max(start) }
    }

    fn event(&mut self, event: Event<'a>, span: Span) -> Result<(), Fault> {
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
            // Anchors are those of their document.
            Event::DocumentStart(_) => {
                self.anchored.clear();
                Ok(())
            }
            Event::Alias(anchor) => self.alias(anchor, span),
            Event::Scalar(text, style, anchor, tag) => {
                let text_wanted = is_text(tag.as_deref(), span)? || style != ScalarStyle::Plain;
                self.count(1, span)?;
                self.scalar(text, text_wanted, anchor, span)
            }
            Event::SequenceStart(anchor, tag) => {
                no_tag(tag.as_deref(), span)?;
                self.enter(anchor, Items::List(Vec::new()), span)
            }
            Event::MappingStart(anchor, tag) => {
                no_tag(tag.as_deref(), span)?;
                self.enter(anchor, Items::Mapping { members: Vec::new(), name: None }, span)
            }
            Event::SequenceEnd | Event::MappingEnd => self.leave(span),
        }
    }

    fn count(&mut self, more: usize, span: Span) -> Result<(), Fault> {
        self.values = self.values.saturating_add(more);
        if self.values <= MOST_VALUES {
            return Ok(());
        }
        Err(Fault {
            code: "yaml-too-many-values",
            message: format!("more than {MOST_VALUES} values, aliases counted each time"),
            help: "split the file, or repeat less with aliases",
            span,
        })
    }

    fn enter(&mut self, anchor: usize, items: Items<'a>, span: Span) -> Result<(), Fault> {
        let in_name = matches!(
            self.open.last().map(|open| &open.items),
            Some(Items::Mapping { name: None, .. })
        );
        if in_name {
            return Err(no_name(span));
        }
        if self.open.len() >= self.depth {
            return Err(Fault {
                code: "yaml-too-deep",
                message: format!("more than {} levels of nesting", self.depth),
                help: "cases are shallow: something is indented too far",
                span,
            });
        }
        let before = self.values;
        self.count(1, span)?;
        self.open.push(Open { anchor, before, start: span.start, items });
        Ok(())
    }

    fn leave(&mut self, span: Span) -> Result<(), Fault> {
        let Some(open) = self.open.pop() else { return Ok(()) };
        let value = match open.items {
            Items::List(items) => Value::List(items),
            Items::Mapping { members, .. } => Value::Object(members),
        };
        // A block ends where the next one begins: what is white before that is not meant.
        let end = self
            .text
            .get(open.start..span.end)
            .map_or(span.end, |text| open.start + text.trim_end().len());
        let json = Json { span: Span { start: open.start, end }, value };
        if open.anchor > 0 {
            let count = self.values - open.before;
            self.count(count, span)?;
            self.anchored.insert(open.anchor, (json.clone(), count));
        }
        self.give(json)
    }

    fn alias(&mut self, anchor: usize, span: Span) -> Result<(), Fault> {
        let Some((json, count)) =
            self.anchored.get(&anchor).map(|(json, count)| (json.clone(), *count))
        else {
            return Err(Fault {
                code: "yaml-syntax",
                message: "the alias stands inside what it stands for".to_owned(),
                help: "write the value out",
                span,
            });
        };
        self.count(count, span)?;
        if self.open.len() + depth_of(&json) > self.depth {
            return Err(Fault {
                code: "yaml-too-deep",
                message: format!("more than {} levels of nesting, by this alias", self.depth),
                help: "write the value out",
                span,
            });
        }
        if let Some(Open { items: Items::Mapping { name: name @ None, .. }, .. }) =
            self.open.last_mut()
        {
            let Value::Text(text) = &json.value else { return Err(no_name(span)) };
            *name = Some((text.clone(), span));
            return Ok(());
        }
        self.give(json)
    }

    fn scalar(
        &mut self,
        text: Cow<'a, str>,
        text_wanted: bool,
        anchor: usize,
        span: Span,
    ) -> Result<(), Fault> {
        if let Some(Open { items: Items::Mapping { members, name: name @ None }, .. }) =
            self.open.last_mut()
        {
            if let Some(first) = members.iter().find(|member| member.name == text) {
                let before = self.text.get(..first.name_span.start).unwrap_or_default();
                let line = before.matches('\n').count() + 1;
                return Err(Fault {
                    code: "yaml-duplicate-key",
                    message: format!("the key `{text}` is there twice, first on line {line}"),
                    help: "keep one of them",
                    span,
                });
            }
            if members.len() >= MOST_KEYS {
                return Err(Fault {
                    code: "yaml-too-many-values",
                    message: format!("more than {MOST_KEYS} keys in one mapping"),
                    help: "split it",
                    span,
                });
            }
            if anchor > 0 {
                let json = Json { span, value: Value::Text(text.clone()) };
                self.anchored.insert(anchor, (json, 1));
            }
            *name = Some((text, span));
            return Ok(());
        }
        let written = self.text.get(span.start..span.end).unwrap_or_default();
        let value = if text_wanted { Value::Text(text) } else { plain(text, written) };
        let json = Json { span, value };
        if anchor > 0 {
            self.anchored.insert(anchor, (json.clone(), 1));
        }
        self.give(json)
    }

    /// Gives a value to what encloses it.
    fn give(&mut self, json: Json<'a>) -> Result<(), Fault> {
        match self.open.last_mut().map(|open| &mut open.items) {
            None => self.documents.push(json),
            Some(Items::List(items)) => items.push(json),
            Some(Items::Mapping { members, name }) => {
                let Some((name, name_span)) = name.take() else { return Err(no_name(json.span)) };
                members.push(Member { name, name_span, value: json });
            }
        }
        Ok(())
    }
}

fn no_name(span: Span) -> Fault {
    Fault {
        code: "yaml-syntax",
        message: "a key is a text".to_owned(),
        help: "write `name: value`",
        span,
    }
}

fn no_tag(tag: Option<&Tag>, span: Span) -> Result<(), Fault> {
    match tag {
        None => Ok(()),
        Some(tag) => Err(Fault {
            code: "yaml-tag",
            message: format!("the tag `{tag}` is not read"),
            help: "leave it out; `!!str` alone may stand before a text",
            span,
        }),
    }
}

/// Whether a tag says that the scalar is a text.
fn is_text(tag: Option<&Tag>, span: Span) -> Result<bool, Fault> {
    match tag {
        Some(tag) if tag.is_yaml_core_schema() && tag.suffix == "str" => Ok(true),
        tag => no_tag(tag, span).map(|()| false),
    }
}

/// A scalar without quotes.
fn plain<'a>(text: Cow<'a, str>, written: &'a str) -> Value<'a> {
    match &*text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        number if is_number(number) && number == written => Value::Number(written),
        _ => Value::Text(text),
    }
}

/// Whether a text is a number of JSON.
fn is_number(text: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let power = |text: &str| digits(text.strip_prefix(['+', '-']).unwrap_or(text));
    digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && fraction.is_none_or(digits)
        && exponent.is_none_or(power)
}

/// Levels of nesting; what aliases stand for is no deeper than the file may be.
fn depth_of(json: &Json<'_>) -> usize {
    match &json.value {
        Value::List(items) => 1 + items.iter().map(depth_of).max().unwrap_or_default(),
        Value::Object(members) => {
            1 + members.iter().map(|member| depth_of(&member.value)).max().unwrap_or_default()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_) | Value::Known(_) => 0,
    }
}
