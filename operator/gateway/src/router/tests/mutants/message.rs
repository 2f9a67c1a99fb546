//! Mutations of the message: method, target, headers, body, and the moment it arrives.

use http::{HeaderValue, Method};
use jiff::SignedDuration;
use jiff::civil::Date;

use super::{Generator, Good, Mutant, rotations};
use crate::error::ErrorCode::{
    self, IncompleteSignature, InvalidSignature, MissingAuthenticationToken, UnrecognizedClient,
};
use crate::target::Operation;

pub(super) const GENERATORS: &[Generator] = &[
    ("every byte of the body", body_bytes),
    ("the body as a whole", bodies),
    ("the method", methods),
    ("the path", paths),
    ("a query", queries),
    ("authentication in the query", presigned),
    ("every character of a signed header", header_characters),
    ("every character of the date", date_characters),
    ("a header left out", removed),
    ("a header twice", repeated),
    ("an unsigned security header", unsigned),
    ("a session token", tokens),
    ("white space and encodings", encodings),
    ("another operation", operations),
    ("another moment", moments),
    ("another host in the target", authorities),
];

fn body_bytes(good: &Good) -> Vec<Mutant> {
    let body = String::from_utf8(good.0.body.to_vec()).unwrap();
    rotations(&body).into_iter().map(|other| with_body(good, other.into_bytes())).collect()
}

fn with_body(good: &Good, body: Vec<u8>) -> Mutant {
    let what = format!("body {:?}", String::from_utf8_lossy(&body));
    good.mutant(what, InvalidSignature, |request| *request.body = body)
}

fn bodies(good: &Good) -> Vec<Mutant> {
    let body = good.0.body.to_vec();
    let text = String::from_utf8(body.clone()).unwrap();
    let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let variants: Vec<Vec<u8>> = vec![
        vec![],
        b"{}".to_vec(),
        body[..body.len() - 1].to_vec(),
        body[1..].to_vec(),
        [&body[..], b" "].concat(),
        [&body[..], b"\r\n"].concat(),
        [&body[..], b"\0"].concat(),
        [b"\xef\xbb\xbf", &body[..]].concat(),
        [&body[..], &body[..]].concat(),
        [b"\x1f\x8b\x08", &body[..]].concat(),
        format!("{:x}\r\n{text}\r\n0\r\n\r\n", text.len()).into_bytes(),
        text.to_uppercase().into_bytes(),
        text.replace('=', "%3D").into_bytes(),
        utf16,
        body.iter().rev().copied().collect(),
    ];
    variants.into_iter().filter(|variant| *variant != body).map(|variant| with_body(good, variant)).collect()
}

fn methods(good: &Good) -> Vec<Mutant> {
    let names = ["GET", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "TRACE", "CONNECT", "post", "POSTS", "PRI"];
    let with = |name: &str| {
        good.mutant(name, InvalidSignature, |request| {
            request.parts.method = Method::from_bytes(name.as_bytes()).unwrap();
        })
    };
    names.into_iter().map(with).collect()
}

fn paths(good: &Good) -> Vec<Mutant> {
    let paths = [
        "/keys",
        "//",
        "/./",
        "/../",
        "/.",
        "/..",
        "/%2f",
        "/%2F",
        "/%00",
        "/%2e",
        "/%2e%2e",
        "/;",
        "/*",
        "/index.html",
        "/latest/meta-data",
        "/health",
        "/metrics",
        "/%252f",
        "//kms.test/",
        "/%20",
        "*",
    ];
    paths.into_iter().map(|path| good.with_uri(path, IncompleteSignature)).collect()
}

fn queries(good: &Good) -> Vec<Mutant> {
    let queries = [
        "/?",
        "/?x",
        "/?x=1",
        "/?=",
        "/?&",
        "/?Action=Decrypt",
        "/?x-amz-target=TrentService.Decrypt",
        "/?X-Amz-Signature=00",
        "/?X-Amz-Expires=300",
        "/?X-Amz-Security-Token=t",
        "/?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-SignedHeaders=host",
        "/?%00",
        "/?/",
        "/??",
    ];
    queries.into_iter().map(|query| good.with_uri(query, IncompleteSignature)).collect()
}

