//! Lists in pages, as KMS pages them.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tonic::Status;

use super::refusal;
use crate::engine::grant::Grant;
use crate::engine::term::request::InvalidRequest;

/// Items on a page when the request does not say, and at most.
///
/// Source: AWS KMS API Reference, `ListGrants`.
const USUAL: usize = 50;
const MOST: usize = 100;

/// The longest marker.
///
/// Source: AWS KMS API Reference, `ListGrants`.
const LONGEST: usize = 1024;

/// Where a page begins, and how long it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Page {
    /// Id and key ARN of the grant behind which it begins; empty for the first page.
    after: (String, String),
    limit: usize,
}

impl Page {
    /// Reads `limit` and `marker` of a request.
    pub(super) fn read(limit: i32, marker: &str) -> Result<Self, Status> {
        let limit = match usize::try_from(limit) {
            Ok(0) => USUAL,
            Ok(limit) if limit <= MOST => limit,
            _ => {
                let message = format!("{limit} is not within 1 to {MOST}");
                return Err(refusal::invalid(&InvalidRequest::new("limit", message)));
            }
        };
        match place(marker) {
            Some(after) => Ok(Self { after, limit }),
            None => Err(refusal::kms(
                "InvalidMarkerException",
                "the marker is not one that this service gave",
            )),
        }
    }

    /// The id from which on grants are of interest.
    pub(super) fn from(&self) -> &str {
        &self.after.0
    }

    /// The page of what fits in two lists that are sorted by id, and the marker of the next page;
    /// empty on the last one. A grant that stands in both lists stands on the page once.
    pub(super) fn take<'g>(
        &self,
        documents: impl Iterator<Item = &'g Arc<Grant>>,
        live: impl Iterator<Item = &'g Arc<Grant>>,
        fits: impl Fn(&Grant) -> bool,
    ) -> (Vec<&'g Arc<Grant>>, String) {
        let name = |grant: &'g Grant| (&*grant.id, &*grant.key_arn);
        let after = (&*self.after.0, &*self.after.1);
        let behind = |grant: &&'g Arc<Grant>| name(grant) > after && fits(grant);
        // A page and one more of each are enough to fill a page and to know of the next.
        let enough = self.limit + 1;
        let mut page: Vec<&Arc<Grant>> = documents
            .filter(|grant| behind(grant))
            .take(enough)
            .chain(live.filter(|grant| behind(grant)).take(enough))
            .collect();
        page.sort_by(|a, b| name(a).cmp(&name(b)));
        page.dedup_by(|a, b| name(a) == name(b));
        let more = page.len() > self.limit;
        page.truncate(self.limit);
        let marker = |grant: &&Arc<Grant>| {
            URL_SAFE_NO_PAD.encode(format!("{}\0{}", grant.id, grant.key_arn))
        };
        let last = page.last().filter(|_| more).map(marker);
        (page, last.unwrap_or_default())
    }
}

/// What a marker says. It only says where to go on: a forged one shows no more than a listing from
/// the start would.
fn place(marker: &str) -> Option<(String, String)> {
    if marker.len() > LONGEST {
        return None;
    }
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(marker).ok()?).ok()?;
    if text.is_empty() {
        return Some(Default::default());
    }
    let (id, key_arn) = text.split_once('\0')?;
    Some((id.to_owned(), key_arn.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::Page;

    #[test]
    fn limits_and_markers_are_checked() {
        assert_eq!(Page::read(0, "").unwrap().limit, 50);
        assert_eq!(Page::read(100, "").unwrap().limit, 100);
        assert_eq!(Page::read(7, "YQBi").unwrap().after, ("a".to_owned(), "b".to_owned()));
        let long = "YQBi".repeat(300);
        for (limit, marker) in
            [(101, ""), (-1, ""), (1, "%"), (1, "_w"), (1, "YQ"), (1, &long), (i32::MIN, "")]
        {
            assert!(Page::read(limit, marker).is_err(), "{limit} {marker}");
        }
    }
}
