//! What holds for any bytes whatever: called by the fuzz targets in `e2e/fuzz`, and by tests that replay what they found.

use bytes::BytesMut;
use prost::Message;

use crate::frame::{Frame, HEADER_LENGTH, put_request, put_response, take_frame};
use crate::in_place::agrees_with_the_generated_types;
use crate::limits::MAX_BODY;
use crate::message as m;
use crate::request::reprinted;
use crate::{Command, FrameError, FrameHeader, FrameKind, ReturnCode};

/// Frames come out of a stream in the same way wherever it is cut, print to the bytes that they were read from, and
/// stay below the limit. The first byte says where the stream is cut.
///
/// # Panics
/// When that does not hold.
pub fn frame(data: &[u8]) {
    let Some((cut, stream)) = data.split_first() else { return };
    let (whole, whole_error) = take_all(&[stream]);
    let (left, right) = stream.split_at(usize::from(*cut).min(stream.len()));
    let (parts, parts_error) = take_all(&[left, right]);
    assert!(whole == parts && whole_error == parts_error, "a cut changes what is read");
    let mut rest = stream;
    for frame in &whole {
        let length = HEADER_LENGTH + frame.body.len();
        assert!(frame.body.len() <= MAX_BODY && frame.header.body_length as usize == frame.body.len());
        let printed = [&frame.header.encode()[..], &frame.body].concat();
        assert!(rest.get(..length) == Some(&printed[..]), "a frame does not print to what it was read from");
        rest = rest.get(length..).unwrap_or_default();
    }
    match whole_error {
        None => assert!(rest.first_chunk().is_none_or(|header| waits(header, rest.len())), "a whole frame was left"),
        Some(error) => assert_eq!(rest.first_chunk().map(FrameHeader::decode), Some(Err(error))),
    }
}

fn waits(header: &[u8; HEADER_LENGTH], available: usize) -> bool {
    FrameHeader::decode(header).is_ok_and(|header| available < HEADER_LENGTH + header.body_length as usize)
}

fn take_all(parts: &[&[u8]]) -> (Vec<Frame>, Option<FrameError>) {
    let (mut buffer, mut frames) = (BytesMut::new(), Vec::new());
    for part in parts {
        buffer.extend_from_slice(part);
        loop {
            match take_frame(&mut buffer) {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(error) => return (frames, Some(error)),
            }
        }
    }
    (frames, None)
}

/// A body that is read as the request or the reply of a command prints to bytes that are read as the same again, and what is
/// read in place is read as if it were not. The first byte chooses the command.
///
/// # Panics
/// When that does not hold.
pub fn inner_command(data: &[u8]) {
    let Some((choice, body)) = data.split_first() else { return };
    let Some(command) = Command::ALL.get(usize::from(*choice) % Command::ALL.len()) else { return };
    agrees_with_the_generated_types(body);
    let first = reprinted(*command, body);
    for (side, printed) in first.iter().enumerate() {
        let Some(printed) = printed else { continue };
        let again = reprinted(*command, printed);
        assert!(again.get(side) == Some(&Some(printed.clone())), "{command:?}: parse(print(x)) is not x");
    }
}

/// Frames and bodies to begin with.
#[must_use]
pub fn frame_seeds() -> Vec<Vec<u8>> {
    let mut stream = BytesMut::new();
    let request = m::EncryptRequest { key_id: vec![7; 16], plaintext: vec![1; 40], encryption_context: vec![0; 4] };
    let written = put_request(&mut stream, Command::Encrypt, 1, 250, &request)
        .and_then(|()| {
            put_response(&mut stream, 0x0501, 1, ReturnCode::Success, &m::EncryptReply { blob: vec![3; 90] })
        })
        .and_then(|()| put_response(&mut stream, 0xffff, 2, ReturnCode::UnknownCommand, &()));
    let large = FrameHeader { body_length: u32::MAX, kind: FrameKind::Request, command: 1, request_id: 1, word: 0 };
    let whole = written.map(|()| stream.to_vec()).unwrap_or_default();
    [0, 5, 20, 60, 255]
        .into_iter()
        .map(|cut| [&[cut], &whole[..]].concat())
        .chain([[&[0], &large.encode()[..]].concat()])
        .collect()
}

/// One body for each command.
#[must_use]
pub fn inner_command_seeds() -> Vec<Vec<u8>> {
    let record =
        m::KeyRecord { key_id: vec![1; 16], handle: 7, label: "arn".to_owned(), enabled: true, ..Default::default() };
    let bodies = [
        m::FindKeysReply { keys: vec![record.clone(), record], truncated: true }.encode_to_vec(),
        m::LoginRequest { user: "kmsuser".to_owned(), password: "x".to_owned(), outer_exporter: vec![9; 32] }
            .encode_to_vec(),
    ];
    let commands = (0..=u8::MAX).take(Command::ALL.len());
    commands.flat_map(|choice| bodies.iter().map(move |body| [&[choice], &body[..]].concat())).collect()
}

#[cfg(test)]
#[path = "../../../e2e/fuzz/src/replay.rs"]
mod replay;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fuzzing_began_with_and_found_holds() {
        replay::replay("frame", &frame_seeds(), frame);
        replay::replay("inner_command", &inner_command_seeds(), inner_command);
    }
}
