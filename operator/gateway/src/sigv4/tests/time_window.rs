//! The five minutes on both sides of now, the forms of a date, and the day of the scope.
//!
//! Every request here is signed with the right secret over exactly what it says: only its date can be wrong.

use aws_lc_rs::hmac;
use http::HeaderValue;
use jiff::{SignedDuration, Timestamp};

use super::super::oracle::{ACCESS_KEY_ID, Keys, Plan, REGION, Sent, signed_at};
use super::super::timestamp::parse;
use super::super::*;

/// A request whose holder of the secret put these texts into `X-Amz-Date` and into the scope.
fn dated(amz_date: &str, scope_date: &str) -> Sent {
    let mut sent = Plan::default().sign();
    sent.set("x-amz-date", amz_date);
    let list = "content-type;host;x-amz-date;x-amz-target";
    let scope = format!("{ACCESS_KEY_ID}/{scope_date}/{REGION}/kms/aws4_request");
    let with = |signature: &str| format!("{ALGORITHM} Credential={scope}, SignedHeaders={list}, Signature={signature}");
    let unsigned = with(&"0".repeat(64));
    let authorization = Authorization::parse(&unsigned).unwrap();
    let received = ReceivedRequest {
        method: &sent.method,
        path: "/",
        query: None,
        authority: None,
        headers: &sent.headers,
        body: &sent.body,
    };
    let key = Keys::default().credential(ACCESS_KEY_ID).unwrap().derive_for(scope_date, REGION, "kms");
    let hash = digest::digest(&digest::SHA256, &sent.body);
    let text = string_to_sign(received, canonical::ROOT, &authorization, amz_date, hash.as_ref()).unwrap();
    sent.set("authorization", &with(&hex::encode(hmac::sign(&key, &text))));
    sent
}

