//! Makes a version 1 certificate out of a version 3 one, as the guide's openssl commands would have made it: without the
//! version field and the extensions, signed again.

use super::scripted_hsm::Lineage;

/// `certificate` (DER) as version 1, signed by the customer CA of `signer`; its issuer name stays.
pub(crate) fn downgrade(certificate: &[u8], signer: &Lineage) -> Vec<u8> {
    let (_, fields) = element(certificate);
    let (tbs, rest) = split(fields);
    let (algorithm, _) = split(rest);
    let (_, mut body) = element(tbs);
    let mut kept = Vec::new();
    while !body.is_empty() {
        let (field, rest) = split(body);
        // [0] is the version, [3] the extensions (RFC 5280 section 4.1).
        if !matches!(field[0], 0xa0 | 0xa3) {
            kept.extend_from_slice(field);
        }
        body = rest;
    }
    let tbs = tagged(0x30, &kept);
    let signature = signer.sign(&tbs);
    let bits = tagged(0x03, &[&[0], signature.as_slice()].concat());
    tagged(0x30, &[tbs.as_slice(), algorithm, &bits].concat())
}

/// The first DER element, whole, and what follows it.
fn split(der: &[u8]) -> (&[u8], &[u8]) {
    let (header, length) = header(der);
    der.split_at(header + length)
}

/// Tag and content of the first DER element.
fn element(der: &[u8]) -> (u8, &[u8]) {
    let (header, length) = header(der);
    (der[0], &der[header..header + length])
}

fn header(der: &[u8]) -> (usize, usize) {
    let first = usize::from(der[1]);
    if first < 0x80 {
        return (2, first);
    }
    let count = first & 0x7f;
    let length = der[2..2 + count].iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
    (2 + count, length)
}

fn tagged(tag: u8, content: &[u8]) -> Vec<u8> {
    let [high, low] = u16::try_from(content.len()).expect("a certificate is short").to_be_bytes();
    [&[tag, 0x82, high, low], content].concat()
}
