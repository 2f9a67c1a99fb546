//! The table of hostile messages.

use super::Message;

/// One case: how the signed message is spoilt, the status of every answer on the connection, and how many of its
/// operations were executed. Only what a signature covers can be: at most the message itself.
pub(super) struct Case {
    pub(super) what: &'static str,
    pub(super) bytes: fn(Message) -> Vec<u8>,
    pub(super) answers: &'static [u16],
    pub(super) executed: usize,
}

const fn refused(what: &'static str, bytes: fn(Message) -> Vec<u8>) -> Case {
    Case { what, bytes, answers: &[400], executed: 0 }
}

/// Refused by us, after which the connection goes on.
const fn denied(what: &'static str, bytes: fn(Message) -> Vec<u8>) -> Case {
    Case { what, bytes, answers: &[400, 400], executed: 0 }
}

/// Served as signed: the hostile part has no meaning here.
const fn ignored(what: &'static str, bytes: fn(Message) -> Vec<u8>) -> Case {
    Case { what, bytes, answers: &[200, 400], executed: 1 }
}

/// Served as signed, and the connection is closed at once (RFC 9112 section 6.1).
const fn closed(what: &'static str, bytes: fn(Message) -> Vec<u8>) -> Case {
    Case { what, bytes, answers: &[200], executed: 1 }
}

/// Another signed request inside of a body or behind a message.
fn then(first: &Message, second: &Message) -> Vec<u8> {
    [first.bytes(), second.bytes()].concat()
}

