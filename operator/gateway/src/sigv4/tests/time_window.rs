//! The five minutes on both sides of now, and the forms of a date.

use jiff::{SignedDuration, Timestamp};

use super::super::Refusal;
use super::super::timestamp::parse;
use super::oracle::{Keys, Plan, signed_at};

#[test]
fn a_signature_is_accepted_for_five_minutes_on_both_sides_of_now() {
    let table = [
        (-301_000, Err(Refusal::NotYetValid)),
        (-300_001, Err(Refusal::NotYetValid)),
        (-300_000, Ok(())),
        (-299_000, Ok(())),
        (0, Ok(())),
        (299_000, Ok(())),
        (300_000, Ok(())),
        (300_001, Err(Refusal::Expired)),
        (301_000, Err(Refusal::Expired)),
        (86_400_000, Err(Refusal::Expired)),
        (-86_400_000, Err(Refusal::NotYetValid)),
    ];
    let sent = Plan::default().sign();
    for (milliseconds_later, expected) in table {
        let now = signed_at() + SignedDuration::from_millis(milliseconds_later);
        assert_eq!(sent.verify_at(now, &Keys::default()), expected, "{milliseconds_later} ms");
    }
}

#[test]
fn the_scope_follows_the_day_of_the_signature_across_midnight_and_new_year() {
    for (at, now) in [
        ("2026-11-22T23:59:58Z", "2026-11-23T00:00:03Z"),
        ("2026-12-31T23:59:59Z", "2027-01-01T00:00:01Z"),
        ("2027-01-01T00:00:01Z", "2026-12-31T23:59:59Z"),
        ("2028-02-29T00:00:00Z", "2028-02-28T23:59:00Z"),
    ] {
        let (at, now): (Timestamp, Timestamp) = (at.parse().unwrap(), now.parse().unwrap());
        assert_eq!(Plan { at, ..Plan::default() }.sign().verify_at(now, &Keys::default()), Ok(()), "{at}");
    }
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
