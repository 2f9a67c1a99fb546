//! JSON members with a meaning of their own: blobs in base64, the encryption context, timestamps (KEY-3).

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;
use hsm_protocol::Wiped;
use jiff::Timestamp;
use serde::de::{DeserializeOwned, Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::{ApiError, ErrorCode};

/// Reads a request body.
///
/// # Errors
/// `SerializationException` without the parser's own text, which would repeat parts of the body (INV-55).
pub(crate) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    // All of it must be text, members that nobody reads too (RFC 8259 section 8.1): the parser alone would skip those unseen.
    let read = std::str::from_utf8(body).ok().and_then(|text| serde_json::from_str(text).ok());
    read.ok_or_else(|| {
        ApiError::new(
            ErrorCode::Serialization,
            "The request body is not a JSON object with members of the expected types.",
        )
    })
}

/// Writes a response body into one buffer of `capacity` bytes that is wiped when the response has left. A buffer that
/// grew would leave copies of what it held behind.
pub(crate) fn write(body: &impl Serialize, capacity: usize) -> Result<Wiped, ApiError> {
    let mut buffer = Wiped::with_capacity(capacity);
    serde_json::to_writer(&mut *buffer, body).map_err(|_| ApiError::internal())?;
    Ok(buffer)
}

/// A blob from a request. Wiped on drop; never printed.
pub(crate) struct Blob(pub(crate) Wiped);

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Blob;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a base64 string")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Blob, E> {
                let mut bytes = Wiped::with_capacity(base64::decoded_len_estimate(text.len()));
                STANDARD.decode_vec(text, &mut bytes).map_err(|_| E::custom("not base64"))?;
                Ok(Blob(bytes))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

/// Bytes in a response, written as base64 straight into the output.
pub(crate) struct Base64<'a>(pub(crate) &'a [u8]);

impl Serialize for Base64<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&Base64Display::new(self.0, &STANDARD))
    }
}

/// A timestamp in a response: seconds since the epoch with milliseconds (KEY-3).
pub(crate) fn seconds<S: Serializer>(time: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    match time {
        // Milliseconds since the epoch are far below 2^53: the conversion is exact.
        #[allow(clippy::cast_precision_loss)]
        Some(time) => serializer.serialize_f64(time.as_millisecond() as f64 / 1_000.0),
        None => serializer.serialize_none(),
    }
}

/// The pairs of an `EncryptionContext` as they arrived. A name that occurs twice is refused: JSON parsers disagree about
/// which one counts, and so would the caller and the ciphertext.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct ContextPairs(pub(crate) BTreeMap<String, String>);

impl<'de> Deserialize<'de> for ContextPairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = ContextPairs;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object of strings")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ContextPairs, A::Error> {
                let mut pairs = BTreeMap::new();
                while let Some((name, value)) = map.next_entry::<String, String>()? {
                    if pairs.insert(name, value).is_some() {
                        return Err(A::Error::custom("a name occurs twice"));
                    }
                }
                Ok(ContextPairs(pairs))
            }
        }
        deserializer.deserialize_map(Pairs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blob_is_standard_base64_and_nothing_else() {
        assert_eq!(read::<Blob>(br#""aGk=""#).ok().map(|blob| blob.0.to_vec()), Some(b"hi".to_vec()));
        for text in [r#""aGk""#, r#""a-_=""#, r#""a Gk=""#, "17", "null", r#"["aGk="]"#] {
            assert!(read::<Blob>(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn a_failed_parse_repeats_nothing_of_the_body() {
        let error = read::<Blob>(br#"{"Plaintext": "canary"}"#).err().unwrap();
        assert_eq!(error.code, ErrorCode::Serialization);
        assert!(!error.message.contains("canary"));
    }

    #[test]
    fn a_context_with_a_repeated_name_is_refused() {
        assert!(read::<ContextPairs>(br#"{"a":"1","b":"2","a":"1"}"#).is_err());
        let pairs = read::<ContextPairs>(br#"{"b":"2","a":"1"}"#).unwrap();
        assert_eq!(pairs.0, BTreeMap::from([("a".to_owned(), "1".to_owned()), ("b".to_owned(), "2".to_owned())]));
    }

    #[test]
    fn a_timestamp_is_a_number_of_seconds_with_a_fraction() {
        #[derive(Serialize)]
        struct Answer(#[serde(serialize_with = "seconds")] Option<Timestamp>);
        let json = serde_json::to_string(&Answer(Some("2017-07-06T01:31:35.918Z".parse().unwrap()))).unwrap();
        assert_eq!(json, "1499304695.918");
    }
}
