//! ARNs with wildcards: in `Resource`, and in the ARN operators.

use super::template::{Part, Resolved, Syntax, Template, Token, Tokens, glob, resolve};
use crate::engine::term::arn::Arn;
use crate::engine::term::condition_key::ConditionKey;
use crate::engine::term::truth::Truth;
use crate::engine::term::values::Context;

/// A value of `Resource` or `NotResource`.
///
/// Source: IAM User Guide, "IAM JSON policy elements: Resource".
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ResourcePattern {
    /// `*`.
    Any,
    /// One ARN: no wildcard, no variable.
    Exact(Box<str>),
    /// All ARNs that start so: a `*` at the end alone, in the sixth segment.
    Prefix(Box<str>),
    /// Up to six segments between colons.
    Segments {
        /// The segments, compiled.
        segments: Box<[Segment]>,
        /// A match is a doubt: a wildcard stands where no ARN has one.
        doubtful: bool,
    },
    /// Variables stand before the sixth segment, where they have no meaning.
    Doubtful,
}

/// A segment of a resource pattern.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Segment {
    template: Template,
    /// It ends with `*`, which may also match across the colons that follow.
    crosses: bool,
}

/// The ARN that an authorization is about; empty for none.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a>(&'a str);

impl<'a> Target<'a> {
    /// An ARN; anything else is matched by `*` alone.
    #[must_use]
    pub fn new(text: &'a str) -> Self {
        Self(text)
    }

    /// The ARN.
    #[must_use]
    pub fn text(&self) -> &'a str {
        self.0
    }

    /// Its six parts.
    fn parts(&self) -> [&'a str; 6] {
        Arn::parse(self.0).map_or([""; 6], |arn| arn.parts())
    }
}

impl ResourcePattern {
    /// Compiles a value of `Resource`.
    ///
    /// # Errors
    ///
    /// What is wrong with a variable in it.
    pub fn parse(text: &str, variables: bool) -> Result<Self, String> {
        if text == "*" {
            return Ok(Self::Any);
        }
        let texts: Vec<&str> = split(text, variables);
        let mut segments = Vec::new();
        for (index, segment) in texts.iter().enumerate() {
            let last = index == 5;
            if variables && !last && holds_variable(segment) {
                // A pattern of fewer segments has its resource in the last one.
                if index + 1 < texts.len() || !segment.contains('/') {
                    return Ok(Self::Doubtful);
                }
            }
            let template = Template::parse(segment, Syntax { wildcards: true, variables })?;
            let escaped = variables && segment.ends_with("${*}");
            segments.push(Segment { template, crosses: segment.ends_with('*') && !escaped });
        }
        let wild = |index: usize| texts.get(index).is_some_and(|text| text.contains(['*', '?']));
        let doubtful = wild(0) || wild(2);
        let simple = if doubtful { None } else { Self::simple(&segments) };
        Ok(simple.unwrap_or(Self::Segments { segments: segments.into(), doubtful }))
    }

    /// The pattern in one text, where only its sixth segment has a wildcard, at the end.
    fn simple(segments: &[Segment]) -> Option<Self> {
        let [first @ .., last] = segments else { return None };
        if first.len() != 5 {
            return None;
        }
        let mut text = String::new();
        for segment in first {
            let Template::Literal(literal) = &segment.template else { return None };
            text.push_str(literal);
            text.push(':');
        }
        match &last.template {
            Template::Literal(literal) => Some(Self::Exact((text + literal).into())),
            Template::Prefix(literal) => Some(Self::Prefix((text + literal).into())),
            Template::Any => Some(Self::Prefix(text.into())),
            Template::Parts(_) => None,
        }
    }

    /// Whether the pattern has the form of an ARN, or is `*`.
    #[must_use]
    pub fn is_arn(text: &str) -> bool {
        text == "*" || text.starts_with("arn:") || text.starts_with('*')
    }

    /// Whether it matches the resource. Case counts.
    pub fn matches(&self, target: &Target<'_>, context: &impl Context) -> Truth {
        match self {
            Self::Any => Truth::True,
            Self::Exact(text) => (**text == *target.0).into(),
            Self::Prefix(text) => target.0.starts_with(&**text).into(),
            Self::Doubtful => Truth::Unsure,
            Self::Segments { segments, doubtful } => {
                let (sure, possible) = reach(segments, target, context);
                let truth = match (sure, possible) {
                    (true, _) => Truth::True,
                    (false, true) => Truth::Unsure,
                    (false, false) => Truth::False,
                };
                if *doubtful { truth.doubted() } else { truth }
            }
        }
    }

    /// The variables in it.
    pub fn variables(&self) -> impl Iterator<Item = &ConditionKey> {
        let segments: &[Segment] =
            if let Self::Segments { segments, .. } = self { segments } else { &[] };
        segments.iter().flat_map(|segment| segment.template.variables())
    }

