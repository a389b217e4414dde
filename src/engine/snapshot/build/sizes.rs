//! How large policies may be, and of which characters.

use super::policies::policy_text;
use super::reading::Reading;
use crate::engine::json::{Encoding, Json, Source, Span, Value};
use crate::engine::policy::PolicyKind;

/// Bytes of a key policy.
///
/// Source: AWS KMS Developer Guide, "Quotas" (key policy document size).
const KEY_POLICY: usize = 32_768;

/// What is counted of a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Counted {
    /// Characters that are not white space.
    ///
    /// Source: IAM User Guide, "IAM and AWS STS quotas".
    Dense,
    /// Every character of a text; of an object, as it would be without needless white space.
    ///
    /// Source: AWS Organizations User Guide, "Quotas".
    All,
}

impl Reading<'_> {
    /// Checks size and characters of a key policy.
    ///
    /// Source: AWS KMS API Reference, `PutKeyPolicy` (`Policy`).
    pub(super) fn check_key_policy(&mut self, json: &Json<'_>) {
        let size = match &json.value {
            Value::Text(text) => text.len(),
            _ if json.span.end - json.span.start <= KEY_POLICY => 0,
            _ => self.size_without_indentation(json.span),
        };
        if size > KEY_POLICY {
            let message = format!("the key policy has {size} bytes, more than {KEY_POLICY}");
            let help = "KMS refuses such a policy: name fewer principals, or use conditions";
            self.error("key-policy-too-large", message, help, json.span);
        }
        let (text, nested) = match &json.value {
            Value::Text(text) => (&**text, true),
            _ => (self.source.slice(json.span), false),
        };
        let (plain, escapes) = (surely_lawful(text), text.contains('\\'));
        let first = || text.char_indices().find(|(_, c)| !lawful(*c));
        let Some((start, found)) = (if plain { None } else { first() }) else {
            // Without an escape it holds what is written and nothing else.
            if let Some((found, span)) = escapes.then(|| unlawful_text(json)).flatten() {
                self.error(CHARACTERS, unlawful(found), LAWFUL, span);
            }
            return;
        };
        let span = Span { start, end: start + found.len_utf8() };
        if nested {
            let source = Source::nested(self.source, json.span, Encoding::Plain, text);
            let place = source.place(span);
            self.error(CHARACTERS, unlawful(found), LAWFUL, json.span);
            if let Some(last) = self.said.problems.last_mut() {
                last.place = Some(place);
            }
        } else {
            let (start, end) = (json.span.start + span.start, json.span.start + span.end);
            self.error(CHARACTERS, unlawful(found), LAWFUL, Span { start, end });
        }
    }

    /// Bytes of an object as written, less the white space by which the document indents it.
    fn size_without_indentation(&self, span: Span) -> usize {
        let text = self.source.text();
        if !self.source.slice(span).contains('\n') {
            return span.end - span.start;
        }
        let before = text.get(..span.start).unwrap_or_default();
        let line =
            before.rfind('\n').map_or(before, |end| before.get(end + 1..).unwrap_or_default());
        let indentation = leading(line);
        let mut size = 0;
        for (index, line) in self.source.slice(span).split_inclusive('\n').enumerate() {
            size += line.len() - if index > 0 { leading(line).min(indentation) } else { 0 };
        }
        size
    }

    /// Warns if policies are larger together than AWS takes. `what` names them.
    pub(super) fn check_quota(
        &mut self,
        kind: PolicyKind,
        policies: &[&Json<'_>],
        (quota, counted): (usize, Counted),
        what: &str,
    ) {
        let written: usize = policies.iter().map(|json| json.span.end - json.span.start).sum();
        let Some(last) = policies.last().filter(|_| written > quota) else { return };
        let size: usize = policies.iter().map(|json| self.characters(kind, json, counted)).sum();
        if size > quota {
            let message = format!("{size} characters of {what}, more than {quota}");
            self.warning(
                "policy-too-large",
                message,
                "AWS takes no policy of that size",
                last.span,
            );
        }
    }

    fn characters(&self, kind: PolicyKind, json: &Json<'_>, counted: Counted) -> usize {
        let dense = |text: &str| text.chars().filter(|c| !c.is_whitespace()).count();
        match (&json.value, counted) {
            (Value::Text(text), Counted::All) => text.chars().count(),
            (Value::Text(text), Counted::Dense) => {
                policy_text(kind, text).map_or(0, |(_, text)| dense(&text))
            }
            (_, Counted::Dense) => dense(self.source.slice(json.span)),
            (_, Counted::All) => {
                let mut compact = Vec::new();
                json.canonical(&mut compact);
                String::from_utf8_lossy(&compact).chars().count()
            }
        }
    }
}

/// The code of a character that no key policy can hold.
const CHARACTERS: &str = "key-policy-characters";
const LAWFUL: &str = "KMS takes U+0009, U+000A, U+000D and U+0020 to U+00FF";

fn lawful(character: char) -> bool {
    matches!(character, '\t' | '\n' | '\r' | ' '..='\u{ff}')
}

/// Whether all characters are lawful, as they are in nearly every policy, told without a look at
/// each: without a way out all bytes are looked at together.
fn surely_lawful(text: &str) -> bool {
    text.bytes()
        .fold(true, |all, byte| all & matches!(byte, b'\t' | b'\n' | b'\r' | b' '..=b'\x7f'))
}

fn unlawful(found: char) -> String {
    format!("the character U+{:04X} cannot stand in a key policy", u32::from(found))
}

/// The first such character in the names and texts of a policy as an object, where it may stand as
/// an escape: as a text the policy would hold the character itself.
fn unlawful_text(json: &Json<'_>) -> Option<(char, Span)> {
    let mut open = vec![json];
    while let Some(json) = open.pop() {
        let in_text = |text: &str, span: Span| {
            text.chars().find(|character| !lawful(*character)).map(|found| (found, span))
        };
        let found = match &json.value {
            Value::Text(text) => in_text(text, json.span),
            Value::Object(members) => {
                open.extend(members.iter().rev().map(|member| &member.value));
                members.iter().find_map(|member| in_text(&member.name, member.name_span))
            }
            Value::List(items) => {
                open.extend(items.iter().rev());
                None
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Known(_) => None,
        };
        if found.is_some() {
            return found;
        }
    }
    None
}

fn leading(line: &str) -> usize {
    line.len() - line.trim_start_matches([' ', '\t']).len()
}
