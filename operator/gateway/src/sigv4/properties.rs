//! What the verifier does for any bytes whatever: called by the fuzz targets in `e2e/fuzz`, and by tests that replay what
//! they found.

use http::{HeaderMap, HeaderName, HeaderValue, Method};

use super::canonical::{ROOT, write_request};
use super::oracle::{ACCESS_KEY_ID, HOST, Plan};
use super::{ALGORITHM, Authorization, ReceivedRequest};

/// An `Authorization` header that is read prints to one that is read as the same; what it names has the one form.
///
/// # Panics
/// When that does not hold.
pub fn sigv4_parse(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(read) = Authorization::parse(text) else { return };
    let printed = print(&read);
    assert_eq!(Authorization::parse(&printed), Ok(read), "{printed}");
    let scope = [read.scope.access_key_id, read.scope.date, read.scope.region, read.scope.service];
    assert!(scope.iter().all(|part| !part.is_empty() && !part.contains(['/', ','])), "{scope:?}");
    let names: Vec<&str> = read.signed_headers.split(';').collect();
    assert!(names.windows(2).all(|pair| pair.first() < pair.last()), "{names:?}");
    assert!(names.iter().all(|name| read.covers(name) && **name == name.to_ascii_lowercase()), "{names:?}");
}

fn print(authorization: &Authorization<'_>) -> String {
    let Authorization { scope, signed_headers, signature } = authorization;
    format!(
        "{ALGORITHM} Credential={}/{}/{}/{}/aws4_request, SignedHeaders={signed_headers}, Signature={}",
        scope.access_key_id,
        scope.date,
        scope.region,
        scope.service,
        hex::encode(signature)
    )
}

/// A request out of fuzzed lines: method, then headers up to an empty line, then the body.
struct Lines<'a> {
    method: Method,
    headers: HeaderMap,
    body: &'a [u8],
}

impl<'a> Lines<'a> {
    fn read(data: &'a [u8]) -> Option<Self> {
        let end = data.windows(2).position(|pair| pair == b"\n\n")?;
        let (head, body) = (data.get(..end)?, data.get(end + 2..)?);
        let mut lines = head.split(|byte| *byte == b'\n');
        let method = Method::from_bytes(lines.next()?).ok()?;
        let mut headers = HeaderMap::new();
        for line in lines.take(32) {
            let colon = line.iter().position(|byte| *byte == b':')?;
            let name = HeaderName::from_bytes(line.get(..colon)?).ok()?;
            headers.append(name, HeaderValue::from_bytes(line.get(colon + 1..)?).ok()?);
        }
        Some(Self { method, headers, body })
    }

    /// Every name once, in the order that a signature lists them.
    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.headers.keys().map(|name| name.as_str().to_owned()).collect();
        names.sort();
        names
    }
}

/// The canonical request can be read back, so no two requests share it; and what the AWS SDK signs is accepted, while
/// the same signature on a request with one byte changed is not.
///
/// # Panics
/// When that does not hold.
pub fn sigv4_canonical(data: &[u8]) {
    let Some(lines) = Lines::read(data) else { return };
    reads_back(&lines);
    agrees_with_the_sdk(&lines);
}

fn reads_back(lines: &Lines<'_>) {
    let (names, body_hash) = (lines.names(), [7; 32]);
    let list = names.join(";");
    let request = ReceivedRequest {
        method: &lines.method,
        path: "/",
        query: None,
        authority: None,
        headers: &lines.headers,
        body: lines.body,
    };
    let mut canonical = Vec::new();
    let written = write_request(request, ROOT, &list, &body_hash, &mut |part| canonical.extend_from_slice(part));
    let single = names.iter().all(|name| lines.headers.get_all(name.as_str()).iter().count() == 1);
    if written.is_err() || names.is_empty() {
        return;
    }
    assert!(single, "a header that occurs twice was canonicalised");
    let text = String::from_utf8(canonical).expect("printable");
    let read: Vec<&str> = text.split('\n').collect();
    let mut expected = vec![lines.method.as_str().to_owned(), "/".to_owned(), String::new()];
    for name in &names {
        let value = lines.headers.get(name.as_str()).map(HeaderValue::as_bytes).unwrap_or_default();
        let words: Vec<_> = value.split(|byte| *byte == b' ').filter(|word| !word.is_empty()).collect();
        expected.push(format!("{name}:{}", String::from_utf8_lossy(&words.join(&b' '))));
    }
    expected.extend([String::new(), list, "07".repeat(32)]);
    assert_eq!(read, expected);
}

fn agrees_with_the_sdk(lines: &Lines<'_>) {
    let own = lines.headers.iter().filter(|(name, _)| name.as_str().starts_with("x-amz-meta-"));
    let own: Vec<(&str, &str)> =
        own.filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?))).take(4).collect();
    let mut headers = vec![("host", HOST), ("x-amz-target", "TrentService.Encrypt")];
    let twice = own
        .iter()
        .enumerate()
        .any(|(position, (name, _))| own.iter().skip(position + 1).any(|(other, _)| other == name));
    let readable = own.iter().all(|(_, value)| value.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()));
    headers.extend(&own);
    let mut sent = Plan { headers, body: lines.body, ..Plan::default() }.sign();
    let verdict = sent.verify();
    assert_eq!(verdict.is_ok(), !twice && readable, "{verdict:?} for {own:?}, signed by the SDK for {ACCESS_KEY_ID}");
    sent.body.push(b' ');
    assert!(sent.verify().is_err(), "another body");
    sent.body.pop();
    if let Some((name, value)) = own.first()
        && let Ok(name) = HeaderName::try_from(*name)
        && let Ok(changed) = HeaderValue::try_from(format!("{value}x"))
    {
        sent.headers.insert(name, changed);
        assert!(sent.verify().is_err(), "another header");
    }
}

/// Headers to begin with.
#[must_use]
pub fn sigv4_parse_seeds() -> Vec<Vec<u8>> {
    let sent = Plan::default().sign();
    let header = sent.header("authorization").to_owned();
    vec![header.replace(", ", ",").into_bytes(), header.replace(", ", " , ").into_bytes(), header.into_bytes()]
}

/// Requests to begin with.
#[must_use]
pub fn sigv4_canonical_seeds() -> Vec<Vec<u8>> {
    let requests = [
        "POST\nhost:kms.test\nx-amz-date:20261122T120000Z\nx-amz-target:TrentService.Encrypt\n\n{}",
        "POST\nx-amz-meta-a:  a   b  c \nx-amz-meta-b:\n\nbody\n\nbody",
        "GET\na:1\na:2\n\n",
        "PUT\nx-amz-meta-a:1\nx-amz-meta-a:2\n\n\0",
    ];
    requests.map(|request| request.as_bytes().to_vec()).into()
}

#[cfg(test)]
#[path = "../../../../e2e/fuzz/src/replay.rs"]
pub(crate) mod replay;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fuzzing_began_with_and_found_holds() {
        replay::replay("sigv4_parse", &sigv4_parse_seeds(), sigv4_parse);
        replay::replay("sigv4_canonical", &sigv4_canonical_seeds(), sigv4_canonical);
    }
}
