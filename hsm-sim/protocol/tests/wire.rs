//! Frames and blobs from arbitrary bytes: round trip, cut at every length, never a panic.

use bytes::BytesMut;
use hsm_protocol::frame::{self, HEADER_LENGTH, take_frame};
use hsm_protocol::limits::{MAX_BODY, MAX_PLAINTEXT};
use hsm_protocol::message as m;
use hsm_protocol::{BlobHeader, BlobVersion, Command, FrameError, FrameHeader, FrameKind, KeyId, ReturnCode, blob};
use proptest::prelude::*;
use prost::Message;

fn request(request_id: u64, plaintext: Vec<u8>) -> BytesMut {
    let message = m::EncryptRequest { key_id: vec![7; 16], plaintext, encryption_context: vec![1, 2] };
    let mut buffer = BytesMut::new();
    frame::put_request(&mut buffer, Command::Encrypt, request_id, 250, &message).expect("fits into a frame");
    buffer
}

proptest! {
    #[test]
    fn a_frame_reads_back_as_it_was_written(id: u64, plaintext in prop::collection::vec(any::<u8>(), 0..5000)) {
        let mut buffer = request(id, plaintext.clone());
        let frame = take_frame(&mut buffer).unwrap().unwrap();
        prop_assert!(buffer.is_empty());
        prop_assert_eq!(frame.header.request_id, id);
        prop_assert_eq!(frame.header.word, 250);
        prop_assert_eq!(Command::from_u16(frame.header.command), Some(Command::Encrypt));
        prop_assert_eq!(&m::EncryptRequest::decode(frame.body).unwrap().plaintext, &plaintext);
    }

    #[test]
    fn random_bytes_are_a_frame_or_an_error_but_never_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut buffer = BytesMut::from(&bytes[..]);
        while let Ok(Some(frame)) = take_frame(&mut buffer) {
            prop_assert_eq!(frame.header.body_length as usize, frame.body.len());
            let _ = m::InsertMaskedKeyRequest::decode(frame.body);
        }
    }

    #[test]
    fn random_bytes_as_any_body_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = m::LoginRequest::decode(&bytes[..]);
        let _ = m::KeyRecord::decode(&bytes[..]);
        let _ = m::Roster::decode(&bytes[..]);
        let _ = m::ControlSnapshot::decode(&bytes[..]);
        let _ = m::UserSnapshot::decode(&bytes[..]);
        let _ = m::MaskedKeyContent::decode(&bytes[..]);
    }

    #[test]
    fn random_headers_round_trip_when_they_are_accepted(bytes: [u8; HEADER_LENGTH]) {
        if let Ok(header) = FrameHeader::decode(&bytes) {
            prop_assert_eq!(header.encode(), bytes);
        }
    }

    #[test]
    fn a_blob_header_reads_back_as_it_was_written(key: [u8; 16], backing: [u8; 16], random: [u8; 16], older: bool,
                                                 sealed in prop::collection::vec(any::<u8>(), 17..100)) {
        let mut header = BlobHeader::new(KeyId(key), backing, random);
        if older {
            header.version = BlobVersion::DerivedNonce;
        }
        let whole = [&header.encode()[..], &sealed].concat();
        let (read, rest) = BlobHeader::parse(&whole).unwrap();
        prop_assert_eq!(read, header);
        prop_assert_eq!(rest, &sealed[..]);
        for cut in 0..=blob::HEADER_LENGTH + blob::TAG_LENGTH {
            prop_assert!(BlobHeader::parse(&whole[..cut]).is_err());
        }
    }

    #[test]
    fn random_bytes_as_a_blob_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = BlobHeader::parse(&bytes);
    }
}

#[test]
fn a_frame_cut_at_any_length_waits_for_more_and_loses_nothing() {
    let whole = request(9, vec![5; 40]);
    for cut in 0..whole.len() {
        let mut buffer = BytesMut::from(&whole[..cut]);
        assert!(take_frame(&mut buffer).unwrap().is_none());
        assert_eq!(buffer.len(), cut);
        buffer.extend_from_slice(&whole[cut..]);
        assert!(take_frame(&mut buffer).unwrap().is_some());
    }
}

#[test]
fn a_length_over_the_limit_is_refused_from_the_header_alone() {
    let header =
        FrameHeader { body_length: u32::MAX, kind: FrameKind::Request, command: 1, request_id: 1, word: 0 }.encode();
    assert_eq!(take_frame(&mut BytesMut::from(&header[..])).err(), Some(FrameError::TooLarge(u32::MAX)));
    let limit = u32::try_from(MAX_BODY).unwrap();
    for (length, allowed) in [(limit, true), (limit + 1, false)] {
        let bytes =
            FrameHeader { body_length: length, kind: FrameKind::Response, command: 1, request_id: 1, word: 0 }.encode();
        assert_eq!(FrameHeader::decode(&bytes).is_ok(), allowed);
    }
}

#[test]
fn a_message_over_the_limit_is_not_written_at_all() {
    let message = m::InsertMaskedKeyRequest { masked: vec![0; MAX_BODY], fence: 0 };
    let mut buffer = BytesMut::from(&b"before"[..]);
    assert!(frame::put_request(&mut buffer, Command::InsertMaskedKey, 1, 0, &message).is_err());
    assert_eq!(&buffer[..], b"before");
}

#[test]
fn other_versions_and_kinds_are_refused() {
    let good = FrameHeader { body_length: 0, kind: FrameKind::Response, command: 1, request_id: 1, word: 0 }.encode();
    let mut version = good;
    version[4] = 2;
    assert_eq!(FrameHeader::decode(&version), Err(FrameError::UnknownVersion(2)));
    let mut kind = good;
    kind[5] = 2;
    assert_eq!(FrameHeader::decode(&kind), Err(FrameError::UnknownKind(2)));
}

#[test]
fn many_frames_in_one_buffer_come_out_in_order() {
    let mut buffer = BytesMut::new();
    for id in 0..50 {
        frame::put_response(&mut buffer, 0x0501, id, ReturnCode::Success, &m::EncryptReply { blob: vec![1; 70] })
            .unwrap();
    }
    for id in 0..50 {
        assert_eq!(take_frame(&mut buffer).unwrap().unwrap().header.request_id, id);
    }
    assert!(buffer.is_empty());
}

#[test]
fn a_blob_of_another_version_or_over_the_limit_is_refused() {
    let header = BlobHeader::new(KeyId([1; 16]), [2; 16], [3; 16]);
    let mut other = [&header.encode()[..], &[0; 20]].concat();
    for version in (0..=u8::MAX).filter(|version| ![1, 2].contains(version)) {
        other[0] = version;
        assert!(BlobHeader::parse(&other).is_err());
    }
    let longest = [&header.encode()[..], &[0; MAX_PLAINTEXT + blob::TAG_LENGTH]].concat();
    assert!(BlobHeader::parse(&longest).is_ok());
    assert!(BlobHeader::parse(&[&longest[..], &[0]].concat()).is_err());
}
