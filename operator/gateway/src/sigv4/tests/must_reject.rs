//! One row per clause of INV-66: the request that breaks it, and the refusal that it must get.

use http::HeaderValue;

use super::super::oracle::{ACCESS_KEY_ID, Keys, Plan, Sent, signed_at};
use super::super::*;

type Break = fn(&mut Sent);

/// Breaks that leave everything else of a well-signed request alone.
const TABLE: &[(&str, Break, Refusal)] = &[
    ("no authorization", |s| drop(s.headers.remove("authorization")), Refusal::MissingAuthentication),
    (
        "two authorizations",
        |s| {
            let copy = s.headers.get("authorization").cloned().unwrap();
            s.headers.append("authorization", copy);
        },
        Refusal::DuplicateHeader,
    ),
    ("empty authorization", |s| s.set("authorization", ""), Refusal::MalformedAuthorization),
    (
        "another algorithm",
        |s| s.replace_in_authorization("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256"),
        Refusal::UnsupportedAlgorithm,
    ),
    (
        "algorithm in lower case",
        |s| s.replace_in_authorization("AWS4-HMAC-SHA256", "aws4-hmac-sha256"),
        Refusal::UnsupportedAlgorithm,
    ),
    ("no credential", |s| s.replace_in_authorization("Credential=", "Cred="), Refusal::MalformedAuthorization),
    (
        "credential twice",
        |s| s.replace_in_authorization("Credential=", "Credential=a/b/c/d/aws4_request, Credential="),
        Refusal::MalformedAuthorization,
    ),
    (
        "signature twice",
        |s| s.replace_in_authorization("Signature=", "Signature=00, Signature="),
        Refusal::MalformedAuthorization,
    ),
    (
        "an unknown member",
        |s| s.replace_in_authorization("Signature=", "X=1, Signature="),
        Refusal::MalformedAuthorization,
    ),
    ("scope with four parts", |s| s.replace_in_authorization("/kms/aws4_request", "/kms"), Refusal::MalformedScope),
    (
        "scope with six parts",
        |s| s.replace_in_authorization("/aws4_request", "/aws4_request/x"),
        Refusal::MalformedScope,
    ),
    (
        "scope with another end",
        |s| s.replace_in_authorization("/aws4_request", "/aws4_requests"),
        Refusal::MalformedScope,
    ),
    ("empty access key id", |s| s.replace_in_authorization(ACCESS_KEY_ID, ""), Refusal::MalformedScope),
    (
        "over-long access key id",
        |s| s.replace_in_authorization(ACCESS_KEY_ID, &"A".repeat(129)),
        Refusal::MalformedScope,
    ),
    ("an unknown access key", |s| s.replace_in_authorization(ACCESS_KEY_ID, "AKIAUNKNOWN"), Refusal::UnknownAccessKey),
    (
        "truncated signature",
        |s| {
            let h = s.header("authorization").to_owned();
            s.set("authorization", &h[..h.len() - 1]);
        },
        Refusal::MalformedSignature,
    ),
    (
        "over-long signature",
        |s| {
            let h = s.header("authorization").to_owned() + "0";
            s.set("authorization", &h);
        },
        Refusal::MalformedSignature,
    ),
    (
        "upper-case signature",
        |s| {
            let (head, signature) =
                s.header("authorization").rsplit_once('=').map(|(a, b)| (a.to_owned(), b.to_uppercase())).unwrap();
            s.set("authorization", &format!("{head}={signature}"));
        },
        Refusal::MalformedSignature,
    ),
    (
        "empty signature",
        |s| {
            let head = s.header("authorization").rsplit_once('=').unwrap().0.to_owned();
            s.set("authorization", &format!("{head}="));
        },
        Refusal::MalformedSignature,
    ),
    (
        "signed headers not sorted",
        |s| s.replace_in_authorization("content-type;host", "host;content-type"),
        Refusal::MalformedSignedHeaders,
    ),
    (
        "a signed header listed twice",
        |s| s.replace_in_authorization("content-type;host", "content-type;host;host"),
        Refusal::MalformedSignedHeaders,
    ),
    (
        "a signed header in upper case",
        |s| s.replace_in_authorization("content-type;host", "Content-Type;host"),
        Refusal::MalformedSignedHeaders,
    ),
    (
        "an empty signed header",
        |s| s.replace_in_authorization("content-type;host", "content-type;;host"),
        Refusal::MalformedSignedHeaders,
    ),
    ("host not signed", |s| s.replace_in_authorization("content-type;host", "content-type"), Refusal::UnsignedHeader),
    ("content type not signed", |s| s.replace_in_authorization("content-type;host", "host"), Refusal::UnsignedHeader),
    ("x-amz-date not signed", |s| s.replace_in_authorization(";x-amz-date", ""), Refusal::UnsignedHeader),
    ("x-amz-target not signed", |s| s.replace_in_authorization(";x-amz-target", ""), Refusal::UnsignedHeader),
    ("another x-amz header not signed", |s| s.set("x-amz-anything", "1"), Refusal::UnsignedHeader),
    (
        "a signed header that is missing",
        |s| s.replace_in_authorization(";x-amz-target", ";x-amz-target;x-extra"),
        Refusal::MissingSignedHeader,
    ),
    ("two hosts", |s| s.also("host", "other"), Refusal::DuplicateHeader),
    ("two targets", |s| s.also("x-amz-target", "TrentService.Decrypt"), Refusal::DuplicateHeader),
    ("two dates", |s| s.also("x-amz-date", "20261122T120000Z"), Refusal::DuplicateHeader),
    ("two content types", |s| s.also("content-type", "text/plain"), Refusal::DuplicateHeader),
    ("a host that contradicts the authority", |s| s.authority = Some("other".to_owned()), Refusal::DuplicateHeader),
    ("no x-amz-date", |s| drop(s.headers.remove("x-amz-date")), Refusal::MissingDate),
    (
        "date instead of x-amz-date",
        |s| {
            let date = s.headers.remove("x-amz-date").unwrap();
            s.headers.insert("date", date);
        },
        Refusal::MissingDate,
    ),
    ("a malformed date", |s| s.set("x-amz-date", "2026-11-22T12:00:00Z"), Refusal::MalformedDate),
    ("a scope of another day", |s| s.replace_in_authorization("/20261122/", "/20261121/"), Refusal::ScopeDate),
    ("a scope of another region", |s| s.replace_in_authorization("/local-1/", "/us-east-1/"), Refusal::ScopeRegion),
    ("a scope of a foreign service", |s| s.replace_in_authorization("/kms/", "/s3/"), Refusal::ScopeService),
    ("a scope of our other service", |s| s.replace_in_authorization("/kms/", "/sts/"), Refusal::SignatureMismatch),
    ("unsigned payload", |s| s.set("x-amz-content-sha256", "UNSIGNED-PAYLOAD"), Refusal::UnsignedHeader),
    ("a session token", |s| s.set("x-amz-security-token", "token"), Refusal::UnexpectedSessionToken),
    (
        "query authentication",
        |s| {
            s.headers.remove("authorization");
            s.query = Some("X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=00".to_owned());
        },
        Refusal::MissingAuthentication,
    ),
    (
        "query authentication beside the header",
        |s| s.query = Some("X-Amz-Signature=00".to_owned()),
        Refusal::QueryNotAllowed,
    ),
    ("an empty query", |s| s.query = Some(String::new()), Refusal::QueryNotAllowed),
    ("another path", |s| s.path = "/keys".to_owned(), Refusal::PathNotAllowed),
    ("a path that normalises to /", |s| s.path = "/./".to_owned(), Refusal::PathNotAllowed),
    ("two slashes", |s| s.path = "//".to_owned(), Refusal::PathNotAllowed),
    ("another method", |s| s.method = Method::PUT, Refusal::SignatureMismatch),
    ("another body", |s| s.body.push(b' '), Refusal::SignatureMismatch),
    ("no body", |s| s.body.clear(), Refusal::SignatureMismatch),
    ("another target", |s| s.set("x-amz-target", "TrentService.Decrypt"), Refusal::SignatureMismatch),
    (
        "a signed value that is not ASCII",
        |s| {
            s.headers.insert("x-amz-target", HeaderValue::from_bytes(b"TrentService.Encrypt\xc3\xa4").unwrap());
        },
        Refusal::HeaderNotAscii,
    ),
    ("a signed value with a tab", |s| s.set("x-amz-target", "TrentService.\tEncrypt"), Refusal::HeaderNotAscii),
];

