//! Hostile HTTP/1.1 over a real TLS socket, byte by byte (reliability §4.8): what two parsers could read in two ways is
//! read in the one way that the signature covers, or not at all, and whatever follows it is never executed.
//!
//! After each case the connection gets one more request, unsigned and with `Connection: close`. Its 400 at the end of
//! the answers shows that both sides still agree where a message ends; its absence, that the connection was given up.

mod cases;

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::*;

/// Longest time for a case, far below the limits that the server sets for slow clients.
const PATIENCE: Duration = Duration::from_secs(15);
/// The request after each case.
const END: &[u8] = b"GET /end HTTP/1.1\r\nHost: kms.test\r\nConnection: close\r\n\r\n";

/// A signed Encrypt in pieces.
#[derive(Clone)]
struct Message {
    line: String,
    headers: Vec<String>,
    body: Vec<u8>,
    newline: &'static str,
}

impl Message {
    fn signed(bench: &Bench) -> Self {
        let body = json!({"KeyId": "alias/quickstart", "Plaintext": "aGk="}).to_string();
        let headers = [("content-type", "application/x-amz-json-1.1"), ("x-amz-target", "TrentService.Encrypt")];
        let signed = bench.a.signed("kms", &headers, body.as_bytes());
        let lines = signed.parts.headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()));
        let mut headers: Vec<String> = lines.collect();
        headers.push(format!("content-length: {}", body.len()));
        Self { line: "POST / HTTP/1.1".to_owned(), headers, body: body.into_bytes(), newline: "\r\n" }
    }

    /// With one more header line at the end.
    fn with(mut self, line: &str) -> Self {
        self.headers.push(line.to_owned());
        self
    }

    /// With a header line at the front.
    fn with_first(mut self, line: &str) -> Self {
        self.headers.insert(0, line.to_owned());
        self
    }

    /// With other text in place of the header `name`.
    fn replace(mut self, name: &str, line: &str) -> Self {
        let prefix = format!("{name}:");
        let found = self.headers.iter_mut().find(|header| header.starts_with(&prefix));
        *found.unwrap_or_else(|| panic!("there is no {name}")) = line.to_owned();
        self
    }

    fn without(mut self, name: &str) -> Self {
        self.headers.retain(|header| !header.starts_with(&format!("{name}:")));
        self
    }

    fn line(mut self, line: &str) -> Self {
        self.line = line.to_owned();
        self
    }

    fn body(mut self, body: Vec<u8>) -> Self {
        self.body = body;
        self
    }

    /// The body in one chunk, and no length.
    fn chunked(self) -> Self {
        let body = [format!("{:x}\r\n", self.body.len()).as_bytes(), &self.body, b"\r\n0\r\n\r\n"].concat();
        self.without("content-length").body(body)
    }

    fn length(self, value: &str) -> Self {
        self.replace("content-length", &format!("content-length: {value}"))
    }

    fn bytes(&self) -> Vec<u8> {
        let Self { line, headers, body, newline } = self;
        let head: String = [line].into_iter().chain(headers).map(|line| format!("{line}{newline}")).collect();
        [head.as_bytes(), newline.as_bytes(), body].concat()
    }
}

/// Sends bytes and the closing request; returns the status of every answer.
async fn answers(serving: &Serving, trusted: &str, bytes: &[u8]) -> Vec<u16> {
    let mut stream = serving.handshake(trusted).await.unwrap();
    // The server may close while we write: what it has answered by then is what counts.
    let _ = stream.write_all(&[bytes, END].concat()).await;
    let _ = stream.flush().await;
    let mut received = Vec::new();
    let _ = timeout(PATIENCE, stream.read_to_end(&mut received)).await.expect("the connection ends");
    let text = String::from_utf8_lossy(&received).into_owned();
    let statuses = text.match_indices("HTTP/1.").map(|(at, _)| text[at + 9..at + 12].parse().unwrap());
    statuses.collect()
}

#[tokio::test]
async fn hostile_framing_is_read_as_signed_or_not_at_all_and_nothing_behind_it_is_executed() {
    let issued = issue();
    let serving = Serving::start(&issued).await;
    let executed = || serving.bench.hsms.calls.load(Ordering::SeqCst);
    let mut wrong = Vec::new();
    for case in cases::CASES {
        let before = executed();
        let answered = answers(&serving, &issued.authority, &(case.bytes)(Message::signed(&serving.bench))).await;
        let done = executed() - before;
        if answered != case.answers || done != case.executed {
            wrong.push(format!("{}: {answered:?}, {done} executed", case.what));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    assert!(cases::CASES.len() >= 60);
    let good = Message::signed(&serving.bench).bytes();
    assert_eq!(answers(&serving, &issued.authority, &good).await, [200, 400], "and a good client is served");
}

/// Its request is executed, so it has an answer and a record like any other (INV-69).
#[tokio::test]
async fn a_client_that_closes_its_side_behind_its_request_is_answered() {
    let issued = issue();
    let serving = Serving::start(&issued).await;
    let mut stream = serving.handshake(&issued.authority).await.unwrap();
    stream.write_all(&Message::signed(&serving.bench).bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut received = Vec::new();
    // The end of the connection may be rough; what was answered by then is what counts.
    let _ = timeout(PATIENCE, stream.read_to_end(&mut received)).await.expect("the connection ends");
    let text = String::from_utf8_lossy(&received);
    assert!(text.starts_with("HTTP/1.1 200"), "{text}");
    assert_eq!(serving.bench.records().len(), 1);
}
