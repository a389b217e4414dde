//! The generated messages and services of `keyward.v1`.

#![expect(clippy::allow_attributes_without_reason, reason = "generated")]

use std::sync::LazyLock;

use prost_reflect::{DescriptorPool, MessageDescriptor};

tonic::include_proto!("keyward.v1");

/// The protocol files of the data services as an encoded descriptor set, imports and comments
/// included.
pub const DATA_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/data.bin"));

/// The protocol files of all services, likewise.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/all.bin"));

static POOL: LazyLock<DescriptorPool> =
    LazyLock::new(|| DescriptorPool::decode(FILE_DESCRIPTOR_SET).unwrap_or_default());

/// The descriptor of a message, by its name without package.
#[must_use]
pub fn descriptor(message: &str) -> Option<MessageDescriptor> {
    POOL.get_message_by_name(&format!("keyward.v1.{message}"))
}
