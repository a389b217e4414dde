//! The words of policies and requests.

use std::cmp::Ordering;
use std::net::IpAddr;

use keyward::engine::kms::action::{Action, ActionSet};
use keyward::engine::kms::operation::Operation;
use keyward::engine::policy::arn_pattern::{ArnTemplate, ResourcePattern, Target};
use keyward::engine::policy::condition::address::AddressRange;
use keyward::engine::policy::condition::number::Decimal;
use keyward::engine::policy::principal::PrincipalPattern;
use keyward::engine::policy::template::{Syntax, Template};
use keyward::engine::term::account::AccountId;
use keyward::engine::term::arn::Arn;
use keyward::engine::term::condition_key::ConditionKey;
use keyward::engine::term::key_id::KeyId;
use keyward::engine::term::principal::Principal;
use keyward::engine::term::time::Timestamp;
use keyward::engine::term::truth::Truth;
use keyward::engine::term::values::{Context, Scalar, Values};

/// A request with a value of each kind.
struct Sample;

impl Context for Sample {
    fn values<'v>(&'v self, key: &'v ConditionKey) -> Values<'v> {
        match &*key.name {
            "aws:username" => Values::One(Scalar::Text("al*ce")),
            "aws:EpochTime" => Values::One(Scalar::Integer(12)),
            "aws:TagKeys" => Values::texts(&["a", "b"]),
            "aws:PrincipalTag/" => Values::Unknown,
            _ => Values::Absent,
        }
    }
}

/// Reads a text as every word, and the text behind its first line break as what it is compared
/// with.
///
/// What is displayed is read back as the same; what has a simple meaning has that meaning.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (word, other) = text.split_once('\n').unwrap_or((text, text));
    // The naive table is quadratic: nothing is learnt from longer words.
    if word.len() > 256 || other.len() > 256 {
        return;
    }
    names(word);
    principals(word);
    instants(word, other);
    numbers(word, other);
    addresses(word, other);
    actions(word, other);
    wildcards(word, other);
    resources(word, other);
    arns(word, other);
}

fn names(word: &str) {
    if let Ok(account) = word.parse::<AccountId>() {
        assert_eq!(account.to_string(), word);
    }
    if let Some(arn) = Arn::parse(word) {
        assert_eq!(arn.parts().join(":"), word);
    }
    match KeyId::parse(word) {
        Ok(KeyId::Id(id)) => assert_eq!(id, word),
        Ok(KeyId::Arn(arn) | KeyId::AliasArn(arn)) => assert_eq!(arn.text, word),
        Ok(KeyId::AliasName(name)) => assert_eq!(name, word),
        Err(error) => assert!(error.to_string().contains("expected")),
    }
    if let Some(key) = ConditionKey::parse(word) {
        assert!(key.is(&key.name) || !key.suffix().is_empty(), "{key:?}");
        let again = ConditionKey::parse(&word.to_ascii_uppercase()).expect("case does not count");
        assert_eq!(again.name.to_lowercase(), key.name.to_lowercase());
    }
}

fn principals(word: &str) {
    if let Ok(principal) = Principal::parse(word) {
        assert_eq!(principal.text(), word);
    }
    for read in [PrincipalPattern::aws, PrincipalPattern::service] {
        if let Ok(pattern) = read(word) {
            assert_eq!(read(&pattern.text()), Ok(pattern));
        }
    }
}

fn instants(word: &str, other: &str) {
    let (a, b) = (Timestamp::parse(word), Timestamp::parse(other));
    if let Some(instant) = a {
        let shown = instant.to_string();
        // Four digits of a year: what lies outside is shown, but is no date of the profile.
        if shown.len() == 20 && !shown.starts_with('-') {
            let again = Timestamp::parse(&shown).expect("what is shown is an instant");
            assert_eq!(again.seconds(), instant.seconds(), "{shown}");
        }
    }
    if let (Some(a), Some(b)) = (a, b) {
        assert!(a != b || a.to_string() == b.to_string());
    }
}

fn numbers(word: &str, other: &str) {
    let (Some(a), Some(b)) = (Decimal::parse(word), Decimal::parse(other)) else { return };
    assert_eq!(a.compare(&a.to_owned()), Ordering::Equal);
    assert_eq!(a.compare(&b), b.compare(&a).reverse());
    // Numbers so short are exact enough to differ when they do.
    if word.len() <= 15 && other.len() <= 15 {
        let (x, y): (f64, f64) = (word.parse().expect("number"), other.parse().expect("number"));
        assert_eq!(Some(a.compare(&b)), x.partial_cmp(&y), "{word} and {other}");
    }
}

