//! AWS's own signing vectors, all 38 (awslabs/aws-c-auth, tests/aws-signing-test-suite/v4, Apache-2.0; access key and
//! secret are AWS's documented examples).
//!
//! The endpoint serves one path without a query, so 25 of them never get as far as a signature: those are computed one
//! layer below, with the canonical path and query that the suite publishes, and must be refused by [`verify`].

use std::collections::BTreeMap;

use aws_lc_rs::hmac;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;

use super::super::canonical::{CanonicalTarget, ROOT, write_request};
use super::super::oracle::Keys;
use super::super::*;

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const ACCESS_KEY_ID: &str = "AKIDEXAMPLE";
const DATE: &str = "20150830T123600Z";

#[derive(Deserialize)]
struct Vector {
    name: String,
    method: String,
    /// As sent.
    target: String,
    /// As sent, `Authorization` left out; a value may be folded over several lines.
    headers: Vec<(String, String)>,
    body: String,
    canonical_path: String,
    canonical_query: String,
    signed_headers: String,
    canonical_request_sha256: String,
    signature: String,
}

fn vectors() -> Vec<Vector> {
    serde_json::from_str(include_str!("vectors.json")).unwrap()
}

impl Vector {
    /// One value per name: lines unfolded (RFC 9112 section 5.2), repetitions joined (RFC 9110 section 5.3). The endpoint
    /// itself takes neither; see [`what_this_endpoint_cannot_serve_is_refused_before_its_signature_is_looked_at`].
    fn joined_headers(&self) -> HeaderMap {
        let mut joined: BTreeMap<String, String> = BTreeMap::new();
        for (name, value) in &self.headers {
            let value = value.replace('\n', " ");
            joined.entry(name.to_lowercase()).and_modify(|all| *all += &format!(",{value}")).or_insert(value);
        }
        joined.iter().map(|(name, value)| (name.parse().unwrap(), value.parse::<HeaderValue>().unwrap())).collect()
    }

    /// Every header line as it was sent, with the `Authorization` that goes with it.
    fn sent_headers(&self) -> HeaderMap {
        let mut sent = HeaderMap::new();
        for (name, value) in &self.headers {
            sent.append(name.parse::<HeaderName>().unwrap(), value.replace('\n', " ").trim().parse().unwrap());
        }
        sent.insert("authorization", self.authorization("service").parse().unwrap());
        sent
    }

    fn authorization(&self, service: &str) -> String {
        let Self { signed_headers, signature, .. } = self;
        format!(
            "{ALGORITHM} Credential={ACCESS_KEY_ID}/20150830/us-east-1/{service}/aws4_request, \
             SignedHeaders={signed_headers}, Signature={signature}"
        )
    }

    fn method(&self) -> Method {
        self.method.parse().unwrap()
    }

    /// Whether the request could be served by an endpoint that has one path, no query and no repeated header.
    fn is_servable(&self) -> bool {
        let mut names: Vec<_> = self.headers.iter().map(|(name, _)| name.to_lowercase()).collect();
        names.sort();
        names.dedup();
        self.target == "/" && names.len() == self.headers.len()
    }
}

#[test]
fn all_38_published_signatures_are_computed_from_the_published_requests() {
    let secret = SecretAccessKey::new(zeroize::Zeroizing::new(SECRET.to_owned()));
    let credential = Credential::new(ACCESS_KEY_ID.into(), secret, super::super::oracle::user());
    // The vectors are signed for a service named "service", which no endpoint of ours has: only the key differs.
    let key = credential.derive_for("20150830", "us-east-1", "service");
    let vectors = vectors();
    for vector in &vectors {
        let (header, headers, method) = (vector.authorization("service"), vector.joined_headers(), vector.method());
        let authorization = Authorization::parse(&header).unwrap();
        let body = vector.body.as_bytes();
        let received =
            ReceivedRequest { method: &method, path: "/", query: None, authority: None, headers: &headers, body };
        let target = CanonicalTarget { path: &vector.canonical_path, query: &vector.canonical_query };
        let hash = digest::digest(&digest::SHA256, body);

        let mut canonical = digest::Context::new(&digest::SHA256);
        let mut write = |part: &[u8]| canonical.update(part);
        write_request(received, target, authorization.signed_headers, hash.as_ref(), &mut write).unwrap();
        assert_eq!(hex::encode(canonical.finish()), vector.canonical_request_sha256, "{}", vector.name);

        let text = string_to_sign(received, target, &authorization, DATE, hash.as_ref()).unwrap();
        let tag = hmac::sign(&key, &text);
        assert_eq!(hex::encode(tag.as_ref()), vector.signature, "{}", vector.name);
        assert_eq!(authorization.signature, tag.as_ref(), "{}", vector.name);
    }
    assert_eq!(vectors.len(), 38, "the whole suite");
}

#[test]
fn a_vector_with_one_path_and_no_query_has_the_target_that_the_verifier_always_uses() {
    let servable: Vec<_> = vectors().into_iter().filter(Vector::is_servable).collect();
    assert!(servable.len() >= 12, "{}", servable.len());
    for vector in servable {
        assert_eq!((vector.canonical_path.as_str(), vector.canonical_query.as_str()), (ROOT.path, ROOT.query));
    }
}

/// INV-66: no path but `/`, no query, no repetition, no session token, none of them believed for being well signed.
#[test]
fn what_this_endpoint_cannot_serve_is_refused_before_its_signature_is_looked_at() {
    let keys = Keys::with(ACCESS_KEY_ID, SECRET);
    let now: Timestamp = "2015-08-30T12:36:00Z".parse().unwrap();
    for vector in vectors() {
        let (method, mut headers) = (vector.method(), vector.sent_headers());
        let (path, query) = vector.target.split_once('?').map_or((&*vector.target, None), |(p, q)| (p, Some(q)));
        let refused = |headers: &HeaderMap| {
            let body = vector.body.as_bytes();
            let received = ReceivedRequest { method: &method, path, query, authority: None, headers, body };
            verify(received, "us-east-1", &keys, now).map(drop).unwrap_err()
        };
        assert_eq!(refused(&headers), Refusal::ScopeService, "{}: 'service' is no service of ours", vector.name);
        headers.insert("authorization", vector.authorization("kms").parse().unwrap());
        let repeated = headers.get_all("my-header1").iter().count() > 1;
        let expected = match (path, query) {
            (_, Some(_)) => Refusal::QueryNotAllowed,
            ("/", None) if headers.contains_key("x-amz-security-token") => Refusal::UnexpectedSessionToken,
            ("/", None) if repeated => Refusal::DuplicateHeader,
            // Signed for "service", so the signature of the scope that we put in is another one.
            ("/", None) => Refusal::SignatureMismatch,
            (_, None) => Refusal::PathNotAllowed,
        };
        assert_eq!(refused(&headers), expected, "{}", vector.name);
    }
}
