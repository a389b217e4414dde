//! Comparing texts whose case does not count.

/// Whether the texts are equal when case does not count, in any script.
#[must_use]
pub fn same(a: &str, b: &str) -> bool {
    if a.is_ascii() && b.is_ascii() {
        return a.eq_ignore_ascii_case(b);
    }
    folded(a).eq(folded(b))
}

/// The characters of a text in lower case.
pub fn folded(text: &str) -> impl Iterator<Item = char> + '_ {
    text.chars().flat_map(char::to_lowercase)
}

#[cfg(test)]
mod tests {
    use super::same;

    #[test]
    fn case_does_not_count_in_any_script() {
        assert!(same("Team", "tEAM") && same("ÉCOLE", "école") && same("", ""));
        assert!(!same("team", "teams") && !same("é", "e"));
    }
}