pub(super) const CASES: &[Case] = &[
    // Two lengths: the chunks are the message, and nothing behind it is read.
    closed("length, then chunks", |m| {
        m.clone().chunked().with_first("content-length: 3").with("transfer-encoding: chunked").bytes()
    }),
    closed("chunks, then length", |m| {
        m.clone().chunked().with("transfer-encoding: chunked").with("content-length: 3").bytes()
    }),
    closed("length 0 and chunks with a request behind them", |m| {
        then(&m.clone().chunked().with("content-length: 0").with("transfer-encoding: chunked"), &m)
    }),
    refused("a length that covers a request inside of the chunks", |m| {
        let inner = m.bytes();
        let m = m.body(inner).chunked();
        let length = format!("content-length: {}", m.body.len());
        m.with(&length).with("transfer-encoding: chunked").bytes()
    }),
    refused("identity", |m| m.with("transfer-encoding: identity").bytes()),
    refused("chunked, identity", |m| m.chunked().with("transfer-encoding: chunked, identity").bytes()),
    refused("an unknown coding", |m| m.chunked().with("transfer-encoding: xchunked").bytes()),
    refused("an empty coding", |m| m.chunked().with("transfer-encoding:").bytes()),
    refused("chunked in quotes", |m| m.chunked().with("transfer-encoding: \"chunked\"").bytes()),
    refused("a vertical tab before chunked", |m| m.chunked().with("transfer-encoding: \u{b}chunked").bytes()),
    refused("a space before the colon of transfer-encoding", |m| {
        m.chunked().with("transfer-encoding : chunked").bytes()
    }),
    refused("transfer-encoding folded over two lines", |m| m.chunked().with("transfer-encoding:\r\n chunked").bytes()),
    refused("chunks in HTTP/1.0", |m| m.chunked().line("POST / HTTP/1.0").with("transfer-encoding: chunked").bytes()),
    ignored("chunked in capitals", |m| m.chunked().with("Transfer-Encoding: CHUNKED").bytes()),
    ignored("chunked twice", |m| {
        m.chunked().with("transfer-encoding: chunked").with("transfer-encoding: chunked").bytes()
    }),
    denied("a header that is almost transfer-encoding", |m| {
        m.clone()
            .chunked()
            .with("transfer_encoding: chunked")
            .with(&format!("content-length: {}", m.clone().chunked().body.len()))
            .bytes()
    }),
    // One length, written in other ways.
    ignored("the same length twice", |m| {
        let line = format!("content-length: {}", m.body.len());
        m.with(&line).bytes()
    }),
    refused("two lengths", |m| m.with("content-length: 3").bytes()),
    refused("two lengths in one line", |m| m.length("51, 3").bytes()),
    refused("the length with a plus", |m| m.length("+51").bytes()),
    refused("a negative length", |m| m.length("-1").bytes()),
    refused("a hexadecimal length", |m| m.length("0x33").bytes()),
    refused("a length with an exponent", |m| m.length("5e1").bytes()),
    refused("a length with a space in it", |m| m.length("5 1").bytes()),
    refused("a length beyond 64 bits", |m| m.length("18446744073709551667").bytes()),
    refused("an empty length", |m| m.length("").bytes()),
    denied("a length that ends before the body", |m| m.length("3").bytes()),
    // Chunks.
    ignored("a chunk extension", |m| {
        let body = [format!("{:x};a=b;c=\"d\"\r\n", m.body.len()).as_bytes(), &m.body, b"\r\n0\r\n\r\n"].concat();
        m.without("content-length").body(body).with("transfer-encoding: chunked").bytes()
    }),
    ignored("an operation in a trailer", |m| {
        let body = [
            format!("{:x}\r\n", m.body.len()).as_bytes(),
            &m.body,
            b"\r\n0\r\nx-amz-target: TrentService.Decrypt\r\n\r\n",
        ]
        .concat();
        m.without("content-length").body(body).with("transfer-encoding: chunked").with("trailer: x-amz-target").bytes()
    }),
    refused("a chunk size with 0x", |m| {
        m.body(b"0x3\r\n{ }\r\n0\r\n\r\n".to_vec()).without("content-length").with("transfer-encoding: chunked").bytes()
    }),
    refused("a negative chunk size", |m| {
        m.body(b"-3\r\n{ }\r\n0\r\n\r\n".to_vec()).without("content-length").with("transfer-encoding: chunked").bytes()
    }),
    refused("a chunk size beyond 64 bits", |m| {
        m.body(b"1000000000000000003\r\n{ }\r\n0\r\n\r\n".to_vec())
            .without("content-length")
            .with("transfer-encoding: chunked")
            .bytes()
    }),
    refused("a chunk that is longer than its size", |m| {
        m.body(b"2\r\n{ }\r\n0\r\n\r\n".to_vec()).without("content-length").with("transfer-encoding: chunked").bytes()
    }),
    refused("an empty chunk size", |m| {
        m.body(b"\r\n{ }\r\n0\r\n\r\n".to_vec()).without("content-length").with("transfer-encoding: chunked").bytes()
    }),
    refused("a bare line feed in a chunk extension", |m| {
        m.body(b"3;a\n{ }\r\n0\r\n\r\n".to_vec()).without("content-length").with("transfer-encoding: chunked").bytes()
    }),
    // Header lines.
    refused("a signed header folded over two lines", |m| {
        m.replace("x-amz-target", "x-amz-target: TrentService.\r\n Encrypt").bytes()
    }),
    refused("a folded first line", |m| m.with_first(" x: y").bytes()),
    refused("a bare carriage return in a value", |m| m.with("x-note: a\rx-amz-target: TrentService.Decrypt").bytes()),
    refused("a NUL in a value", |m| m.with("x-note: a\0b").bytes()),
    refused("a space in a name", |m| m.with("x note: a").bytes()),
    refused("a space before a colon", |m| m.replace("x-amz-target", "x-amz-target : TrentService.Encrypt").bytes()),
    refused("an empty name", |m| m.with(": a").bytes()),
    refused("a line without a colon", |m| m.with("x-note").bytes()),
    refused("a name beyond ASCII", |m| m.with("x-n\u{f6}te: a").bytes()),
    ignored("an underscore in place of a hyphen", |m| m.with("x_amz_target: TrentService.Decrypt").bytes()),
    denied("a name in another case", |m| m.with("X-AMZ-TARGET: TrentService.Decrypt").bytes()),
    ignored("line feeds alone", |m| Message { newline: "\n", ..m }.bytes()),
    Case {
        what: "a header beyond the limit",
        bytes: |m| m.with(&format!("x-note: {}", "a".repeat(17 * 1_024))).bytes(),
        answers: &[431],
        executed: 0,
    },
    Case {
        what: "too many headers",
        bytes: |m| (0..65).fold(m, |m, number| m.with(&format!("x-note-{number}: a"))).bytes(),
        answers: &[431],
        executed: 0,
    },
    Case { what: "a body beyond the limit", bytes: |m| m.length("10000000").bytes(), answers: &[413], executed: 0 },
    // The request line.
    ignored("the absolute form with our host", |m| m.line("POST https://kms.test/ HTTP/1.1").bytes()),
    denied("the absolute form with another host", |m| m.line("POST https://other.test/ HTTP/1.1").bytes()),
    denied("the absolute form with a user", |m| m.line("POST https://user@kms.test/ HTTP/1.1").bytes()),
    denied("the absolute form with another path", |m| m.line("POST https://kms.test/x HTTP/1.1").bytes()),
    denied("the authority form", |m| m.line("POST kms.test:443 HTTP/1.1").bytes()),
    denied("the asterisk form", |m| m.line("OPTIONS * HTTP/1.1").bytes()),
    refused("no version", |m| m.line("POST /").bytes()),
    refused("an unknown version", |m| m.line("POST / HTTP/1.2").bytes()),
    refused("two versions", |m| m.line("POST / HTTP/1.1 HTTP/1.1").bytes()),
    refused("the version in small letters", |m| m.line("POST / http/1.1").bytes()),
    refused("a tab in the line", |m| m.line("POST\t/ HTTP/1.1").bytes()),
    refused("a control character in the path", |m| m.line("POST /\u{1} HTTP/1.1").bytes()),
    denied("another path", |m| m.line("POST /%2e HTTP/1.1").bytes()),
    denied("a query", |m| m.line("POST /? HTTP/1.1").bytes()),
    denied("another method", |m| m.line("PUT / HTTP/1.1").bytes()),
    ignored("an empty line before the request", |m| [b"\r\n", &m.bytes()[..]].concat()),
    // Hosts.
    denied("two hosts", |m| m.with("host: kms.test").bytes()),
    denied("another host", |m| m.replace("host", "host: other.test").bytes()),
    denied("the host in capitals", |m| m.replace("host", "host: KMS.test").bytes()),
    denied("the host with a port", |m| m.replace("host", "host: kms.test:443").bytes()),
    denied("no host", |m| m.without("host").bytes()),
    ignored("a forwarded host", |m| m.with("x-forwarded-host: other.test").with("forwarded: host=other.test").bytes()),
    // Hop-by-hop and upgrades.
    ignored("an upgrade to HTTP/2 in the clear", |m| {
        m.with("connection: upgrade, http2-settings").with("upgrade: h2c").with("http2-settings: AAMAAABk").bytes()
    }),
    ignored("a signed header named as hop-by-hop", |m| m.with("connection: x-amz-target, authorization").bytes()),
    ignored("an override of the method", |m| m.with("x-http-method-override: DELETE").bytes()),
    ignored("an override of the path", |m| m.with("x-original-url: /admin").with("x-rewrite-url: /admin").bytes()),
    // Pipelines.
    Case { what: "two signed requests", bytes: |m| then(&m.clone(), &m), answers: &[200, 200, 400], executed: 2 },
    Case {
        what: "a signed request behind an unsigned one",
        bytes: |m| then(&m.clone().without("authorization"), &m),
        answers: &[400, 200, 400],
        executed: 1,
    },
    denied("a signed request as the body of an unsigned one", |m| {
        let inner = m.bytes();
        m.without("authorization").length(&inner.len().to_string()).body(inner).bytes()
    }),
    denied("a signed request as the body of a signed one", |m| {
        let inner = m.bytes();
        m.length(&inner.len().to_string()).body(inner).bytes()
    }),
    refused("the preface of HTTP/2 behind a request", |m| {
        [
            &m.without("authorization").without("content-length").body(vec![]).bytes()[..],
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        ]
        .concat()
    }),
];
