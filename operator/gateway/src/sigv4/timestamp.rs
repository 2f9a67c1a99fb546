//! The time window of a signature: `X-Amz-Date` against the scope's day and against our clock.

use jiff::civil::DateTime;
use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};

use super::Refusal;

/// How far `X-Amz-Date` may be from now, either way: AWS's general rule (reliability §4.8).
pub const WINDOW: SignedDuration = SignedDuration::from_mins(5);

/// Checks `X-Amz-Date` against the scope's date and `now`, and returns it.
pub(super) fn check(amz_date: &str, scope_date: &str, now: Timestamp) -> Result<Timestamp, Refusal> {
    let signed_at = parse(amz_date)?;
    if amz_date.get(..8) != Some(scope_date) {
        return Err(Refusal::ScopeDate);
    }
    let age = now.duration_since(signed_at);
    if age > WINDOW {
        return Err(Refusal::Expired);
    }
    if age < -WINDOW {
        return Err(Refusal::NotYetValid);
    }
    Ok(signed_at)
}

/// Parses the one accepted form, `yyyymmddThhmmssZ`. Leap seconds have no place in it.
pub(super) fn parse(text: &str) -> Result<Timestamp, Refusal> {
    let bytes = text.as_bytes();
    if bytes.len() != 16 || bytes.get(8) != Some(&b'T') || bytes.get(15) != Some(&b'Z') {
        return Err(Refusal::MalformedDate);
    }
    let number = |from: usize, to: usize| -> Result<i16, Refusal> {
        let digits = text.get(from..to).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
        digits.and_then(|digits| digits.parse().ok()).ok_or(Refusal::MalformedDate)
    };
    let short = |from, to| number(from, to).and_then(|value| i8::try_from(value).map_err(|_| Refusal::MalformedDate));
    let (month, day) = (short(4, 6)?, short(6, 8)?);
    let (hour, minute, second) = (short(9, 11)?, short(11, 13)?, short(13, 15)?);
    DateTime::new(number(0, 4)?, month, day, hour, minute, second, 0)
        .and_then(|time| Offset::UTC.to_timestamp(time))
        .map_err(|_| Refusal::MalformedDate)
}
