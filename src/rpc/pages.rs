//! Lists in pages, as KMS pages them.

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

/// Where a page begins, and how long it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Page {
    /// The id behind which it begins; empty for the first page.
    pub(super) after: String,
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
        let decoded = URL_SAFE_NO_PAD.decode(marker).ok().and_then(|id| String::from_utf8(id).ok());
        match decoded {
            Some(after) => Ok(Self { after, limit }),
            None => Err(refusal::kms(
                "InvalidMarkerException",
                "the marker is not one that this service gave",
            )),
        }
    }

    /// The page of what fits in two lists that are sorted by id, and the marker of the next page;
    /// empty on the last one.
    pub(super) fn take<'g>(
        &self,
        documents: impl Iterator<Item = &'g Grant>,
        live: impl Iterator<Item = &'g Grant>,
        fits: impl Fn(&Grant) -> bool,
    ) -> (Vec<&'g Grant>, String) {
        let behind = |grant: &&'g Grant| *grant.id > *self.after && fits(grant);
        // A page and one more of each are enough to fill a page and to know of the next.
        let enough = self.limit + 1;
        let mut page: Vec<&Grant> = documents
            .filter(|grant| behind(grant))
            .take(enough)
            .chain(live.filter(|grant| behind(grant)).take(enough))
            .collect();
        page.sort_by(|a, b| a.id.cmp(&b.id));
        let more = page.len() > self.limit;
        page.truncate(self.limit);
        let last = page.last().filter(|_| more).map(|grant| URL_SAFE_NO_PAD.encode(&*grant.id));
        (page, last.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::Page;

    #[test]
    fn limits_and_markers_are_checked() {
        assert_eq!(Page::read(0, "").unwrap().limit, 50);
        assert_eq!(Page::read(100, "").unwrap().limit, 100);
        assert_eq!(Page::read(7, "YQ").unwrap().after, "a");
        for (limit, marker) in [(101, ""), (-1, ""), (1, "%"), (1, "_w")] {
            assert!(Page::read(limit, marker).is_err(), "{limit} {marker}");
        }
    }
}
