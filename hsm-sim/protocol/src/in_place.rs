//! Requests and replies of Encrypt and Decrypt, read where they lie and written from where their fields lie.
//!
//! On the wire they are the messages of the same names in [`crate::message`], and a test holds that. The generated types copy each field twice
//! when they are read, and leave one of the copies behind unwiped (INV-55); together that costs as much time as the encryption.

use bytes::BytesMut;
use prost::encoding::{
    DecodeContext, WireType, decode_key, decode_varint, encode_key, encode_varint, encoded_len_varint, key_len,
    skip_field,
};

use crate::frame::Body;

/// The bytes are not this message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("failed to read a message")]
pub struct NotThisMessage;

macro_rules! messages {
    ($($(#[$about:meta])+ $name:ident { $($field:ident)+ })+) => {$(
        $(#[$about])+
        #[derive(Clone, Copy, PartialEq, Eq)]
        pub struct $name<'a> {
            $(#[doc = concat!("Field `", stringify!($field), "`.")] pub $field: &'a [u8],)+
        }

        impl<'a> $name<'a> {
            /// Reads it; the fields lie in `body`.
            ///
            /// # Errors
            /// [`NotThisMessage`], exactly where the generated type refuses.
            pub fn decode(body: &'a [u8]) -> Result<Self, NotThisMessage> {
                let [$($field),+] = fields(body)?;
                Ok(Self { $($field),+ })
            }
        }

        impl Body for $name<'_> {
            fn encoded_len(&self) -> usize {
                encoded_len(&[$(self.$field),+])
            }

            fn append_to(&self, buffer: &mut BytesMut) {
                append(&[$(self.$field),+], buffer);
            }
        }
    )+};
}

// The order of the fields is that of their numbers, from 1.
messages! {
    /// Secret inside: no `Debug`.
    EncryptRequest { key_id plaintext encryption_context }
    /// Answer to [`EncryptRequest`].
    EncryptReply { blob }
    /// The blob names its key.
    DecryptRequest { blob encryption_context }
    /// Answer to [`DecryptRequest`]. Secret inside: no `Debug`.
    DecryptReply { plaintext key_id }
}

/// Fields 1 to `N` of a message whose known fields are all `bytes`: absent is empty, of several the last counts, others are skipped.
fn fields<const N: usize>(mut body: &[u8]) -> Result<[&[u8]; N], NotThisMessage> {
    let mut fields = [&[][..]; N];
    while !body.is_empty() {
        let (number, wire_type) = decode_key(&mut body).map_err(|_| NotThisMessage)?;
        let index = usize::try_from(number).ok().and_then(|number| number.checked_sub(1));
        match index.and_then(|index| fields.get_mut(index)) {
            Some(field) if wire_type == WireType::LengthDelimited => {
                let length = decode_varint(&mut body).map_err(|_| NotThisMessage)?;
                let length = usize::try_from(length).map_err(|_| NotThisMessage)?;
                (*field, body) = body.split_at_checked(length).ok_or(NotThisMessage)?;
            }
            Some(_) => return Err(NotThisMessage),
            None => {
                skip_field(wire_type, number, &mut body, DecodeContext::default()).map_err(|_| NotThisMessage)?;
            }
        }
    }
    Ok(fields)
}

fn encoded_len(fields: &[&[u8]]) -> usize {
    let one = |(number, field): (u32, &&[u8])| key_len(number) + encoded_len_varint(field.len() as u64) + field.len();
    (1..).zip(fields).filter(|(_, field)| !field.is_empty()).map(one).sum()
}

fn append(fields: &[&[u8]], buffer: &mut BytesMut) {
    for (number, field) in (1..).zip(fields).filter(|(_, field)| !field.is_empty()) {
        encode_key(number, WireType::LengthDelimited, buffer);
        encode_varint(field.len() as u64, buffer);
        buffer.extend_from_slice(field);
    }
}

/// Any bytes are read in place exactly if the generated type reads them, with the same fields, and print to the same bytes.
///
/// # Panics
/// When that does not hold.
#[cfg(any(test, fuzzing))]
pub fn agrees_with_the_generated_types(body: &[u8]) {
    use crate::message as m;
    use prost::Message;

    fn check(
        in_place: Result<(Vec<&[u8]>, Vec<u8>), NotThisMessage>,
        generated: Result<(Vec<&[u8]>, Vec<u8>), prost::DecodeError>,
    ) {
        assert!(in_place.ok() == generated.ok(), "read in another way than the generated type does");
    }
    macro_rules! compare {
        ($($name:ident { $($field:ident)+ })+) => {$(
            let generated = m::$name::decode(body);
            check(
                $name::decode(body).map(|message| (vec![$(message.$field),+], printed(&message))),
                generated.as_ref().map(|message| (vec![$(&message.$field[..]),+], message.encode_to_vec())).map_err(Clone::clone),
            );
        )+};
    }
    compare! {
        EncryptRequest { key_id plaintext encryption_context }
        EncryptReply { blob }
        DecryptRequest { blob encryption_context }
        DecryptReply { plaintext key_id }
    }
}

#[cfg(any(test, fuzzing))]
fn printed(message: &impl Body) -> Vec<u8> {
    let mut buffer = BytesMut::new();
    message.append_to(&mut buffer);
    assert_eq!(buffer.len(), message.encoded_len());
    buffer.to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn field() -> impl Strategy<Value = Vec<u8>> {
        let number = 0_u32..6;
        let bytes = prop::collection::vec(any::<u8>(), 0..200);
        (number, 0_u8..7, bytes, any::<u8>()).prop_map(|(number, wire_type, bytes, more)| {
            let mut field = BytesMut::new();
            // Mostly well-formed, with now and then a wrong type or a length that is too large.
            encode_varint(u64::from(number << 3 | u32::from(if more < 200 { 2 } else { wire_type })), &mut field);
            encode_varint(bytes.len() as u64 + u64::from(more == 255), &mut field);
            field.extend_from_slice(&bytes);
            field.to_vec()
        })
    }

    proptest! {
        #[test]
        fn messages_read_in_place_are_the_generated_ones(fields in prop::collection::vec(field(), 0..6)) {
            agrees_with_the_generated_types(&fields.concat());
        }

        #[test]
        fn random_bytes_are_read_in_place_as_the_generated_types_read_them(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            agrees_with_the_generated_types(&bytes);
        }
    }
}
