//! One part of a good signed request changed at a time, by generators: each mutant is refused with AWS's error, and
//! nothing is asked, done or changed for it (INV-66, T-06).
//!
//! Every generator starts from a request that was accepted a moment before: a mutant is refused for its change alone.

mod authorization;
mod message;

use std::sync::atomic::Ordering;

use http::{HeaderName, HeaderValue, Method, Uri};

use super::bench::*;
use crate::error::ErrorCode;
use crate::{WholeRequest, Wiped};

/// Changes of one kind to a good request.
type Generator = (&'static str, fn(&Good) -> Vec<Mutant>);

/// A request that differs from a good one in one part, and the error that it must get.
struct Mutant {
    what: String,
    request: WholeRequest,
    expected: ErrorCode,
}

/// A good request and ways to change a copy of it.
struct Good(WholeRequest);

impl Good {
    fn copy(&self) -> WholeRequest {
        let WholeRequest { parts, body, peer, received_at } = &self.0;
        let (parts, body) = (parts.clone(), Wiped::from(body.to_vec()));
        WholeRequest { parts, body, peer: *peer, received_at: *received_at }
    }

    fn mutant(&self, what: impl Into<String>, expected: ErrorCode, change: impl FnOnce(&mut WholeRequest)) -> Mutant {
        let mut request = self.copy();
        change(&mut request);
        Mutant { what: what.into(), request, expected }
    }

    fn header(&self, name: &str) -> &str {
        self.0.parts.headers.get(name).unwrap().to_str().unwrap()
    }

    fn with_header(&self, name: &str, value: &[u8], expected: ErrorCode) -> Mutant {
        let what = format!("{name}: {}", String::from_utf8_lossy(value));
        self.mutant(what, expected, |request| {
            let name: HeaderName = name.parse().unwrap();
            request.parts.headers.insert(name, HeaderValue::from_bytes(value).unwrap());
        })
    }

    /// A mutant for each header value.
    fn with_each<V: AsRef<str>>(
        &self,
        name: &str,
        expected: ErrorCode,
        values: impl IntoIterator<Item = V>,
    ) -> Vec<Mutant> {
        values.into_iter().map(|value| self.with_header(name, value.as_ref().as_bytes(), expected)).collect()
    }

    fn with_uri(&self, uri: &str, expected: ErrorCode) -> Mutant {
        self.mutant(uri, expected, |request| request.parts.uri = uri.parse::<Uri>().unwrap())
    }

    /// The text between `before` and the next of `after` in the `Authorization` header.
    fn member(&self, before: &str, after: char) -> &str {
        let rest = self.header("authorization").split_once(before).unwrap().1;
        rest.split(after).next().unwrap()
    }

    fn signed_headers(&self) -> Vec<&str> {
        self.member("SignedHeaders=", ',').split(';').collect()
    }

    /// A mutant whose `Authorization` has `to` where the good one has `from`.
    fn authorization(&self, from: &str, to: &str, expected: ErrorCode) -> Mutant {
        let header = self.header("authorization");
        assert!(header.contains(from), "{from} is not in {header}");
        self.with_header("authorization", header.replacen(from, to, 1).as_bytes(), expected)
    }
}

/// Every text that differs from `text` in one character, which stays of its kind.
fn rotations(text: &str) -> Vec<String> {
    let rotated = |byte: u8| match byte {
        b'9' => b'0',
        b'Z' => b'A',
        b'z' => b'a',
        b'0'..=b'8' | b'A'..=b'Y' | b'a'..=b'y' => byte + 1,
        _ => b'x',
    };
    let each = |position: usize| {
        let mut bytes = text.as_bytes().to_vec();
        bytes[position] = rotated(bytes[position]);
        String::from_utf8(bytes).unwrap()
    };
    (0..text.len()).map(each).collect()
}

/// The requests that are mutated: cryptography, a change, and the other protocol.
fn bases(client: &Client) -> [(&'static str, Good); 3] {
    let json = |operation: &str, body: serde_json::Value| {
        let target = format!("TrentService.{operation}");
        let headers = [("content-type", "application/x-amz-json-1.1"), ("x-amz-target", target.as_str())];
        Good(client.signed("kms", &headers, body.to_string().as_bytes()))
    };
    let form = [("content-type", "application/x-www-form-urlencoded")];
    [
        ("Encrypt", json("Encrypt", serde_json::json!({"KeyId": "alias/quickstart", "Plaintext": "aGk="}))),
        ("Disconnect", json("DisconnectCustomKeyStore", serde_json::json!({"CustomKeyStoreId": STORE_A}))),
        ("STS", Good(client.signed("sts", &form, b"Action=GetCallerIdentity&Version=2011-06-15"))),
    ]
}

/// What has been done for anybody: HSM calls, writes, questions to RBAC.
fn done(bench: &Bench) -> (usize, usize, usize) {
    (bench.hsms.calls.load(Ordering::SeqCst), bench.kube.written().len(), bench.rbac.asked.lock().unwrap().len())
}

/// Sends a good request, which must be served, and then its mutants, which must not; returns how many there were.
async fn judge(generator: &Generator, base: usize) -> usize {
    let bench = Bench::new();
    let (name, good) = bases(&bench.a).into_iter().nth(base).unwrap();
    assert_eq!(bench.a.send(good.copy()).await.status, 200, "the control of '{}' on {name}", generator.0);
    let (before, mutants) = (done(&bench), generator.1(&good));
    let count = mutants.len();
    for Mutant { what, request, expected } in mutants {
        let answer = bench.a.send(request).await;
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        let what = format!("{name}, {}: {what}: {text}", generator.0);
        assert!(answer.status.is_client_error(), "{what}");
        let record = bench.records().pop().unwrap();
        assert_eq!(record["errorCode"], expected.name(), "{what}");
        assert!(text.contains(expected.name()) || text.contains("<ErrorResponse"), "{what}");
        assert_eq!(done(&bench), before, "{what}");
    }
    count
}

#[tokio::test]
async fn every_mutant_of_a_good_request_is_refused_with_the_right_error_and_nothing_is_done() {
    let mut count = 0;
    for base in 0..3 {
        for generator in message::GENERATORS.iter().chain(authorization::GENERATORS) {
            let made = judge(generator, base).await;
            assert!(made > 0, "'{}' made nothing", generator.0);
            count += made;
        }
    }
    assert!(count >= 1_200, "{count} mutants");
}

/// What may differ without changing the meaning is accepted: the verifier is strict, not brittle.
#[tokio::test]
async fn what_the_canonical_form_folds_is_not_a_mutation() {
    let bench = Bench::new();
    let (_, good) = bases(&bench.a).into_iter().next().unwrap();
    let (kind, authorization) = (good.header("content-type"), good.header("authorization"));
    let same = ErrorCode::InvalidSignature;
    let table = [
        good.with_header("content-type", format!("  {kind} ").as_bytes(), same),
        good.with_header("authorization", authorization.replace(", ", ",").as_bytes(), same),
        good.with_header("user-agent", b"another", same),
        good.with_header("date", b"Thu, 01 Jan 1970 00:00:00 GMT", same),
        good.mutant("a new unsigned header", same, |request| {
            request.parts.headers.insert("x-forwarded-for", HeaderValue::from_static("192.0.2.1"));
        }),
        good.mutant("HTTP/2's authority", same, |request| request.parts.uri = "https://kms.test/".parse().unwrap()),
        good.mutant("the same method", same, |request| request.parts.method = Method::POST),
    ];
    for Mutant { what, request, .. } in table {
        assert_eq!(bench.a.send(request).await.status, 200, "{what}");
    }
}