/// `X-Amz-Date`, the scope's date, the clock, and what becomes of it.
type Case = (&'static str, &'static str, &'static str, Result<(), Refusal>);

const CASES: &[Case] = &[
    // The edges of the window, in both directions.
    ("20261122T120000Z", "20261122", "2026-11-22T12:00:00Z", Ok(())),
    ("20261122T120000Z", "20261122", "2026-11-22T12:04:59Z", Ok(())),
    ("20261122T120000Z", "20261122", "2026-11-22T12:05:00Z", Ok(())),
    ("20261122T120000Z", "20261122", "2026-11-22T12:05:00.001Z", Err(Refusal::Expired)),
    ("20261122T120000Z", "20261122", "2026-11-22T12:05:01Z", Err(Refusal::Expired)),
    ("20261122T120000Z", "20261122", "2026-11-22T12:15:00Z", Err(Refusal::Expired)),
    ("20261122T120000Z", "20261122", "2027-11-22T12:00:00Z", Err(Refusal::Expired)),
    ("20261122T120000Z", "20261122", "2026-11-22T11:55:01Z", Ok(())),
    ("20261122T120000Z", "20261122", "2026-11-22T11:55:00Z", Ok(())),
    ("20261122T120000Z", "20261122", "2026-11-22T11:54:59.999Z", Err(Refusal::NotYetValid)),
    ("20261122T120000Z", "20261122", "2026-11-22T11:54:59Z", Err(Refusal::NotYetValid)),
    ("20261122T120000Z", "20261122", "1970-01-01T00:00:00Z", Err(Refusal::NotYetValid)),
    // Midnight, new year, leap days: the scope has the day of the signature, whatever day it is here.
    ("20261122T235958Z", "20261122", "2026-11-23T00:00:03Z", Ok(())),
    ("20261123T000003Z", "20261123", "2026-11-22T23:59:58Z", Ok(())),
    ("20261122T235958Z", "20261123", "2026-11-23T00:00:03Z", Err(Refusal::ScopeDate)),
    ("20261123T000003Z", "20261122", "2026-11-23T00:00:03Z", Err(Refusal::ScopeDate)),
    ("20261231T235959Z", "20261231", "2027-01-01T00:00:01Z", Ok(())),
    ("20270101T000001Z", "20270101", "2026-12-31T23:59:59Z", Ok(())),
    ("20280229T000000Z", "20280229", "2028-02-28T23:59:00Z", Ok(())),
    ("20270229T000000Z", "20270229", "2027-03-01T00:00:00Z", Err(Refusal::MalformedDate)),
    ("20261122T235960Z", "20261122", "2026-11-23T00:00:00Z", Err(Refusal::MalformedDate)),
    // Other days and forms in the scope.
    ("20261122T120000Z", "20261121", "2026-11-22T12:00:00Z", Err(Refusal::ScopeDate)),
    ("20261122T120000Z", "20251122", "2026-11-22T12:00:00Z", Err(Refusal::ScopeDate)),
    ("20261122T120000Z", "2026112", "2026-11-22T12:00:00Z", Err(Refusal::ScopeDate)),
    ("20261122T120000Z", "2026-11-22", "2026-11-22T12:00:00Z", Err(Refusal::ScopeDate)),
    ("20261122T120000Z", "20261122T120000Z", "2026-11-22T12:00:00Z", Err(Refusal::ScopeDate)),
    // Other forms of the right moment.
    ("2026-11-22T12:00:00Z", "20261122", "2026-11-22T12:00:00Z", Err(Refusal::MalformedDate)),
    ("20261122T120000", "20261122", "2026-11-22T12:00:00Z", Err(Refusal::MalformedDate)),
    ("20261122T140000+0200", "20261122", "2026-11-22T12:00:00Z", Err(Refusal::MalformedDate)),
    ("20261122T120000.0Z", "20261122", "2026-11-22T12:00:00Z", Err(Refusal::MalformedDate)),
    ("Sun, 22 Nov 2026 12:00:00 GMT", "20261122", "2026-11-22T12:00:00Z", Err(Refusal::MalformedDate)),
    ("1795348800", "20261122", "2026-11-22T12:00:00Z", Err(Refusal::MalformedDate)),
    ("20261122T120000Z 20261122T120000Z", "20261122", "2026-11-22T12:00:00Z", Err(Refusal::MalformedDate)),
    ("", "20261122", "2026-11-22T12:00:00Z", Err(Refusal::MalformedDate)),
];

#[test]
fn a_well_signed_request_is_accepted_within_five_minutes_of_its_one_date_and_at_no_other_time() {
    for (amz_date, scope_date, clock, expected) in CASES {
        let now: Timestamp = clock.parse().unwrap();
        let verdict = dated(amz_date, scope_date).verify_at(now, &Keys::default());
        assert_eq!(verdict, *expected, "{amz_date} in scope {scope_date} at {clock}");
    }
    assert!(CASES.len() >= 24);
}

/// `Date` is what other services fall back to, and what proxies set: here it means nothing.
#[test]
fn the_date_header_neither_replaces_nor_contradicts_x_amz_date() {
    let http_date = HeaderValue::from_static("Sun, 22 Nov 2026 12:00:00 GMT");
    let mut both = Plan::default().sign();
    both.headers.insert("date", HeaderValue::from_static("Thu, 01 Jan 1970 00:00:00 GMT"));
    assert_eq!(both.verify(), Ok(()), "X-Amz-Date alone counts");
    let late = signed_at() + SignedDuration::from_secs(301);
    both.headers.insert("date", http_date.clone());
    assert_eq!(both.verify_at(late, &Keys::default()), Err(Refusal::Expired), "a fresh Date does not help");
    let mut instead = Plan::default().sign();
    instead.headers.remove("x-amz-date");
    instead.headers.insert("date", http_date);
    assert_eq!(instead.verify(), Err(Refusal::MissingDate));
}

#[test]
fn only_the_one_form_of_a_date_is_read() {
    assert_eq!(parse("20261122T120000Z"), Ok(signed_at()));
    for text in [
        "",
        "20261122",
        "20261122T120000",
        "20261122T120000z",
        "20261122t120000Z",
        "20261122T120060Z",
        "20261122T240000Z",
        "20261122T126000Z",
        "20261322T120000Z",
        "20260229T120000Z",
        "20261122T12000-Z",
        "+0261122T120000Z",
        "2026112 T120000Z",
        " 20261122T120000Z",
        "20261122T120000Z ",
        "２0261122T12000Z",
        "00000000T000000Z",
        "20261122T1200000Z",
    ] {
        assert_eq!(parse(text), Err(Refusal::MalformedDate), "{text}");
    }
}
