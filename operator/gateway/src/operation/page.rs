//! Pages of a list: limit, marker, and what comes after (KEY-150).
//!
//! A marker names the operation, the account and the last item of the page. It is not secret and proves nothing: a page
//! is always cut from the caller's own tenant.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::Call;
use crate::error::{ApiError, ErrorCode};
use crate::validation::Violations;

/// Longest marker, in characters.
const LONGEST_MARKER: usize = 1_024;

/// Where a page begins and how long it may be.
pub(super) struct Page {
    /// Most items.
    pub(super) limit: usize,
    /// The last item of the page before, if this is not the first.
    pub(super) after: Option<String>,
}

/// Checks `Limit` and `Marker`, notes them for the record, and reads the marker.
pub(super) fn read(
    call: &mut Call<'_>,
    mut violations: Violations,
    limit: Option<i64>,
    marker: Option<String>,
    (default, most): (usize, i64),
) -> Result<Page, ApiError> {
    violations.number("limit", limit, 1, most);
    violations.text("marker", marker.as_deref(), 1, LONGEST_MARKER);
    violations.finish()?;
    let after = marker.as_deref().map(|marker| open(call, marker)).transpose()?;
    call.notes.parameters.limit = limit;
    call.notes.parameters.marker = marker;
    let limit = limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(default);
    Ok(Page { limit, after })
}

/// Cuts `items`, of which one more than the limit was read, and makes the marker of the next page.
pub(super) fn cut<T>(call: &Call<'_>, page: &Page, items: &mut Vec<T>, name: impl Fn(&T) -> String) -> Option<String> {
    let truncated = items.len() > page.limit;
    items.truncate(page.limit);
    items.last().filter(|_| truncated).map(|last| URL_SAFE_NO_PAD.encode(format!("{}{}", prefix(call), name(last))))
}

fn open(call: &Call<'_>, marker: &str) -> Result<String, ApiError> {
    let bytes = URL_SAFE_NO_PAD.decode(marker).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    bytes
        .and_then(|text| text.strip_prefix(&prefix(call)).map(str::to_owned))
        .ok_or_else(|| ApiError::new(ErrorCode::InvalidMarker, "The marker is not valid for this request."))
}

fn prefix(call: &Call<'_>) -> String {
    format!("1 {} {} ", call.operation.name(), call.caller.account_id())
}
