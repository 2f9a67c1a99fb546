//! Frame header and framing: 20 bytes, big-endian, then the body.
//!
//! ```text
//! 0        4       5     6         8            16      20
//! | length | vers. | kind| command | request id | word  | body ...
//! ```
//! `word` is the deadline in milliseconds (0 = none) in a request and the return code in a response.
//! Security: the length is checked against [`crate::limits::MAX_BODY`] before anything is allocated.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::command::Command;
use crate::limits::MAX_BODY;
use crate::return_code::ReturnCode;

/// Length of the header, bytes.
pub const HEADER_LENGTH: usize = 20;
/// The only version there is.
pub const VERSION: u8 = 1;

/// Why bytes are not a frame. After any of these the connection has to be closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The body exceeds [`MAX_BODY`].
    #[error("failed to read a frame: body of {0} bytes is over the limit")]
    TooLarge(u32),
    /// Another protocol version.
    #[error("failed to read a frame: unknown version {0}")]
    UnknownVersion(u8),
    /// Neither request nor response.
    #[error("failed to read a frame: unknown kind {0}")]
    UnknownKind(u8),
}

/// Direction of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameKind {
    /// Client to HSM.
    Request,
    /// HSM to client.
    Response,
}

/// The fixed header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameHeader {
    /// Body length, bytes.
    pub body_length: u32,
    /// Direction.
    pub kind: FrameKind,
    /// Raw command number, so that an unknown one can be answered.
    pub command: u16,
    /// Chosen by the client; copied into the response.
    pub request_id: u64,
    /// Deadline in milliseconds, or return code.
    pub word: u32,
}

impl FrameHeader {
    /// Reads a header.
    ///
    /// # Errors
    /// [`FrameError`] if length, version or kind is not allowed.
    pub fn decode(bytes: &[u8; HEADER_LENGTH]) -> Result<Self, FrameError> {
        let mut rest = &bytes[..];
        let body_length = rest.get_u32();
        if body_length as usize > MAX_BODY {
            return Err(FrameError::TooLarge(body_length));
        }
        let version = rest.get_u8();
        if version != VERSION {
            return Err(FrameError::UnknownVersion(version));
        }
        let kind = match rest.get_u8() {
            0 => FrameKind::Request,
            1 => FrameKind::Response,
            other => return Err(FrameError::UnknownKind(other)),
        };
        Ok(Self { body_length, kind, command: rest.get_u16(), request_id: rest.get_u64(), word: rest.get_u32() })
    }

    /// Writes the header.
    #[must_use]
    pub fn encode(&self) -> [u8; HEADER_LENGTH] {
        let mut bytes = [0; HEADER_LENGTH];
        let mut rest = &mut bytes[..];
        rest.put_u32(self.body_length);
        rest.put_u8(VERSION);
        rest.put_u8(match self.kind {
            FrameKind::Request => 0,
            FrameKind::Response => 1,
        });
        rest.put_u16(self.command);
        rest.put_u64(self.request_id);
        rest.put_u32(self.word);
        bytes
    }
}

/// A header and its body.
#[derive(Clone, PartialEq, Eq)]
pub struct Frame {
    /// The header.
    pub header: FrameHeader,
    /// The encoded message. May hold secrets: no `Debug`.
    pub body: Bytes,
}

/// The complete frame at the front of `bytes`, its body in place; `None` if more bytes are needed.
///
/// # Errors
/// [`FrameError`] as soon as the header is complete and not allowed.
pub fn first_frame(bytes: &[u8]) -> Result<Option<(FrameHeader, &[u8])>, FrameError> {
    let Some((header, rest)) = bytes.split_first_chunk::<HEADER_LENGTH>() else {
        return Ok(None);
    };
    let header = FrameHeader::decode(header)?;
    Ok(rest.get(..header.body_length as usize).map(|body| (header, body)))
}

/// Takes one complete frame from the front of `buffer`; `None` if more bytes are needed.
///
/// # Errors
/// As [`first_frame`]; the buffer is then left as it is.
pub fn take_frame(buffer: &mut BytesMut) -> Result<Option<Frame>, FrameError> {
    let Some((header, _)) = first_frame(buffer)? else {
        return Ok(None);
    };
    buffer.advance(HEADER_LENGTH);
    Ok(Some(Frame { header, body: buffer.split_to(header.body_length as usize).freeze() }))
}

/// What can be the body of a frame.
pub trait Body {
    /// Its length, bytes.
    fn encoded_len(&self) -> usize;

    /// Appends it.
    fn append_to(&self, buffer: &mut BytesMut);
}

impl<M: prost::Message> Body for M {
    fn encoded_len(&self) -> usize {
        prost::Message::encoded_len(self)
    }

    fn append_to(&self, buffer: &mut BytesMut) {
        self.encode_raw(buffer);
    }
}

/// Appends a request.
///
/// # Errors
/// [`FrameError::TooLarge`] if the message exceeds [`MAX_BODY`]; `buffer` is then unchanged.
pub fn put_request<M: Body>(
    buffer: &mut BytesMut,
    command: Command,
    request_id: u64,
    deadline_ms: u32,
    message: &M,
) -> Result<(), FrameError> {
    put(buffer, FrameKind::Request, command as u16, request_id, deadline_ms, message)
}

/// Appends a response. `command` is raw: an unknown one is answered under its own number.
///
/// # Errors
/// [`FrameError::TooLarge`] if the message exceeds [`MAX_BODY`]; `buffer` is then unchanged.
pub fn put_response<M: Body>(
    buffer: &mut BytesMut,
    command: u16,
    request_id: u64,
    code: ReturnCode,
    message: &M,
) -> Result<(), FrameError> {
    put(buffer, FrameKind::Response, command, request_id, code as u32, message)
}

fn put<M: Body>(
    buffer: &mut BytesMut,
    kind: FrameKind,
    command: u16,
    request_id: u64,
    word: u32,
    message: &M,
) -> Result<(), FrameError> {
    let length = message.encoded_len();
    let body_length = u32::try_from(length).map_err(|_| FrameError::TooLarge(u32::MAX))?;
    if length > MAX_BODY {
        return Err(FrameError::TooLarge(body_length));
    }
    buffer.reserve(HEADER_LENGTH + length);
    buffer.extend_from_slice(&FrameHeader { body_length, kind, command, request_id, word }.encode());
    message.append_to(buffer);
    Ok(())
}
