//! Mutations of the `Authorization` header: algorithm, credential, scope, list of signed headers, signature.

use super::{Generator, Good, Mutant, rotations};
use crate::error::ErrorCode::{IncompleteSignature, InvalidSignature, UnrecognizedClient};

pub(super) const GENERATORS: &[Generator] = &[
    ("every digit of the signature", signature_digits),
    ("the form of the signature", signatures),
    ("the algorithm", algorithms),
    ("every character of the access key id", access_key_characters),
    ("another access key id", access_keys),
    ("every character of the scope", scope_characters),
    ("the form of the scope", scopes),
    ("every character of the signed headers", list_characters),
    ("the list of signed headers", lists),
    ("the members", members),
    ("the header as a whole", headers),
];

fn signature_digits(good: &Good) -> Vec<Mutant> {
    let signature = good.member("Signature=", ',');
    let each = |position: usize| {
        let mut digits = signature.as_bytes().to_vec();
        digits[position] = if digits[position] == b'0' { b'1' } else { b'0' };
        good.authorization(signature, std::str::from_utf8(&digits).unwrap(), InvalidSignature)
    };
    (0..signature.len()).map(each).collect()
}

fn signatures(good: &Good) -> Vec<Mutant> {
    let signature = good.member("Signature=", ',');
    let malformed = [
        String::new(),
        signature[1..].to_owned(),
        signature[2..].to_owned(),
        signature[..32].to_owned(),
        format!("{signature}0"),
        format!("{signature}00"),
        format!("{signature}{signature}"),
        format!("0x{}", &signature[2..]),
        format!("g{}", &signature[1..]),
        format!("+{}", &signature[1..]),
        format!("{} {}", &signature[..31], &signature[32..]),
        format!("A{}", &signature[1..]),
        format!("\"{signature}\""),
        "Aa".repeat(32),
    ];
    let refused = malformed.iter().map(|other| good.authorization(signature, other, IncompleteSignature));
    let constant = ["0".repeat(64), "f".repeat(64), "e3b0c442".repeat(8)];
    refused.chain(constant.iter().map(|other| good.authorization(signature, other, InvalidSignature))).collect()
}

fn algorithms(good: &Good) -> Vec<Mutant> {
    let others = [
        "aws4-hmac-sha256",
        "AWS4-HMAC-SHA1",
        "AWS4-HMAC-SHA512",
        "AWS4-HMAC-SHA256-PAYLOAD",
        "AWS4-ECDSA-P256-SHA256",
        "AWS3",
        "AWS",
        "AWS4",
        "Bearer",
        "Basic",
        "none",
        "AWS4-HMAC-SHA256,",
        "\tAWS4-HMAC-SHA256",
        "",
    ];
    others.into_iter().map(|other| good.authorization("AWS4-HMAC-SHA256", other, IncompleteSignature)).collect()
}

fn access_key_characters(good: &Good) -> Vec<Mutant> {
    let id = good.member("Credential=", '/');
    rotations(id).iter().map(|other| good.authorization(id, other, UnrecognizedClient)).collect()
}

fn access_keys(good: &Good) -> Vec<Mutant> {
    let id = good.member("Credential=", '/');
    let unknown =
        [id.to_lowercase(), format!("{id}A"), id[1..].to_owned(), "x".repeat(128), "*".to_owned(), ".".to_owned()];
    let mut mutants: Vec<_> = unknown.iter().map(|other| good.authorization(id, other, UnrecognizedClient)).collect();
    // The other tenant's id with our signature: its secret makes another one (INV-67).
    mutants.push(good.authorization(id, "AKIABBBBBBBBBBBBBBBB", InvalidSignature));
    mutants.push(good.authorization(id, &"x".repeat(129), IncompleteSignature));
    mutants.push(good.authorization(id, "", IncompleteSignature));
    mutants
}

fn scope_characters(good: &Good) -> Vec<Mutant> {
    let parts: Vec<&str> = good.member("Credential=", ',').split('/').collect();
    let mut mutants = Vec::new();
    for (position, part) in parts.iter().enumerate().skip(1) {
        // Date, region and service are compared with ours; the end is part of the form.
        let expected = if position == 4 { IncompleteSignature } else { InvalidSignature };
        for other in rotations(part) {
            let mut all = parts.clone();
            all[position] = &other;
            mutants.push(good.authorization(&parts.join("/"), &all.join("/"), expected));
        }
    }
    mutants
}