/// A presigned request is refused whether it has expired or not: this endpoint has none.
fn presigned(good: &Good) -> Vec<Mutant> {
    let (credential, date) = (good.member("Credential=", ','), good.header("x-amz-date"));
    let (headers, signature) = (good.member("SignedHeaders=", ','), good.member("Signature=", ','));
    let credential = credential.replace('/', "%2F");
    let expiries = ["1", "300", "604800", "0", "-1", "4294967296"];
    let with = |expires: &str| {
        let query = format!(
            "/?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={credential}&X-Amz-Date={date}\
             &X-Amz-Expires={expires}&X-Amz-SignedHeaders={headers}&X-Amz-Signature={signature}"
        );
        let mut mutant = good.with_uri(&query, MissingAuthenticationToken);
        mutant.request.parts.headers.remove("authorization");
        mutant
    };
    expiries.into_iter().map(with).collect()
}

fn header_characters(good: &Good) -> Vec<Mutant> {
    let names = good.signed_headers().into_iter().filter(|name| *name != "x-amz-date");
    names.flat_map(|name| good.with_each(name, InvalidSignature, rotations(good.header(name)))).collect()
}

fn date_characters(good: &Good) -> Vec<Mutant> {
    let with = |date: String| {
        let expected = if is_a_moment(&date) { InvalidSignature } else { IncompleteSignature };
        good.with_header("x-amz-date", date.as_bytes(), expected)
    };
    rotations(good.header("x-amz-date")).into_iter().map(with).collect()
}

/// Whether the text is `yyyymmddThhmmssZ` of a day and time that there is; written apart from the verifier.
fn is_a_moment(text: &str) -> bool {
    let number = |from: usize, to: usize| text[from..to].parse::<i16>();
    let (Ok(year), Ok(month), Ok(day)) = (number(0, 4), number(4, 6), number(6, 8)) else { return false };
    let (Ok(hour), Ok(minute), Ok(second)) = (number(9, 11), number(11, 13), number(13, 15)) else { return false };
    let form = text.len() == 16 && &text[8..9] == "T" && &text[15..] == "Z";
    let date = Date::new(year, i8::try_from(month).unwrap(), i8::try_from(day).unwrap());
    form && date.is_ok() && hour < 24 && minute < 60 && second < 60
}

fn removed(good: &Good) -> Vec<Mutant> {
    let without = |name: &str, expected: ErrorCode| {
        good.mutant(format!("no {name}"), expected, |request| drop(request.parts.headers.remove(name)))
    };
    let mut mutants: Vec<_> =
        good.signed_headers().into_iter().map(|name| without(name, IncompleteSignature)).collect();
    mutants.push(without("authorization", MissingAuthenticationToken));
    mutants
}

fn repeated(good: &Good) -> Vec<Mutant> {
    let names = good.signed_headers().into_iter().chain(["authorization"]);
    let twice = |name: &str, value: &str| {
        let what = format!("{name} again: {value:?}");
        good.mutant(what, IncompleteSignature, |request| {
            let (name, value) = (name.parse::<http::HeaderName>().unwrap(), HeaderValue::try_from(value).unwrap());
            assert!(request.parts.headers.append(name, value), "it was there");
        })
    };
    names.flat_map(|name| [good.header(name), "another", ""].map(|value| twice(name, value))).collect()
}

