//! Hostile HTTP/2, frame by frame (reliability §4.8): pseudo-headers and hop-by-hop fields that a proxy could turn into
//! another request. Only the request that was signed is executed.

use std::sync::atomic::Ordering;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Types of frames (RFC 9113 section 6).
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;

type Fields = Vec<(String, String)>;

/// A signed Encrypt as HTTP/2 fields, and its body.
fn signed(bench: &Bench) -> (Fields, Vec<u8>) {
    let body = json!({"KeyId": "alias/quickstart", "Plaintext": "aGk="}).to_string();
    let headers = [("content-type", "application/x-amz-json-1.1"), ("x-amz-target", "TrentService.Encrypt")];
    let signed = bench.a.signed("kms", &headers, body.as_bytes());
    let pseudo = [(":method", "POST"), (":scheme", "https"), (":authority", "kms.test"), (":path", "/")];
    let pseudo = pseudo.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let headers = signed.parts.headers.iter().filter(|(name, _)| *name != "host");
    let headers = headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()));
    (pseudo.into_iter().chain(headers).collect(), body.into_bytes())
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Every field as a literal without indexing and without Huffman coding (RFC 7541 section 6.2.2).
fn encode(fields: &Fields) -> Vec<u8> {
    let text = |text: &str| match u8::try_from(text.len()) {
        Ok(short @ 0..127) => [&[short], text.as_bytes()].concat(),
        _ => {
            let rest = text.len() - 127;
            let [low, high] = [rest % 128, rest / 128].map(|part| u8::try_from(part).unwrap());
            assert!(high < 128, "a longer number needs another byte");
            [&[127, 0x80 | low, high], text.as_bytes()].concat()
        }
    };
    fields.iter().flat_map(|(name, value)| [vec![0], text(name), text(value)].concat()).collect()
}

/// What the server said to stream 1.
#[derive(Debug, PartialEq)]
enum Said {
    Status(u16),
    Reset,
    Closed,
}

async fn exchange(serving: &Serving, trusted: &str, fields: &Fields, body: &[u8]) -> Said {
    let mut stream = serving.handshake(trusted).await.unwrap();
    let request =
        [PREFACE.to_vec(), frame(SETTINGS, 0, 0, &[]), frame(HEADERS, 4, 1, &encode(fields)), frame(DATA, 1, 1, body)];
    stream.write_all(&request.concat()).await.unwrap();
    stream.flush().await.unwrap();
    loop {
        let mut head = [0; 9];
        if stream.read_exact(&mut head).await.is_err() {
            return Said::Closed;
        }
        let mut payload = vec![0; usize::from(head[1]) << 8 | usize::from(head[2])];
        stream.read_exact(&mut payload).await.unwrap();
        match (head[3], head[8]) {
            (HEADERS, 1) => return Said::Status(status(&payload)),
            (RST_STREAM, 1) => return Said::Reset,
            (GOAWAY, _) => return Said::Closed,
            _ => {}
        }
    }
}

/// The status is the first field, and hyper's encoder uses the static table where it can (RFC 7541 appendix A).
fn status(block: &[u8]) -> u16 {
    match block {
        [0x88, ..] => 200,
        [0x8c, ..] => 400,
        // A size update of the table may come first.
        [first, rest @ ..] if first & 0xe0 == 0x20 => status(rest),
        [..] => 0,
    }
}

type Spoil = fn(&mut Fields);

fn set(fields: &mut Fields, name: &str, value: &str) {
    fields.iter_mut().find(|field| field.0 == name).unwrap().1 = value.to_owned();
}

fn add(fields: &mut Fields, name: &str, value: &str) {
    fields.push((name.to_owned(), value.to_owned()));
}

fn first(fields: &mut Fields, name: &str, value: &str) {
    fields.insert(0, (name.to_owned(), value.to_owned()));
}

fn remove(fields: &mut Fields, name: &str) {
    fields.retain(|field| field.0 != name);
}

const CASES: &[(&str, Spoil, Said)] = &[
    ("two paths", |f| first(f, ":path", "/x"), Said::Reset),
    ("two methods", |f| first(f, ":method", "GET"), Said::Reset),
    ("two authorities", |f| first(f, ":authority", "other.test"), Said::Reset),
    ("a pseudo-header after the others", |f| add(f, ":path", "/"), Said::Reset),
    ("an unknown pseudo-header", |f| first(f, ":target", "TrentService.Decrypt"), Said::Closed),
    ("a status", |f| first(f, ":status", "200"), Said::Reset),
    ("no method", |f| remove(f, ":method"), Said::Reset),
    ("no path", |f| remove(f, ":path"), Said::Reset),
    ("an empty path", |f| set(f, ":path", ""), Said::Reset),
    ("a name in capitals", |f| add(f, "X-Amz-Target", "TrentService.Decrypt"), Said::Closed),
    ("connection", |f| add(f, "connection", "close"), Said::Reset),
    ("transfer-encoding", |f| add(f, "transfer-encoding", "chunked"), Said::Reset),
    ("upgrade", |f| add(f, "upgrade", "h2c"), Said::Reset),
    ("te", |f| add(f, "te", "gzip"), Said::Reset),
    ("a length that is too short", |f| add(f, "content-length", "3"), Said::Reset),
    ("a length that is too long", |f| add(f, "content-length", "5000"), Said::Reset),
    ("a line end in a value", |f| add(f, "x-note", "a\r\nx-amz-target: TrentService.Decrypt"), Said::Closed),
    ("a line end in a name", |f| add(f, "x-note\r\nx", "a"), Said::Closed),
    ("a line end in the path", |f| set(f, ":path", "/ HTTP/1.1\r\nhost: x"), Said::Reset),
    ("a host that contradicts the authority", |f| add(f, "host", "other.test"), Said::Status(400)),
    (
        "two hosts",
        |f| {
            add(f, "host", "kms.test");
            add(f, "host", "other.test");
        },
        Said::Status(400),
    ),
    ("no authority", |f| remove(f, ":authority"), Said::Status(400)),
    ("another authority", |f| set(f, ":authority", "other.test"), Said::Status(400)),
    ("another path", |f| set(f, ":path", "/x"), Said::Status(400)),
    ("a query", |f| set(f, ":path", "/?x"), Said::Status(400)),
    ("another method", |f| set(f, ":method", "PUT"), Said::Status(400)),
    ("the target twice", |f| add(f, "x-amz-target", "TrentService.Encrypt"), Said::Status(400)),
    ("CONNECT", |f| set(f, ":method", "CONNECT"), Said::Reset),
];

#[tokio::test]
async fn hostile_http2_is_refused_and_nothing_is_executed() {
    let issued = issue();
    let serving = Serving::start(&issued).await;
    let executed = || serving.bench.hsms.calls.load(Ordering::SeqCst);
    let mut wrong = Vec::new();
    for (what, spoil, expected) in CASES {
        let (mut fields, body) = signed(&serving.bench);
        spoil(&mut fields);
        let said = exchange(&serving, &issued.authority, &fields, &body).await;
        if said != *expected || executed() > 0 {
            wrong.push(format!("{what}: {said:?}, {} executed", executed()));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    let (fields, body) = signed(&serving.bench);
    assert_eq!(exchange(&serving, &issued.authority, &fields, &body).await, Said::Status(200), "the control");
    assert_eq!(executed(), 1);
}