fn scopes(good: &Good) -> Vec<Mutant> {
    let scope = good.member("Credential=", ',');
    let parts: Vec<&str> = scope.split('/').collect();
    let mut mutants = Vec::new();
    for position in 0..parts.len() {
        let (mut without, mut twice, mut empty) = (parts.clone(), parts.clone(), parts.clone());
        without.remove(position);
        twice.insert(position, parts[position]);
        empty[position] = "";
        for other in [without, twice, empty] {
            mutants.push(good.authorization(scope, &other.join("/"), IncompleteSignature));
        }
    }
    for other in [format!("/{scope}"), format!("{scope}/"), scope.replace('/', "%2F"), String::new(), "/".repeat(4)] {
        mutants.push(good.authorization(scope, &other, IncompleteSignature));
    }
    let [id, date, region, service, end] = parts[..] else { panic!("{scope}") };
    for other in [
        format!("{id}/{date}/{service}/{region}/{end}"),
        format!("{id}/{region}/{date}/{service}/{end}"),
        format!("{id}/{date}/us-east-1/{service}/{end}"),
        format!("{id}/{date}/{region}/s3/{end}"),
        format!("{id}/{date}/{}/{service}/{end}", region.to_uppercase()),
        format!("{id}/{date}/{region}/{}/{end}", service.to_uppercase()),
        format!("{id}/{date}/{region}/{}/{end}", if service == "kms" { "sts" } else { "kms" }),
        format!("{id}/19700101/{region}/{service}/{end}"),
    ] {
        mutants.push(good.authorization(scope, &other, InvalidSignature));
    }
    mutants
}

fn list_characters(good: &Good) -> Vec<Mutant> {
    let list = good.member("SignedHeaders=", ',');
    rotations(list).iter().map(|other| good.authorization(list, other, IncompleteSignature)).collect()
}

fn lists(good: &Good) -> Vec<Mutant> {
    let (list, names) = (good.member("SignedHeaders=", ','), good.signed_headers());
    let mut mutants = Vec::new();
    for (position, name) in names.iter().enumerate() {
        let (mut without, mut twice) = (names.clone(), names.clone());
        without.remove(position);
        twice.insert(position, name);
        // A header without a meaning for us may be left out of the list, but the signature is then another one.
        let expected = if name.starts_with("amz-") { InvalidSignature } else { IncompleteSignature };
        mutants.push(good.authorization(list, &without.join(";"), expected));
        mutants.push(good.authorization(list, &twice.join(";"), IncompleteSignature));
    }
    let reversed = names.iter().rev().copied().collect::<Vec<_>>().join(";");
    let malformed = [
        reversed,
        list.to_uppercase(),
        format!(";{list}"),
        format!("{list};"),
        list.replacen(';', ";;", 1),
        list.replace(';', " "),
        list.replace(';', "; "),
        list.replacen("host", "Host", 1),
        format!("{list};zzz-missing"),
        String::new(),
    ];
    mutants.extend(malformed.iter().map(|other| good.authorization(list, other, IncompleteSignature)));
    // A header that was sent unsigned cannot be called signed afterwards.
    let with_agent = list.replacen("host;", "host;user-agent;", 1);
    mutants.push(good.authorization(list, &with_agent, InvalidSignature));
    mutants
}

fn members(good: &Good) -> Vec<Mutant> {
    let edits = [
        ("Credential=", "credential="),
        ("Credential=", "Credential"),
        ("Credential=", "Credential=a/20260101/b/c/aws4_request, Credential="),
        ("Credential=", "Token=1, Credential="),
        ("SignedHeaders=", "signedheaders="),
        ("SignedHeaders=", "SignedHeaders=host, SignedHeaders="),
        ("Signature=", "signature="),
        ("Signature=", "Signature=00, Signature="),
        ("Signature=", "Signature =="),
        ("Signature=", ", Signature="),
        (", ", " "),
        (", ", "; "),
        (", ", ",, "),
    ];
    edits.into_iter().map(|(from, to)| good.authorization(from, to, IncompleteSignature)).collect()
}

fn headers(good: &Good) -> Vec<Mutant> {
    let header = good.header("authorization");
    let members: Vec<&str> = header.split(", ").collect();
    let mut others = vec![
        String::new(),
        "AWS4-HMAC-SHA256".to_owned(),
        "AWS4-HMAC-SHA256 ".to_owned(),
        "Basic QUtJQTpzZWNyZXQ=".to_owned(),
        "Bearer token".to_owned(),
        format!("{header},"),
        format!("{header}, {header}"),
        format!("{header}, x"),
        header.replace(' ', "\t"),
        header.replacen(' ', "", 1),
    ];
    others.extend((1..members.len()).map(|position| {
        let mut fewer = members.clone();
        fewer.remove(position);
        fewer.join(", ")
    }));
    good.with_each("authorization", IncompleteSignature, others)
}
