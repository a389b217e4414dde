//! `AuthorizeResponse` to its bytes, without a message in between: for answers that carry no
//! reasoning.
//!
//! Source: Protocol Buffers Documentation, "Encoding".

use super::answer::{Envelope, decision};
use crate::engine::decide::decision::{Answer, Leg};

/// Adds the message for an answer: what [`response`](super::answer::response) makes of it, encoded.
pub fn encode(answer: &Answer<'_>, envelope: &Envelope<'_>, out: &mut Vec<u8>) {
    let message = answer.message();
    let message = message.as_deref().unwrap_or_default();
    let key_arn = answer.key_arn.unwrap_or_default();
    // All that has no fixed length, and room for the rest.
    out.reserve(256 + envelope.request_id.len() + key_arn.len() + message.len());
    number(out, 1, i32::from(decision(answer.verdict())));
    text(out, 2, envelope.decision_id);
    text(out, 3, envelope.request_id);
    text(out, 4, envelope.revision);
    text(out, 5, envelope.consistency_token);
    text(out, 6, key_arn);
    text(out, 7, answer.error_code().unwrap_or_default());
    text(out, 8, message);
    if answer.by_operation {
        answer.legs.iter().for_each(|found| leg(out, found));
    }
    if envelope.cached {
        number(out, 11, 1);
    }
}

/// Adds an item of a batch: the answer whose message this is.
pub fn encode_item(message: &[u8], out: &mut Vec<u8>) {
    key(out, 1, LENGTH_DELIMITED);
    varint(out, 1 + varint_length(message.len()) + message.len());
    key(out, 1, LENGTH_DELIMITED);
    varint(out, message.len());
    out.extend_from_slice(message);
}

/// Adds an item of a batch that is any message.
pub fn encode_other_item(item: &impl prost::Message, out: &mut Vec<u8>) {
    key(out, 1, LENGTH_DELIMITED);
    varint(out, item.encoded_len());
    out.extend_from_slice(&item.encode_to_vec());
}

/// Field 9, a `Leg`.
fn leg(out: &mut Vec<u8>, leg: &Leg<'_>) {
    let decision = i32::from(decision(leg.decision.verdict()));
    let (action, error_code) = (leg.action.name(), leg.error_code().unwrap_or_default());
    let lengths = [text_length(action), text_length(&leg.resource), text_length(error_code)];
    key(out, 9, LENGTH_DELIMITED);
    varint(out, 2 + lengths.iter().sum::<usize>());
    text(out, 1, action);
    text(out, 2, &leg.resource);
    number(out, 3, decision);
    text(out, 4, error_code);
}

const VARINT: u8 = 0;
const LENGTH_DELIMITED: u8 = 2;

/// The key of a field; its number is at most 15, so that it has one byte.
fn key(out: &mut Vec<u8>, number: u8, wire_type: u8) {
    out.push((number << 3) | wire_type);
}

/// A decision, which is a number from 1 to 4, or that something is so.
fn number(out: &mut Vec<u8>, field: u8, value: i32) {
    key(out, field, VARINT);
    varint(out, usize::try_from(value).unwrap_or_default());
}

/// A text; an empty one is left out.
fn text(out: &mut Vec<u8>, field: u8, value: &str) {
    if value.is_empty() {
        return;
    }
    key(out, field, LENGTH_DELIMITED);
    varint(out, value.len());
    out.extend_from_slice(value.as_bytes());
}

/// What [`text`] adds, in bytes.
fn text_length(value: &str) -> usize {
    match value.len() {
        0 => 0,
        length => 1 + varint_length(length) + length,
    }
}

fn varint_length(value: usize) -> usize {
    let bits = usize::BITS - (value | 1).leading_zeros();
    bits.div_ceil(7) as usize
}

/// Seven bits a byte, the lowest first.
pub(super) fn varint(out: &mut Vec<u8>, mut value: usize) {
    while value >= 0x80 {
        out.push(0x80 | (value & 0x7f) as u8);
        value >>= 7;
    }
    out.push(value as u8);
}