fn unsigned(good: &Good) -> Vec<Mutant> {
    let names = [
        "x-amz-content-sha256",
        "x-amz-expires",
        "x-amz-algorithm",
        "x-amz-credential",
        "x-amz-signature",
        "x-amz-signedheaders",
        "x-amz-user-agent",
        "x-amz-trailer",
        "x-amz-decoded-content-length",
        "x-amz-meta-a",
        "x-amz-region-set",
        "x-amz-api-version",
        "x-amz-source-arn",
        "x-amz-source-account",
        "x-amz-invocation-type",
        "x-amz-sdk-checksum-algorithm",
        "x-amz-te",
        "x-amz-",
        "x-amz-x",
        "x-amz-date-2",
        "x-amz-target-2",
        "x-amzn",
    ];
    // `x-amzn-…` is Amazon's tracing, added by proxies on the way: without meaning here.
    let amz = names.into_iter().filter(|name| name.starts_with("x-amz-"));
    let mut mutants: Vec<_> = amz.map(|name| good.with_header(name, b"1", IncompleteSignature)).collect();
    for hash in ["UNSIGNED-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "STREAMING-UNSIGNED-PAYLOAD-TRAILER", ""] {
        mutants.push(good.with_header("x-amz-content-sha256", hash.as_bytes(), IncompleteSignature));
    }
    mutants
}

fn tokens(good: &Good) -> Vec<Mutant> {
    let mut mutants = good.with_each("x-amz-security-token", UnrecognizedClient, ["", "token", "a/b+c=="]);
    let list = good.member("SignedHeaders=", ',');
    let with_token = list.replace("x-amz-date", "x-amz-date;x-amz-security-token");
    let mut signed = good.authorization(list, &with_token, UnrecognizedClient);
    signed.request.parts.headers.insert("x-amz-security-token", HeaderValue::from_static("token"));
    mutants.push(signed);
    mutants
}

fn encodings(good: &Good) -> Vec<Mutant> {
    let name = if good.0.parts.headers.contains_key("x-amz-target") { "x-amz-target" } else { "content-type" };
    let value = good.header(name);
    let half = value.len() / 2;
    let (left, right) = value.split_at(half);
    let mut mutants = good.with_each(
        name,
        InvalidSignature,
        [
            format!("{left} {right}"),
            value.to_uppercase(),
            value.replace('.', "%2E").replace('/', "%2F"),
            format!("{value}."),
            format!("\"{value}\""),
            format!("{value},{value}"),
            format!("{value};"),
            String::new(),
        ],
    );
    let unreadable: [Vec<u8>; 4] = [
        [left.as_bytes(), b"\t", right.as_bytes()].concat(),
        [left.as_bytes(), b"\xc3\xa4", right.as_bytes()].concat(),
        [left.as_bytes(), b"\xff", right.as_bytes()].concat(),
        [value.as_bytes(), b"\xc2\xa0"].concat(),
    ];
    mutants.extend(unreadable.iter().map(|value| good.with_header(name, value, IncompleteSignature)));
    mutants
}

fn operations(good: &Good) -> Vec<Mutant> {
    let names = Operation::ALL.iter().map(|operation| format!("TrentService.{}", operation.name()));
    match good.0.parts.headers.get("x-amz-target") {
        Some(own) => good.with_each("x-amz-target", InvalidSignature, names.filter(|name| own != name.as_str())),
        None => good.with_each("x-amz-target", IncompleteSignature, names),
    }
}

fn moments(good: &Good) -> Vec<Mutant> {
    let with = |seconds: i64| {
        good.mutant(format!("{seconds} s later"), InvalidSignature, |request| {
            request.received_at += SignedDuration::from_secs(seconds);
        })
    };
    [-86_400, -3_600, -302, 302, 900, 3_600, 86_400, 31_536_000].map(with).into()
}

fn authorities(good: &Good) -> Vec<Mutant> {
    let uris = [
        "https://other.test/",
        "http://kms.test:8443/",
        "https://KMS.test/",
        "https://kms.test.:443/",
        "https://user@kms.test/",
    ];
    uris.into_iter().map(|uri| good.with_uri(uri, IncompleteSignature)).collect()
}