#[test]
fn every_clause_of_inv_66_refuses_the_request_that_breaks_it() {
    for (name, break_it, expected) in TABLE {
        let mut sent = Plan::default().sign();
        assert_eq!(sent.verify(), Ok(()), "the unbroken request is accepted");
        break_it(&mut sent);
        assert_eq!(sent.verify(), Err(*expected), "{name}");
    }
}

/// Breaks that an attacker without the secret cannot make, but that a client might sign.
#[test]
fn what_a_client_signs_is_refused_when_the_body_is_not_bound_by_it() {
    let true_hash_of_another_body = "9095672bbd1f56dfc5b65f3e153adc8731a4a654192329106275f4c7b24d0b6e";
    let table = [
        ("UNSIGNED-PAYLOAD", Refusal::UnsignedPayload),
        ("STREAMING-AWS4-HMAC-SHA256-PAYLOAD", Refusal::UnsignedPayload),
        ("STREAMING-UNSIGNED-PAYLOAD-TRAILER", Refusal::UnsignedPayload),
        (true_hash_of_another_body, Refusal::PayloadHash),
        ("", Refusal::PayloadHash),
    ];
    for (declared, expected) in table {
        let mut plan = Plan::default();
        plan.headers.push(("x-amz-content-sha256", declared));
        assert_eq!(plan.sign().verify(), Err(expected), "{declared}");
    }
}

#[test]
fn a_wrong_secret_is_refused() {
    let plan = Plan { secret: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEZ", ..Plan::default() };
    assert_eq!(plan.sign().verify(), Err(Refusal::SignatureMismatch));
}

#[test]
fn a_target_added_to_a_request_that_was_signed_without_one_is_refused() {
    let mut sent = Plan { headers: vec![("host", super::super::oracle::HOST)], ..Plan::default() }.sign();
    assert_eq!(sent.verify(), Ok(()), "it names no operation, and the router says so");
    sent.set("x-amz-target", "TrentService.Decrypt");
    assert_eq!(sent.verify(), Err(Refusal::UnsignedHeader));
}

#[test]
fn the_access_key_of_another_holder_does_not_verify_our_signature() {
    let keys = Keys::with(ACCESS_KEY_ID, "another-secret");
    assert_eq!(Plan::default().sign().verify_at(signed_at(), &keys), Err(Refusal::SignatureMismatch));
}

#[test]
fn every_refusal_has_an_aws_error_of_the_authentication_kind() {
    use crate::error::ErrorCode;
    for (_, _, refusal) in TABLE {
        assert!(matches!(
            refusal.code(),
            ErrorCode::MissingAuthenticationToken
                | ErrorCode::IncompleteSignature
                | ErrorCode::InvalidSignature
                | ErrorCode::UnrecognizedClient
        ));
    }
}
