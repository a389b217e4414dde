//! Messages as proto3 JSON.

use prost::Message;
use prost_reflect::{DynamicMessage, SerializeOptions};

use crate::wire::v1;

/// Reads a message of `keyward.v1` from proto3 JSON. Unknown members are refused.
///
/// # Errors
///
/// What is wrong, in words.
pub fn read<M: Message + Default>(name: &str, text: &str) -> Result<M, String> {
    let descriptor = v1::descriptor(name).ok_or_else(|| format!("no message `{name}`"))?;
    let mut json = serde_json::Deserializer::from_str(text);
    let message =
        DynamicMessage::deserialize(descriptor, &mut json).map_err(|error| words(&error))?;
    json.end().map_err(|error| words(&error))?;
    message.transcode_to().map_err(|error| error.to_string())
}

/// Writes a message of `keyward.v1` as proto3 JSON. Fields without value are left out.
///
/// # Errors
///
/// There is no such message.
pub fn write<M: Message>(name: &str, message: &M) -> Result<serde_json::Value, String> {
    let descriptor = v1::descriptor(name).ok_or_else(|| format!("no message `{name}`"))?;
    let dynamic = DynamicMessage::decode(descriptor, message.encode_to_vec().as_slice())
        .map_err(|error| error.to_string())?;
    dynamic
        .serialize_with_options(serde_json::value::Serializer, &SerializeOptions::new())
        .map_err(|error| error.to_string())
}

/// The error without the place in the text, which means nothing to whoever sent a message.
fn words(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.split(" at line ").next().unwrap_or(&text).to_owned()
}

#[cfg(test)]
mod tests {
    use super::{read, write};
    use crate::wire::v1::AuthorizeRequest;

    #[test]
    fn requests_are_read_and_written_as_proto3_json() {
        let text = r#"{"principal":{"arn":"x"},"action":"kms:Decrypt","keyId":"k","encryptionContext":{"a":"b"},
            "multivaluedContext":{"aws:CalledVia":{"values":["a"]}},"parameters":{"validTo":"2018-12-31T12:00:00Z"}}"#;
        let request: AuthorizeRequest = read("AuthorizeRequest", text).unwrap();
        assert_eq!(request.encryption_context["a"], "b");
        assert_eq!(
            request.parameters.as_ref().unwrap().valid_to.as_ref().unwrap().seconds,
            1_546_257_600
        );
        let json = write("AuthorizeRequest", &request).unwrap();
        assert_eq!(json["multivaluedContext"]["aws:CalledVia"]["values"][0], "a");
    }

    #[test]
    fn unknown_members_and_wrong_types_are_refused() {
        for text in [
            r#"{"actoin":"x"}"#,
            r#"{"action":1}"#,
            "[]",
            "{} x",
            r#"{"principal":{"arn":"x","y":1}}"#,
        ] {
            assert!(read::<AuthorizeRequest>("AuthorizeRequest", text).is_err(), "{text}");
        }
    }
}
