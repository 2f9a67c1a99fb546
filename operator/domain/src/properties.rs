//! What holds for any bytes whatever: called by the fuzz targets in `e2e/fuzz`, and by tests that replay what they found.

use std::collections::BTreeMap;

use crate::encryption_context::EncryptionContext;

/// Canonical bytes can be read back, so no two contexts share them, and nothing else reads as a context (KEY-40).
///
/// The input is taken as canonical bytes, and as names and values between line ends.
///
/// # Panics
/// When that does not hold.
pub fn encryption_context(data: &[u8]) {
    if let Some(pairs) = read(data) {
        match EncryptionContext::new(pairs) {
            Ok(context) => assert_eq!(context.canonical_bytes(), data, "other bytes for the same context"),
            Err(too_large) => assert!(too_large.actual == data.len() && data.len() > EncryptionContext::MAX_BYTES),
        }
    }
    let text = String::from_utf8_lossy(data);
    let mut lines = text.split('\n').map(str::to_owned);
    let mut pairs = BTreeMap::new();
    while let (Some(name), value) = (lines.next(), lines.next()) {
        pairs.insert(name, value.unwrap_or_default());
    }
    if let Ok(context) = EncryptionContext::new(pairs.clone()) {
        let printed = context.canonical_bytes();
        assert!(printed.len() <= EncryptionContext::MAX_BYTES);
        assert_eq!(read(&printed), Some(pairs), "what was printed is not read as what it was");
    }
}

/// Reads canonical bytes; written apart from what prints them.
fn read(bytes: &[u8]) -> Option<BTreeMap<String, String>> {
    let (count, mut rest) = number(bytes)?;
    let mut pairs = BTreeMap::new();
    for _ in 0..count {
        let (name, after_name) = text(rest)?;
        let (value, after_value) = text(after_name)?;
        // In order and without repetition.
        if pairs.last_key_value().is_some_and(|(last, _)| *last >= name) {
            return None;
        }
        pairs.insert(name, value);
        rest = after_value;
    }
    rest.is_empty().then_some(pairs)
}

fn number(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (number, rest) = bytes.split_first_chunk()?;
    Some((usize::try_from(u32::from_be_bytes(*number)).ok()?, rest))
}

fn text(bytes: &[u8]) -> Option<(String, &[u8])> {
    let (length, rest) = number(bytes)?;
    let (text, rest) = rest.split_at_checked(length)?;
    Some((String::from_utf8(text.to_vec()).ok()?, rest))
}

/// Contexts to begin with.
#[must_use]
pub fn encryption_context_seeds() -> Vec<Vec<u8>> {
    let pairs =
        |text: &[(&str, &str)]| text.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let long = "v".repeat(8_000);
    let contexts: [&[(&str, &str)]; 4] =
        [&[], &[("tenant", "a")], &[("", ""), ("ä", "\u{1F511}"), ("b", "c")], &[("k", &long)]];
    let printed = contexts.into_iter().filter_map(|context| EncryptionContext::new(pairs(context)).ok());
    let lines = ["tenant\na\npurpose\ntest", "a\n\n\nb\na\nc"].map(|text| text.as_bytes().to_vec());
    printed.map(|context| context.canonical_bytes()).chain(lines).collect()
}

// Reads the kept inputs from files: tests alone do, the core never.
#[cfg(test)]
#[allow(clippy::disallowed_methods)]
#[path = "../../../e2e/fuzz/src/replay.rs"]
mod replay;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fuzzing_began_with_and_found_holds() {
        replay::replay("encryption_context", &encryption_context_seeds(), encryption_context);
    }
}
