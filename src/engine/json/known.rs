//! Objects that were read before: where the same bytes stand again, they are not read again.

use std::sync::Arc;

use super::Json;

/// An object that was read without a problem.
#[derive(Debug, PartialEq)]
pub struct Known {
    text: Box<str>,
    canonical: Box<[u8]>,
    levels: usize,
}

impl Known {
    /// The object that is written as `text`.
    #[must_use]
    pub fn new(json: &Json<'_>, text: &str) -> Self {
        let mut canonical = Vec::new();
        json.canonical(&mut canonical);
        Self { text: text.into(), canonical: canonical.into(), levels: levels(json) }
    }

    /// As it is written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// In the spelling of [`Json::canonical`].
    pub(super) fn canonical(&self) -> &[u8] {
        &self.canonical
    }

    /// Whether it stands at the start of a text, with `depth` levels around it of `most`. An object
    /// ends where it ends, whatever follows: with the same bytes it is the same object.
    pub(super) fn starts(&self, text: &[u8], depth: usize, most: usize) -> bool {
        depth + self.levels <= most && text.starts_with(self.text.as_bytes())
    }
}

/// Where objects are looked for among those that are known.
#[derive(Clone, Copy, Debug)]
pub struct Among<'k> {
    /// Those that are known.
    pub known: &'k [Arc<Known>],
    /// The name of the member whose value is looked for, in the document itself.
    pub member: &'k str,
    /// The name of a list in whose items it is looked for as well.
    pub list: &'k str,
}

impl Among<'_> {
    /// None are known.
    pub(super) const NONE: Self = Self { known: &[], member: "", list: "" };

    /// The known object with which `rest` starts, where that is the value of the member `name` of
    /// the document itself, or of an item of its `list`; at a depth of at most so many levels.
    pub(super) fn find(
        &self,
        list: Option<&str>,
        name: &str,
        rest: &[u8],
        (depth, most): (usize, usize),
    ) -> Option<Arc<Known>> {
        if name != self.member || list.is_some_and(|list| list != self.list) {
            return None;
        }
        self.known.iter().find(|known| known.starts(rest, depth, most)).cloned()
    }
}

/// Levels of nesting.
fn levels(json: &Json<'_>) -> usize {
    let (mut open, mut most) = (vec![(json, 0)], 0);
    while let Some((json, depth)) = open.pop() {
        let items = json.as_list().unwrap_or_default().iter();
        let members = json.as_object().unwrap_or_default().iter().map(|member| &member.value);
        if json.as_list().is_some() || json.as_object().is_some() {
            most = most.max(depth + 1);
        }
        open.extend(items.chain(members).map(|inner| (inner, depth + 1)));
    }
    most
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Among, Known};
    use crate::engine::bundle::Limits;
    use crate::engine::json::{Json, Source, Value, read, read_among};

    const OBJECT: &str = r#"{"a":[{"b":"}"}]}"#;

    fn known() -> [Arc<Known>; 1] {
        let source = Source::new("a.json".into(), OBJECT);
        let json = read(&source, &Limits::default(), &mut Vec::new()).unwrap();
        [Arc::new(Known::new(&json, OBJECT))]
    }

    /// How often the object is not read again; whether it is, the text is read alike.
    #[track_caller]
    fn check(text: &str, depth: usize, expected: Option<usize>) {
        let (source, known) = (Source::new("a.json".into(), text), known());
        let among = Among { known: &known, member: "P", list: "L" };
        let limits = Limits { depth, ..Limits::default() };
        let (mut problems, mut as_ever) = (Vec::new(), Vec::new());
        let found = read_among(&source, &limits, &mut problems, among);
        let plain = read(&source, &limits, &mut as_ever);
        assert_eq!(problems, as_ever, "{text}");
        let canonical = |json: &Json<'_>| {
            let mut out = Vec::new();
            json.canonical(&mut out);
            out
        };
        assert_eq!(found.as_ref().map(canonical), plain.as_ref().map(canonical), "{text}");
        assert_eq!(found.as_ref().map(|json| json.span), plain.as_ref().map(|json| json.span));
        assert_eq!(found.map(|json| count(&json)), expected, "{text}");
    }

    fn count(json: &Json<'_>) -> usize {
        match &json.value {
            Value::Known(_) => 1,
            Value::List(items) => items.iter().map(count).sum(),
            Value::Object(members) => members.iter().map(|member| count(&member.value)).sum(),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_) => 0,
        }
    }

    #[test]
    fn an_object_that_is_known_is_found_where_it_is_looked_for() {
        check(&format!(r#"{{"P":{OBJECT}}}"#), 9, Some(1));
        check(&format!(r#"{{ "P" : {OBJECT} , "x" : 1 }}"#), 9, Some(1));
        check(&format!(r#"{{"L":[{{"P":{OBJECT}}},{{"P":{OBJECT}}}]}}"#), 9, Some(2));
        check(
            &format!(r#"{{"Q":{OBJECT},"x":{{"P":{OBJECT}}},"M":[{{"P":{OBJECT}}}]}}"#),
            9,
            Some(0),
        );
        check(r#"{"P":{"a":[{"b":"}"} ]}}"#, 9, Some(0));
        check(r#"{"P":{"a":[{"b":"}"}],"c":1}}"#, 9, Some(0));
        check(OBJECT, 9, Some(0));
    }

    #[test]
    fn what_is_wrong_around_it_and_how_deep_it_is_counts_as_ever() {
        check(&format!(r#"{{"P":{OBJECT}x}}"#), 9, None);
        check(&format!(r#"{{"P":{OBJECT}"#), 9, None);
        check(&format!(r#"{{"P":{OBJECT},"P":{OBJECT}}}"#), 9, None);
        check(&format!(r#"{{"P":{OBJECT}}}"#), 4, Some(1));
        check(&format!(r#"{{"P":{OBJECT}}}"#), 3, None);
        check(&format!(r#"{{"L":[{{"P":{OBJECT}}}]}}"#), 6, Some(1));
        check(&format!(r#"{{"L":[{{"P":{OBJECT}}}]}}"#), 5, None);
    }
}
