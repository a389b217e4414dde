use super::read;
use crate::engine::bundle::Limits;
use crate::engine::json::Source;
use crate::engine::problem::Problem;

fn problems_of(text: &str, limits: &Limits) -> Vec<Problem> {
    let mut problems = Vec::new();
    let source = Source::new("a.json".into(), text);
    let json = read(&source, limits, &mut problems);
    assert_eq!(json.is_none(), !problems.is_empty(), "{text:?}");
    problems
}

/// Code, message, line, column and width of the only problem.
#[track_caller]
fn check(text: &str, code: &str, message: &str, at: (u32, u32, u32)) {
    let limits = Limits { document_bytes: 40, depth: 3 };
    let problems = problems_of(text, &limits);
    let [problem] = problems.as_slice() else { panic!("{text:?}: {problems:?}") };
    let place = problem.place.as_ref().map(|place| (place.line, place.column, place.width));
    assert_eq!((problem.code, &*problem.message, place), (code, message, Some(at)), "{text:?}");
}

#[test]
fn errors_say_what_was_expected_and_where() {
    let syntax = "json-syntax";
    check("", syntax, "expected a value, found the end of the document", (1, 1, 1));
    check("{\"a\": 1\n", syntax, "expected `,` or `}`, found the end of the document", (1, 7, 1));
    check("{\n \"a\": x}", syntax, "expected a value, found `x`", (2, 7, 1));
    check("{\"a\" 1}", syntax, "expected `:`, found `1`", (1, 6, 1));
    check("{a: 1}", syntax, "expected the name of a member or `}`, found `a`", (1, 2, 1));
    check("{\"a\":1,}", syntax, "expected the name of a member, found `}`", (1, 8, 1));
    check("[1 2]", syntax, "expected `,` or `]`, found `2`", (1, 4, 1));
    check("{} {}", syntax, "expected the end of the document, found `{`", (1, 4, 1));
    check("-x", syntax, "expected a digit, found `x`", (1, 2, 1));
    check("\"abc", syntax, "a string that does not end", (1, 1, 1));
    check("\"a\tb\"", syntax, "the control character U+0009 in a string", (1, 3, 1));
    check(
        "\"é\\x\"",
        syntax,
        "an unknown escape: expected one of `\"\\/bfnrtu` after `\\`",
        (1, 3, 2),
    );
    check("\"\\ud800\"", syntax, "half a surrogate pair, which is no character", (1, 2, 6));
    check("\u{feff}{}", syntax, "the document starts with a byte order mark", (1, 1, 1));
    check("[\u{7f}]", syntax, "expected a value, found U+007F", (1, 2, 1));
}

#[test]
fn bounds_are_kept() {
    check("[[[[]]]]", "json-too-deep", "more than 3 levels of nesting", (1, 4, 1));
    check(
        &" ".repeat(41),
        "document-too-large",
        "the document has 41 bytes, more than 40",
        (1, 1, 1),
    );
    assert_eq!(problems_of("[[[]],[{}]]", &Limits { document_bytes: 40, depth: 3 }), []);
}

#[test]
fn a_member_is_there_once() {
    let message = "the member `a` is there twice, first on line 1";
    check("{\"a\":1,\n \"\\u0061\":2}", "json-duplicate-member", message, (2, 2, 8));
    check(
        "[{\"a\":{\"a\":1}},{\"a\":2}, {\"a\":3,\"a\":4}]",
        "json-duplicate-member",
        message,
        (1, 32, 3),
    );
}

#[test]
fn every_duplicate_is_reported_in_few_and_many_members() {
    let few = problems_of(r#"{"a":1,"b":{"x":1,"x":1},"a":1,"a":1}"#, &Limits::default());
    assert_eq!(few.len(), 3);
    let many: Vec<String> =
        (0..1000).map(|number| format!("\"{}\":{number}", number % 500)).collect();
    assert_eq!(problems_of(&format!("{{{}}}", many.join(",\n")), &Limits::default()).len(), 500);
}

#[test]
fn nesting_does_not_use_the_stack() {
    let limits = Limits { depth: 100_000, ..Limits::default() };
    let text = format!("{}1{}", "[{\"a\":".repeat(50_000), "}]".repeat(50_000));
    let source = Source::new("a.json".into(), &text);
    let json = read(&source, &limits, &mut Vec::new()).expect("it is JSON");
    let mut canonical = Vec::new();
    json.canonical(&mut canonical);
    assert_eq!(canonical, text.as_bytes());
    assert_eq!(problems_of(&"[".repeat(100_001), &limits).len(), 1);
}

/// Accepted and refused alike, and read to the same value.
#[track_caller]
fn compare(text: &str) {
    let source = Source::new("a.json".into(), text);
    let ours = read(&source, &Limits::default(), &mut Vec::new());
    let theirs = serde_json::from_str::<serde_json::Value>(text);
    assert_eq!(ours.is_some(), theirs.is_ok(), "{text:?}");
    if let (Some(ours), Ok(theirs)) = (ours, theirs) {
        let mut canonical = Vec::new();
        ours.canonical(&mut canonical);
        let again: serde_json::Value =
            serde_json::from_slice(&canonical).expect("canonical JSON is JSON");
        assert_eq!(again, theirs, "{text:?}");
    }
}

#[test]
fn another_reader_agrees() {
    for text in [
        "null",
        "true",
        "false",
        "nul",
        "truex",
        "True",
        "NaN",
        "Infinity",
        "-Infinity",
        "undefined",
        "0",
        "-0",
        "00",
        "01",
        "-",
        "-01",
        "+1",
        "1.",
        ".5",
        "1.5",
        "1.50",
        "1e5",
        "1E+5",
        "1e-5",
        "1e",
        "1e+",
        "1.e5",
        "0x10",
        "1_000",
        "123456789012345678",
        "\"\"",
        "\"a\"",
        "'a'",
        "\"\\\"\"",
        "\"\\/\\b\\f\\n\\r\\t\"",
        "\"\\a\"",
        "\"\\u00e9\"",
        "\"\\u00E9\"",
        "\"\\u00g9\"",
        "\"\\u00\"",
        "\"\\U0041\"",
        "\"\\ud83d\\ude00\"",
        "\"\\ud83d\"",
        "\"\\ud83d\\n\"",
        "\"\\ude00\"",
        "\"\\ud83d\\u0041\"",
        "\"\\u0000\"",
        "\"\u{0}\"",
        "\"\n\"",
        "\"\u{7f}é😀\"",
        "\"\u{2028}\"",
        "[]",
        "[ ]",
        "[1]",
        "[1,2]",
        "[1,]",
        "[,1]",
        "[,]",
        "[1 2]",
        "[1",
        "]",
        "{}",
        "{ }",
        "{\"a\":1}",
        "{\"a\":1,\"b\":[{}]}",
        "{\"a\":1,}",
        "{,}",
        "{\"a\"}",
        "{\"a\":}",
        "{a:1}",
        "{1:1}",
        "{\"a\":1",
        "{\"a\" : 1 }",
        " \t\r\n[ 1 ] \n",
        "\u{c}1",
        "\u{a0}1",
        "\u{feff}1",
        "1 2",
        "{}{}",
        "[]]",
        "// c\n1",
        "/**/1",
        "1#",
        "",
        " ",
        "[\"a\",null,true,-1.25e2,{\"\":[]}]",
        "\"\\",
        "\"\\u",
        "{\"\\u0061\":\"\\\\\"}",
    ] {
        compare(text);
    }
}
