//! `AuthorizeRequest` from its bytes, in place: no text is copied.
//!
//! What is read here means what the generated decoder makes of it: an unknown field is skipped, the
//! last one of a field counts, messages that come in pieces are one. Whatever is not plain (groups,
//! fields of another wire type, broken bytes, very long lists, the grant of CreateGrant) is not
//! read here at all: the caller then asks the generated decoder, which knows what is wrong with it.
//!
//! Source: Protocol Buffers Documentation, "Encoding".

use super::view::{ConsistencyView, ParametersView, PrincipalView, View};
use crate::engine::term::few::Few;
use crate::engine::term::request::Texts;

/// Items of one list that are read in place.
const ITEMS: usize = 4096;

/// The request in `bytes`; `None` where the generated decoder has to look at it.
#[must_use]
pub fn decode(bytes: &[u8]) -> Option<View<'_>> {
    let mut view = View::default();
    request(&mut view, bytes)?;
    Some(view)
}

/// A `BatchAuthorizeRequest`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BatchView<'a> {
    /// The questions.
    pub requests: Vec<View<'a>>,
    /// How fresh the answers must be.
    pub consistency: Option<ConsistencyView<'a>>,
    /// When to stop early.
    pub stop_mode: i32,
}

/// The batch in `bytes`; `None` where the generated decoder has to look at it, and where there are
/// more than `most` questions.
#[must_use]
pub fn decode_batch(bytes: &[u8], most: usize) -> Option<BatchView<'_>> {
    let mut batch = BatchView::default();
    let mut fields = Fields(bytes);
    while let Some((number, field)) = fields.next()? {
        match number {
            1 if batch.requests.len() < most => {
                // Read where it stays: a view is long.
                batch.requests.push(View::default());
                request(batch.requests.last_mut()?, field.bytes()?)?;
            }
            1 => return None,
            2 => consistency(batch.consistency.get_or_insert_default(), field.bytes()?)?,
            3 => batch.stop_mode = field.int32()?,
            _ => {}
        }
    }
    Some(batch)
}

fn request<'a>(view: &mut View<'a>, bytes: &'a [u8]) -> Option<()> {
    let mut fields = Fields(bytes);
    while let Some((number, field)) = fields.next()? {
        match number {
            1 => view.request_id = field.text()?,
            2 => principal(view.principal.get_or_insert_default(), field.bytes()?)?,
            3 => view.action = field.text()?,
            4 => view.key_id = field.text()?,
            5 => push(&mut view.encryption_context, pair(field)?)?,
            6 => push(&mut view.grant_tokens, field.text()?)?,
            7 => push(&mut view.context, pair(field)?)?,
            8 => push(&mut view.multivalued_context, list(field)?)?,
            9 => parameters(view.parameters.get_or_insert_default(), field.bytes()?)?,
            10 => view.region = field.text()?,
            11 => view.via_service = field.text()?,
            12 => consistency(view.consistency.get_or_insert_default(), field.bytes()?)?,
            13 => view.detail = field.int32()?,
            14 => view.dry_run = field.bool()?,
            _ => {}
        }
    }
    as_map(&mut view.encryption_context);
    as_map(&mut view.context);
    as_map(&mut view.multivalued_context);
    if let Some(principal) = &mut view.principal {
        as_map(&mut principal.tags);
    }
    if let Some(parameters) = &mut view.parameters {
        as_map(&mut parameters.destination_encryption_context);
        as_map(&mut parameters.recipient_attestation);
    }
    Some(())
}

fn principal<'a>(into: &mut PrincipalView<'a>, bytes: &'a [u8]) -> Option<()> {
    let mut fields = Fields(bytes);
    while let Some((number, field)) = fields.next()? {
        match number {
            1 => into.arn = field.text()?,
            2 => into.role_arn = field.text()?,
            3 => into.issuer_arn = field.text()?,
            4 => push(&mut into.tags, pair(field)?)?,
            5 => push(&mut into.session_policies, field.text()?)?,
            6 => into.user_id = field.text()?,
            7 => into.source_identity = field.text()?,
            _ => {}
        }
    }
    Some(())
}

fn consistency<'a>(into: &mut ConsistencyView<'a>, bytes: &'a [u8]) -> Option<()> {
    let mut fields = Fields(bytes);
    while let Some((number, field)) = fields.next()? {
        match number {
            1 => *into = ConsistencyView::MinimizeLatency(field.bool()?),
            2 => *into = ConsistencyView::AtLeastAsFresh(field.text()?),
            3 => *into = ConsistencyView::FullyConsistent(field.bool()?),
            _ => {}
        }
    }
    Some(())
}

