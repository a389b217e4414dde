//! The rules, by what they look at.

pub mod access;
pub mod administration;
pub mod conditions;
pub mod documents;
pub mod grants;
pub mod holders;
pub mod identities;
pub mod keys;
mod lockout;
pub mod matching;
pub mod never;
pub mod usage;
pub mod values;

use super::rule::Rule;

/// A group of rules and its heading in the documentation.
pub const GROUPS: [(&str, &[Rule]); 12] = [
    ("Who can get at a key", access::RULES),
    ("Administration", administration::RULES),
    ("Use", usage::RULES),
    ("Statements that never match", matching::RULES),
    ("Conditions that are never met", never::RULES),
    ("Values that no request has", values::RULES),
    ("Conditions that say something else", conditions::RULES),
    ("Grants", grants::RULES),
    ("Identity policies", identities::RULES),
    ("Users and roles", holders::RULES),
    ("Keys", keys::RULES),
    ("Documents", documents::RULES),
];

/// All rules, in the order of the documentation.
pub fn all() -> impl Iterator<Item = &'static Rule> {
    GROUPS.iter().flat_map(|(_, rules)| rules.iter())
}

/// The rule of that code.
#[must_use]
pub fn find(code: &str) -> Option<&'static Rule> {
    all().find(|rule| rule.code == code)
}

/// What to say of a code that no rule has.
#[must_use]
pub fn unknown(code: &str) -> String {
    match nearest(code, all().map(|rule| rule.code)) {
        Some(near) => format!("there is no finding `{code}`; did you mean `{near}`?"),
        None => format!("there is no finding `{code}`"),
    }
}

/// The name that `text` is most likely a misspelling of: a few letters differ at most.
pub(super) fn nearest<'n>(text: &str, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let most = (text.len() / 5).max(1);
    let wanted = text.to_lowercase();
    names
        .map(|name| (distance(&wanted, &name.to_lowercase()), name))
        .filter(|(distance, _)| *distance <= most)
        .min()
        .map(|(_, name)| name)
}

/// Letters to insert, delete or replace to make one text the other.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (above, letter) in a.chars().enumerate() {
        let mut diagonal = above;
        let mut left = above + 1;
        let mut next = vec![left];
        for (up, other) in row.iter().skip(1).zip(&b) {
            let replaced = diagonal + usize::from(letter != *other);
            left = replaced.min(up + 1).min(left + 1);
            diagonal = *up;
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}