    /// Whether a variable in it has no value, or not a single one.
    pub fn unresolved(&self, context: &impl Context) -> bool {
        let Self::Segments { segments, .. } = self else { return matches!(self, Self::Doubtful) };
        segments.iter().any(|segment| match &segment.template {
            Template::Parts(parts) => !matches!(resolve(parts, context), Resolved::Tokens(_)),
            Template::Any | Template::Literal(_) | Template::Prefix(_) => false,
        })
    }
}

/// Cuts at the first five colons; those inside variables do not count.
fn split(text: &str, variables: bool) -> Vec<&str> {
    let mut segments = Vec::new();
    let (mut start, mut inside) = (0, false);
    for (at, character) in text.char_indices() {
        if variables && text.get(at..).is_some_and(|rest| rest.starts_with("${")) {
            inside = true;
        }
        match character {
            '}' => inside = false,
            ':' if !inside && segments.len() < 5 => {
                segments.push(text.get(start..at).unwrap_or_default());
                start = at + 1;
            }
            _ => {}
        }
    }
    segments.push(text.get(start..).unwrap_or_default());
    segments
}

fn holds_variable(segment: &str) -> bool {
    let mut rest = segment;
    while let Some(at) = rest.find("${") {
        rest = rest.get(at + 2..).unwrap_or_default();
        if !["*}", "?}", "$}"].iter().any(|special| rest.starts_with(special)) {
            return true;
        }
    }
    false
}

/// Follows all ways to lay the pattern's segments over the target's six: a bit for each number of
/// target segments that are used up. The first result holds without doubt.
fn reach(segments: &[Segment], target: &Target<'_>, context: &impl Context) -> (bool, bool) {
    const END: u8 = 1 << 6;
    let (mut sure, mut possible) = (1_u8, 1_u8);
    for segment in segments {
        let (mut next_sure, mut next_possible) = (0_u8, 0_u8);
        for (index, text) in target.parts().iter().enumerate() {
            let here = 1_u8 << index;
            if possible & here == 0 {
                continue;
            }
            let truth = segment.template.matches(text, context);
            // One segment further; with a crossing star also every one after it.
            let ahead =
                if segment.crosses { (END | (END - 1)) & !(here | (here - 1)) } else { here << 1 };
            if truth != Truth::False {
                next_possible |= ahead;
            }
            if truth == Truth::True && sure & here != 0 {
                next_sure |= ahead;
            }
        }
        (sure, possible) = (next_sure, next_possible);
    }
    (sure & END != 0, possible & END != 0)
}

/// An operand of `ArnEquals` and `ArnLike`: six components, matched one by one.
///
/// Source: IAM User Guide, "Condition operators" (Amazon Resource Name condition operators).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ArnTemplate(Template);

impl ArnTemplate {
    /// Compiles an operand.
    ///
    /// # Errors
    ///
    /// What is wrong with a variable in it.
    pub fn parse(text: &str, variables: bool) -> Result<Self, String> {
        Template::parse(text, Syntax { wildcards: true, variables }).map(Self)
    }

    /// The template.
    #[must_use]
    pub fn template(&self) -> &Template {
        &self.0
    }

    /// Whether it matches an ARN. A pattern of fewer than six components may be read as matching
    /// the rest: a doubt.
    pub fn matches(&self, arn: &Arn<'_>, context: &impl Context) -> Truth {
        match &self.0 {
            Template::Any => Truth::Unsure,
            Template::Literal(text) if Arn::parse(text).is_some() => (**text == *arn.text).into(),
            Template::Literal(text) => components(&[Token::Literal(text)], arn),
            Template::Prefix(text) => components(&[Token::Literal(text), Token::AnyRun], arn),
            Template::Parts(parts) => self.resolved(parts, arn, context),
        }
    }

    fn resolved(&self, parts: &[Part], arn: &Arn<'_>, context: &impl Context) -> Truth {
        match resolve(parts, context) {
            Resolved::Tokens(tokens) => components(&tokens, arn),
            Resolved::Null => Truth::False,
            Resolved::Doubt => Truth::Unsure,
        }
    }
}

