//! Deciding does not allocate. A binary of its own: the allocator that counts is the whole
//! program's.

use std::path::Path;

use allocation_counter::measure;
use keyward::engine::bundle::{Limits, Options};
use keyward::engine::decide::decide;
use keyward::engine::decide::decision::Verdict;
use keyward::engine::json::{self, Source};
use keyward::engine::snapshot::Snapshot;
use keyward::engine::term::request::Request;
use keyward::engine::term::time::Timestamp;
use keyward::pdp::load::load;
use keyward::wire::case;

/// What `work` came to, and how often it asked for memory.
fn allocations<T>(work: impl FnOnce() -> T) -> (Option<T>, u64) {
    let mut done = None;
    let asked = measure(|| done = Some(work())).count_total;
    (done, asked)
}

/// Decides twice, cold and warm, and reads all that an answer is made of: neither may allocate.
fn decides_in_place(snapshot: &Snapshot, request: &Request<'_>, name: &str) -> Option<Verdict> {
    let mut found = None;
    for turn in ["the first time", "again"] {
        let (verdict, asked) = allocations(|| {
            let answer = decide(snapshot, request).ok()?;
            let _ = (answer.reason(), answer.error_code(), answer.matched().len());
            Some(answer.verdict())
        });
        // A request that does not fit the set is refused in words.
        let refused = matches!(verdict, Some(None));
        assert!(asked == 0 || refused, "{name}: {asked} allocations {turn}");
        found = verdict.flatten();
    }
    found
}

#[test]
fn the_allocator_counts() {
    assert!(allocations(|| vec![1_u8; 100]).1 > 0);
    assert_eq!(allocations(|| 1 + 1).1, 0);
}

#[test]
fn no_conformance_case_allocates_when_it_is_decided() {
    let now = Timestamp::parse("2026-01-01T12:00:00Z").expect("an instant");
    let mut verdicts = Vec::new();
    for entry in std::fs::read_dir("tests/conformance").expect("the cases") {
        let path = entry.expect("an entry").path();
        if path.extension().is_none_or(|extension| extension != "jsonl") {
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("cases");
        for line in text.lines() {
            let source = Source::new("case".into(), line);
            let json = json::read(&source, &Limits::default(), &mut Vec::new()).expect("JSON");
            let Ok(case) = case::read(&json, &source, now) else { continue };
            let Ok(request) = case.request() else { continue };
            let named = line.get(..40).unwrap_or(line);
            verdicts.extend(decides_in_place(&case.snapshot, &request, named));
        }
    }
    for verdict in
        [Verdict::Allowed, Verdict::KeyState, Verdict::ImplicitDeny, Verdict::ExplicitDeny]
    {
        assert!(verdicts.contains(&verdict), "no case comes to {verdict:?}");
    }
    assert!(verdicts.len() > 150, "only {} cases were decided", verdicts.len());
}

#[test]
fn reading_a_usual_request_does_not_allocate_either() {
    let built = load(Path::new("examples/quickstart"), &Options::default(), &|_, _| Vec::new());
    let snapshot = built.expect("a good set").snapshot;
    let texts = std::fs::read_to_string("examples/quickstart-questions.jsonl").expect("questions");
    let now = Timestamp::parse("2026-01-01T12:00:00Z").expect("an instant");
    let mut asked = 0;
    for line in texts.lines() {
        let source = Source::new("case".into(), line);
        let json = json::read(&source, &Limits::default(), &mut Vec::new()).expect("JSON");
        let case = case::read(&json, &source, now).expect("a case");
        let (request, allocated) = allocations(|| case.request());
        let Some(Ok(request)) = request else { continue };
        // Parameters are long, and most requests have none: they stand elsewhere.
        let most = if line.contains("\"parameters\"") { 2 } else { 0 };
        assert!(allocated <= most, "{allocated} allocations: {line}");
        decides_in_place(&snapshot, &request, line);
        asked += 1;
    }
    assert!(asked > 5, "only {asked} questions");
}
