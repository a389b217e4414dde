//! Tags, as KMS and IAM print them.

use hashbrown::HashSet;

use super::reading::Reading;
use crate::engine::json::Json;
use crate::engine::term::text::folded;

/// Tags sorted by name.
pub(super) type Tags = Box<[(Box<str>, Box<str>)]>;

/// Tags that one thing can have.
///
/// Source: AWS KMS Developer Guide, "Quotas"; IAM User Guide, "IAM and AWS STS quotas".
const MOST: usize = 50;

/// Whether names that differ in case alone are one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Case {
    /// They are two: KMS.
    Counts,
    /// They are one: IAM.
    DoesNotCount,
}

impl Reading<'_> {
    /// The member `Tags`: `TagKey` and `TagValue` as KMS prints them, or `Key` and `Value` as IAM
    /// does.
    ///
    /// Source: AWS KMS API Reference, `Tag`; IAM API Reference, `Tag`; IAM User Guide, "Tags for IAM
    /// resources" (names are unique, and their case does not count).
    pub(super) fn tags(&mut self, object: &Json<'_>, case: Case) -> Tags {
        let items = self.list(object, "Tags");
        let mut tags: Vec<(Box<str>, Box<str>)> = Vec::with_capacity(items.len());
        let mut names = HashSet::with_capacity(items.len());
        for item in items {
            if !self.is_object(item, "Tags") {
                continue;
            }
            let kms = item.member("TagKey").is_some() || item.member("TagValue").is_some();
            let (name, value) = if kms { ("TagKey", "TagValue") } else { ("Key", "Value") };
            let (name, value) = (self.required_text(item, name), self.required_text(item, value));
            let (Some(name), Some(value)) = (name, value) else { continue };
            let identity: String = match case {
                Case::Counts => name.to_owned(),
                Case::DoesNotCount => folded(name).collect(),
            };
            if !names.insert(identity) {
                let message = format!("the tag `{name}` is there twice");
                self.error("duplicate-tag", message, "keep one of them", item.span);
                continue;
            }
            tags.push((name.into(), value.into()));
        }
        if tags.len() > MOST
            && let Some(json) = object.member("Tags")
        {
            let message = format!("{} tags, more than {MOST}", tags.len());
            self.warning(
                "too-many-tags",
                message,
                "AWS allows no more than that on one resource",
                json.span,
            );
        }
        tags.sort_unstable();
        tags.into()
    }
}
