//! One spelling for equal values.

use super::{Json, Member, Value};

impl<'a> Json<'a> {
    /// Appends the value in a spelling that depends on neither white space, nor the order of
    /// members, nor the choice of escapes. Numbers stay as written: policies compare them as texts.
    pub fn canonical(&self, out: &mut Vec<u8>) {
        self.canonical_with(out, |_, _| false);
    }

    /// Like [`Json::canonical`]; but `write` may write the value of a member itself, and then says
    /// so by `true`.
    pub fn canonical_with(
        &self,
        out: &mut Vec<u8>,
        mut write: impl FnMut(&Member<'a>, &mut Vec<u8>) -> bool,
    ) {
        // What remains to be written, last first.
        let mut steps = vec![Step::Value(self)];
        while let Some(step) = steps.pop() {
            match step {
                Step::Byte(byte) => out.push(byte),
                Step::Member(member) => {
                    write_text(&member.name, out);
                    out.push(b':');
                    if !write(member, out) {
                        steps.push(Step::Value(&member.value));
                    }
                }
                Step::Value(json) => match &json.value {
                    Value::Null => out.extend_from_slice(b"null"),
                    Value::Bool(value) => {
                        out.extend_from_slice(if *value { b"true" } else { b"false" })
                    }
                    Value::Number(number) => out.extend_from_slice(number.as_bytes()),
                    Value::Text(text) => write_text(text, out),
                    Value::Known(known) => out.extend_from_slice(known.canonical()),
                    Value::List(items) => {
                        out.push(b'[');
                        enclose(&mut steps, b']', items.iter().map(Step::Value));
                    }
                    Value::Object(members) => {
                        out.push(b'{');
                        let mut members: Vec<_> = members.iter().collect();
                        members.sort_unstable_by(|a, b| a.name.cmp(&b.name));
                        enclose(&mut steps, b'}', members.into_iter().map(Step::Member));
                    }
                },
            }
        }
    }
}

enum Step<'j, 'a> {
    Byte(u8),
    Member(&'j Member<'a>),
    Value(&'j Json<'a>),
}

fn enclose<'j, 'a>(
    steps: &mut Vec<Step<'j, 'a>>,
    end: u8,
    inner: impl DoubleEndedIterator<Item = Step<'j, 'a>>,
) {
    steps.push(Step::Byte(end));
    for (index, step) in inner.rev().enumerate() {
        if index > 0 {
            steps.push(Step::Byte(b','));
        }
        steps.push(step);
    }
}

/// Appends a text as a JSON string with the fewest escapes.
pub fn write_text(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let mut rest = text.as_bytes();
    while let Some(at) = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20)) {
        let (plain, special) = rest.split_at_checked(at).unwrap_or((rest, &[]));
        out.extend_from_slice(plain);
        rest = match special.split_first() {
            Some((byte @ (b'"' | b'\\'), rest)) => {
                out.extend_from_slice(&[b'\\', *byte]);
                rest
            }
            Some((control, rest)) => {
                out.extend_from_slice(format!("\\u{control:04x}").as_bytes());
                rest
            }
            None => break,
        };
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use crate::engine::bundle::Limits;
    use crate::engine::json::{Source, read};

    #[track_caller]
    fn check(text: &str, canonical: &str) {
        let source = Source::new("a.json".into(), text);
        let mut problems = Vec::new();
        let mut out = Vec::new();
        if let Some(json) = read(&source, &Limits::default(), &mut problems) {
            json.canonical(&mut out);
        }
        assert_eq!(problems, []);
        assert_eq!(String::from_utf8_lossy(&out), canonical, "{text}");
    }

    #[test]
    fn equal_values_are_spelt_alike() {
        check(r#" { "b" : [ 1 , {} , [] ] , "a" : null } "#, r#"{"a":null,"b":[1,{},[]]}"#);
        check(r#"{"\u0062":true,"a\/":"\u00e9\n\"\\"}"#, r#"{"a/":"é\u000a\"\\","b":true}"#);
        check("1.0", "1.0");
    }
}