/// Matches tokens against an ARN, cut into components at the first five colons of the tokens.
fn components(tokens: &[Token<'_>], arn: &Arn<'_>) -> Truth {
    let mut cut: [Tokens<'_>; 6] = Default::default();
    let mut index = 0;
    for token in tokens {
        if matches!(token, Token::AnyRun | Token::AnyOne) {
            if let Some(component) = cut.get_mut(index) {
                component.push(token.clone());
            }
            continue;
        }
        let mut rest = token.literal();
        while index < 5
            && let Some((before, after)) = rest.split_once(':')
        {
            if let Some(component) = cut.get_mut(index) {
                component.push(Token::Literal(before));
            }
            index += 1;
            rest = after;
        }
        if let Some(component) = cut.get_mut(index) {
            component.push(Token::Literal(rest));
        }
    }
    if index < 5 {
        // Too short to be an ARN. It may be read as one text, or as if any components followed.
        let followed = cut.iter().zip(arn.parts()).take(index + 1);
        let matches = followed.into_iter().all(|(tokens, text)| glob(tokens, text));
        return Truth::from(matches || glob(tokens, arn.text)).doubted();
    }
    cut.iter().zip(arn.parts()).all(|(tokens, text)| glob(tokens, text)).into()
}

#[cfg(test)]
mod tests {
    use super::{ArnTemplate, ResourcePattern, Target};
    use crate::engine::term::arn::Arn;
    use crate::engine::term::condition_key::ConditionKey;
    use crate::engine::term::truth::Truth::{self, False, True, Unsure};
    use crate::engine::term::values::{Context, Scalar, Values};

    struct Sample;

    impl Context for Sample {
        fn values<'v>(&'v self, key: &'v ConditionKey) -> Values<'v> {
            match &*key.name {
                "aws:PrincipalTag/key" => Values::One(Scalar::Text("1234")),
                "aws:PrincipalArn" => Values::One(Scalar::Text("arn:aws:iam::111122223333:user/A")),
                _ => Values::Absent,
            }
        }
    }

    #[track_caller]
    fn resource(pattern: &str, expected: Truth) {
        let target = Target::new("arn:aws:kms:us-west-2:111122223333:key/1234");
        let found = ResourcePattern::parse(pattern, true).unwrap().matches(&target, &Sample);
        assert_eq!(found, expected, "{pattern:?}");
    }

    #[test]
    fn segments_match_one_by_one() {
        resource("*", True);
        resource("arn:aws:kms:us-west-2:111122223333:key/1234", True);
        resource("arn:aws:kms:us-west-2:111122223333:key/*", True);
        resource("arn:aws:kms:*:111122223333:key/1234", True);
        resource("arn:aws:kms:us-?est-2:111122223333:key/12??", True);
        resource("arn:aws:kms:us-west-2:444455556666:key/*", False);
        resource("arn:aws:kms:us-west-2:111122223333:alias/*", False);
        resource("arn:aws:kms:us-west-2:111122223333:KEY/1234", False);
        resource("arn:aws:kms:us*:key/1234", True);
        resource("arn:aws:kms:u*-2:111122223333:key/1234", True);
        resource("arn:aws:kms:u*2222:111122223333:key/1234", False);
    }

    #[test]
    fn a_star_at_the_end_of_a_segment_crosses_colons() {
        resource("arn:aws:kms:*", True);
        resource("arn:aws:kms:*:key/1234", True);
        resource("arn:*", True);
        resource("arn:aws:kms:us-west-2:*", True);
        resource("arn:aws:kms:us-west-2:*/1234", False);
    }

    #[test]
    fn what_is_no_arn_never_matches() {
        resource("1234", False);
        resource("key/1234", False);
        resource("arn:aws:kms:us-west-2:111122223333", False);
        resource("", False);
    }

    #[test]
    fn a_wildcard_where_no_arn_has_one_is_a_doubt() {
        resource("arn:aws:k*:us-west-2:111122223333:key/1234", Unsure);
        resource("*:key/1234", Unsure);
        resource("a*:aws:kms:us-west-2:111122223333:key/1234", Unsure);
        resource("arn:aws:s*:us-west-2:111122223333:key/1234", False);
    }

    #[test]
    fn variables_work_in_the_sixth_segment_alone() {
        resource("arn:aws:kms:us-west-2:111122223333:key/${aws:PrincipalTag/key}", True);
        resource("arn:aws:kms:us-west-2:111122223333:key/${aws:PrincipalTag/none}", False);
        resource("arn:aws:kms:${aws:RequestedRegion}:111122223333:key/1234", Unsure);
    }

    #[track_caller]
    fn arn_like(pattern: &str, arn: &str, expected: Truth) {
        let arn = Arn::parse(arn).unwrap();
        let found = ArnTemplate::parse(pattern, true).unwrap().matches(&arn, &Sample);
        assert_eq!(found, expected, "{pattern:?}");
    }

    #[test]
    fn components_of_arns_match_apart() {
        let user = "arn:aws:iam::111122223333:user/A";
        arn_like(user, user, True);
        arn_like("arn:aws:iam::*:user/*", user, True);
        arn_like("arn:aws:iam::*:role/*", user, False);
        arn_like("arn:*:111122223333:user/A", user, Unsure);
        arn_like("${aws:PrincipalArn}", user, True);
        arn_like("${aws:PrincipalArn}x", user, False);
        arn_like("arn:aws:s:r:1:a:*:b", "arn:aws:s:r:1:a:x:y:b", True);
        arn_like("arn:aws:iam::?11122223333:user/A", user, True);
    }

    #[test]
    fn a_short_pattern_is_a_doubt_where_it_could_match() {
        let user = "arn:aws:iam::111122223333:user/A";
        arn_like("*", user, Unsure);
        arn_like("arn:aws:*", user, Unsure);
        arn_like("arn:aws:s3*", user, False);
        arn_like("arn:aws:iam::111122223333", user, Unsure);
        arn_like("arn:aws:iam::444455556666", user, False);
    }
}
