//! A file of cases, as `keyward test` reads it.

use keyward::wire::cases::{Syntax, read};

use super::assertion::asked;
use super::json::placed;

/// Reads any text as YAML and as JSON, and checks what cases it has.
///
/// What is refused has its place; what is a case is checked like an assertion.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    for syntax in [Syntax::Yaml, Syntax::Json] {
        match read("cases", text, syntax) {
            Ok(cases) => cases.iter().for_each(asked),
            Err(problems) => placed(problems.as_slice(), text),
        }
    }
}
