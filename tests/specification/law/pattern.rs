//! Texts with wildcards, and how they match: a table of every rest of the pattern against every
//! rest of the text.
//!
//! Source: IAM User Guide, "IAM JSON policy elements: Condition operators" (StringLike), "IAM JSON
//! policy elements: Resource".

/// One sign of a pattern. Text that a policy variable brought in is only ever `Char`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sign {
    Char(char),
    /// `*`: any characters, or none.
    Star,
    /// `?`: exactly one character.
    Question,
}

/// Reads `*` and `?` as wildcards.
pub(crate) fn signs(text: &str) -> Vec<Sign> {
    let sign = |c| match c {
        '*' => Sign::Star,
        '?' => Sign::Question,
        c => Sign::Char(c),
    };
    text.chars().map(sign).collect()
}

/// Reads every character as itself.
pub(crate) fn literal(text: &str) -> Vec<Sign> {
    text.chars().map(Sign::Char).collect()
}

/// The text of a pattern, wildcards as the characters that they were written as.
pub(crate) fn written(pattern: &[Sign]) -> String {
    let character = |sign: &Sign| match sign {
        Sign::Char(c) => *c,
        Sign::Star => '*',
        Sign::Question => '?',
    };
    pattern.iter().map(character).collect()
}

/// Whether the pattern matches the whole text.
pub(crate) fn glob(pattern: &[Sign], text: &str) -> bool {
    let text: Vec<char> = text.chars().collect();
    let mut table = vec![vec![false; text.len() + 1]; pattern.len() + 1];
    table[pattern.len()][text.len()] = true;
    for p in (0..pattern.len()).rev() {
        for t in (0..=text.len()).rev() {
            let more = t < text.len();
            table[p][t] = match pattern[p] {
                Sign::Char(c) => more && text[t] == c && table[p + 1][t + 1],
                Sign::Question => more && table[p + 1][t + 1],
                Sign::Star => table[p + 1][t] || (more && table[p][t + 1]),
            };
        }
    }
    table[0][0]
}

/// Cuts a pattern at its first five colons.
pub(crate) fn segments(pattern: &[Sign]) -> Vec<Vec<Sign>> {
    let mut parts = vec![Vec::new()];
    for sign in pattern {
        if *sign == Sign::Char(':') && parts.len() < 6 {
            parts.push(Vec::new());
        } else {
            parts.last_mut().expect("never empty").push(*sign);
        }
    }
    parts
}