fn parameters<'a>(into: &mut ParametersView<'a>, bytes: &'a [u8]) -> Option<()> {
    let mut fields = Fields(bytes);
    while let Some((number, field)) = fields.next()? {
        match number {
            1 => into.encryption_algorithm = field.text()?,
            2 => into.destination_key_id = field.text()?,
            3 => into.source_key_id = field.text()?,
            4 => push(&mut into.destination_encryption_context, pair(field)?)?,
            5 => into.destination_encryption_algorithm = field.text()?,
            6 => into.key_pair_spec = field.text()?,
            7 => into.signing_algorithm = field.text()?,
            8 => into.mac_algorithm = field.text()?,
            9 => into.key_agreement_algorithm = field.text()?,
            10 => into.wrapping_algorithm = field.text()?,
            11 => into.wrapping_key_spec = field.text()?,
            12 => into.message_type = field.text()?,
            13 => into.policy_name = field.text()?,
            14 => into.pending_window_in_days = Some(field.int32()?),
            15 => into.rotation_period_in_days = Some(field.int32()?),
            16 => into.bypass_policy_lockout_safety_check = Some(field.bool()?),
            17 => into.expiration_model = field.text()?,
            19 => into.primary_region = field.text()?,
            20 => into.replica_region = field.text()?,
            21 => push(&mut into.recipient_attestation, pair(field)?)?,
            22 => into.key_spec = field.text()?,
            23 => into.key_usage = field.text()?,
            24 => into.origin = field.text()?,
            25 => into.multi_region = Some(field.bool()?),
            26 => push(&mut into.tags, pair(field)?)?,
            27 => push(&mut into.tag_keys, field.text()?)?,
            28 => into.alias_name = field.text()?,
            29 => into.target_key_id = field.text()?,
            30 => into.grant_id = field.text()?,
            31 => into.retiring_principal = field.text()?,
            // Seldom there: the instant until which key material is valid, and a new grant.
            18 | 32 => return None,
            _ => {}
        }
    }
    Some(())
}

/// An entry of a map of texts, or a tag: what is missing is empty.
fn pair(field: Field<'_>) -> Option<(&str, &str)> {
    let (mut name, mut value) = ("", "");
    let mut fields = Fields(field.bytes()?);
    while let Some((number, field)) = fields.next()? {
        match number {
            1 => name = field.text()?,
            2 => value = field.text()?,
            _ => {}
        }
    }
    Some((name, value))
}

/// An entry of a map of lists of texts.
fn list(field: Field<'_>) -> Option<(&str, Texts<'_>)> {
    let (mut name, mut values) = ("", Texts::new());
    let mut fields = Fields(field.bytes()?);
    while let Some((number, field)) = fields.next()? {
        match number {
            1 => name = field.text()?,
            2 => {
                let mut items = Fields(field.bytes()?);
                while let Some((number, item)) = items.next()? {
                    if number == 1 {
                        push(&mut values, item.text()?)?;
                    }
                }
            }
            _ => {}
        }
    }
    Some((name, values))
}

fn push<T, const N: usize>(list: &mut Few<T, N>, item: T) -> Option<()> {
    if list.len() >= ITEMS {
        return None;
    }
    list.push(item);
    Some(())
}

/// Sorts by name; of entries with one name the last one counts.
fn as_map<V, const N: usize>(entries: &mut Few<(&str, V), N>) {
    if entries.windows(2).all(|pair| matches!(pair, [(a, _), (b, _)] if a < b)) {
        return;
    }
    entries.reverse();
    entries.sort_by_key(|(name, _)| *name);
    entries.dedup_by(|(a, _), (b, _)| a == b);
}

/// The fields of a message that are left to read.
struct Fields<'a>(&'a [u8]);

/// The content of a field.
#[derive(Clone, Copy)]
enum Field<'a> {
    Varint(u64),
    Fixed,
    Bytes(&'a [u8]),
}

impl<'a> Fields<'a> {
    /// The next field with its number; `Some(None)` at the end.
    #[expect(clippy::option_option, reason = "the outer one says that it cannot be read here")]
    fn next(&mut self) -> Option<Option<(u32, Field<'a>)>> {
        if self.0.is_empty() {
            return Some(None);
        }
        let key = u32::try_from(self.varint()?).ok()?;
        let number = key >> 3;
        if number == 0 {
            return None;
        }
        let field = match key & 7 {
            0 => Field::Varint(self.varint()?),
            1 => self.take(8).map(|_| Field::Fixed)?,
            2 => {
                let length = usize::try_from(self.varint()?).ok()?;
                Field::Bytes(self.take(length)?)
            }
            5 => self.take(4).map(|_| Field::Fixed)?,
            _ => return None,
        };
        Some(Some((number, field)))
    }

    /// Seven bits a byte, the lowest first; at most 64 bits.
    fn varint(&mut self) -> Option<u64> {
        let (first, rest) = self.0.split_first()?;
        if *first < 0x80 {
            self.0 = rest;
            return Some(u64::from(*first));
        }
        let mut value = 0;
        for (index, byte) in self.0.iter().enumerate().take(10) {
            if index == 9 && *byte > 1 {
                return None;
            }
            value |= u64::from(byte & 0x7f) << (7 * index);
            if *byte < 0x80 {
                self.0 = self.0.get(index + 1..)?;
                return Some(value);
            }
        }
        None
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }
}

impl<'a> Field<'a> {
    fn bytes(self) -> Option<&'a [u8]> {
        if let Self::Bytes(bytes) = self { Some(bytes) } else { None }
    }

    fn text(self) -> Option<&'a str> {
        std::str::from_utf8(self.bytes()?).ok()
    }

    fn bool(self) -> Option<bool> {
        if let Self::Varint(value) = self { Some(value != 0) } else { None }
    }

    /// The lowest 32 bits: what is above them does not count.
    fn int32(self) -> Option<i32> {
        #[expect(clippy::cast_possible_truncation, reason = "as the generated decoder does")]
        if let Self::Varint(value) = self { Some(value as i32) } else { None }
    }
}