fn addresses(word: &str, other: &str) {
    let range = AddressRange::parse(word);
    let (address, prefix) = word.split_once('/').unwrap_or((word, ""));
    let Ok(address) = address.parse::<IpAddr>() else {
        assert!(range.is_none(), "a range of no address: {word}");
        return;
    };
    let Some(range) = range else {
        assert!(word.contains('/'), "an address is a range");
        return;
    };
    assert!(range.contains(address));
    let Ok(other) = other.parse::<IpAddr>() else { return };
    let bits = |address: IpAddr| match address {
        IpAddr::V4(v4) => (u128::from(u32::from(v4)) << 96, 32),
        IpAddr::V6(v6) => (u128::from(v6), 128),
    };
    let ((a, width), (b, other_width)) = (bits(address), bits(other));
    let prefix: u32 = if prefix.is_empty() { width } else { prefix.parse().expect("a number") };
    let inside = width == other_width && (prefix == 0 || (a ^ b) >> (128 - prefix) == 0);
    assert_eq!(range.contains(other), inside, "{word} and {other}");
}

fn actions(word: &str, other: &str) {
    let set = ActionSet::matching(word);
    let (service, name) = word.split_once(':').unwrap_or(("", word));
    for action in Action::ALL {
        let folded = |text: &str| text.to_ascii_lowercase();
        let matches = word == "*"
            || (word.contains(':')
                && naive(&folded(service), "kms")
                && naive(&folded(name), &folded(action.bare())));
        assert_eq!(set.contains(*action), matches, "{word} and {action:?}");
    }
    assert_eq!(set.complement().len() + set.len(), ActionSet::ALL.len());
    if let Some(action) = Action::from_name(other) {
        assert_eq!(action.name(), other);
    }
    if let Some(operation) = Operation::from_name(other) {
        assert_eq!(operation.name(), other);
    }
}

/// Whether `text` matches a pattern with `*` and `?`: a table, a row a character of the pattern.
fn naive(pattern: &str, text: &str) -> bool {
    let text: Vec<char> = text.chars().collect();
    let mut row: Vec<bool> = (0..=text.len()).map(|length| length == 0).collect();
    for wanted in pattern.chars() {
        let mut next = vec![false; text.len() + 1];
        for length in 0..=text.len() {
            let before = length.checked_sub(1);
            let shorter = |row: &[bool]| before.and_then(|at| row.get(at)).copied() == Some(true);
            let here = row.get(length).copied() == Some(true);
            let same = before.and_then(|at| text.get(at)).copied() == Some(wanted);
            let matches = match wanted {
                '*' => here || shorter(&next),
                '?' => shorter(&row),
                _ => shorter(&row) && same,
            };
            if let Some(cell) = next.get_mut(length) {
                *cell = matches;
            }
        }
        row = next;
    }
    row.last() == Some(&true)
}

fn wildcards(word: &str, other: &str) {
    for (wildcards, variables) in [(false, false), (true, false), (false, true), (true, true)] {
        let Ok(template) = Template::parse(word, Syntax { wildcards, variables }) else { continue };
        let found = template.matches(other, &Sample);
        let _ = template.equals_folded(other, &Sample);
        assert!(variables || template.variables().next().is_none());
        if variables && word.contains("${") {
            continue;
        }
        let expected = if wildcards { naive(word, other) } else { word == other };
        assert_eq!(found, expected.into(), "{word:?} and {other:?}");
    }
}

fn resources(word: &str, other: &str) {
    let target = Target::new(other);
    for variables in [false, true] {
        let Ok(pattern) = ResourcePattern::parse(word, variables) else { continue };
        let found = pattern.matches(&target, &Sample);
        let _ = pattern.unresolved(&Sample);
        assert!(variables || pattern.variables().next().is_none());
        let plain = !word.contains(['*', '?', '$']) && word.matches(':').count() >= 5;
        if plain && other.matches(':').count() >= 5 {
            assert_eq!(found, (word == other).into(), "{word:?} and {other:?}");
        }
    }
}

fn arns(word: &str, other: &str) {
    for variables in [false, true] {
        let Ok(template) = ArnTemplate::parse(word, variables) else { continue };
        if let Some(arn) = Arn::parse(other) {
            let found = template.matches(&arn, &Sample);
            if !word.contains(['*', '?', '$']) && Arn::parse(word).is_some() {
                assert_eq!(found == Truth::True, word == other, "{word:?} and {other:?}");
            }
        }
    }
}
