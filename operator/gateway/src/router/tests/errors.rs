//! Bad input: each mistake has its documented answer, and changes nothing.

use serde_json::{Value, json};

use super::bench::*;

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one table")]
async fn every_broken_parameter_has_its_documented_error() {
    let bench = Bench::new();
    let long = |length: usize| "x".repeat(length);
    let blob = |length: usize| {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.encode(vec![7; length])
    };
    let table: Vec<(&str, Value, &str)> = vec![
        ("Encrypt", json!({}), "ValidationException"),
        ("Encrypt", json!({"KeyId": KEY_A}), "ValidationException"),
        ("Encrypt", json!({"Plaintext": "aGk="}), "ValidationException"),
        ("Encrypt", json!({"KeyId": "", "Plaintext": "aGk="}), "ValidationException"),
        ("Encrypt", json!({"KeyId": long(2_049), "Plaintext": "aGk="}), "ValidationException"),
        ("Encrypt", json!({"KeyId": KEY_A, "Plaintext": ""}), "ValidationException"),
        ("Encrypt", json!({"KeyId": KEY_A, "Plaintext": blob(4_096)}), "no error"),
        ("Encrypt", json!({"KeyId": KEY_A, "Plaintext": blob(4_097)}), "ValidationException"),
        ("Encrypt", json!({"KeyId": KEY_A, "Plaintext": "aGk"}), "SerializationException"),
        ("Encrypt", json!({"KeyId": KEY_A, "Plaintext": 7}), "SerializationException"),
        ("Encrypt", json!({"KeyId": 7, "Plaintext": "aGk="}), "SerializationException"),
        ("Encrypt", json!([]), "SerializationException"),
        (
            "Encrypt",
            json!({"KeyId": KEY_A, "Plaintext": "aGk=", "EncryptionContext": {"a": 1}}),
            "SerializationException",
        ),
        ("Encrypt", json!({"KeyId": KEY_A, "Plaintext": "aGk=", "EncryptionContext": {"a": long(8_179)}}), "no error"),
        (
            "Encrypt",
            json!({"KeyId": KEY_A, "Plaintext": "aGk=", "EncryptionContext": {"a": long(8_180)}}),
            "ValidationException",
        ),
        (
            "Encrypt",
            json!({"KeyId": KEY_A, "Plaintext": "aGk=", "EncryptionAlgorithm": "SYMMETRIC_DEFAULT"}),
            "no error",
        ),
        (
            "Encrypt",
            json!({"KeyId": KEY_A, "Plaintext": "aGk=", "EncryptionAlgorithm": "RSAES_OAEP_SHA_256"}),
            "InvalidKeyUsageException",
        ),
        (
            "Encrypt",
            json!({"KeyId": KEY_A, "Plaintext": "aGk=", "EncryptionAlgorithm": "ROT13"}),
            "ValidationException",
        ),
        ("Encrypt", json!({"KeyId": KEY_A, "Plaintext": "aGk=", "GrantTokens": []}), "no error"),
        ("Encrypt", json!({"KeyId": KEY_A, "Plaintext": "aGk=", "GrantTokens": ["t"]}), "InvalidGrantTokenException"),
        ("Encrypt", json!({"KeyId": KEY_A, "Plaintext": "aGk=", "GrantTokens": vec!["t"; 11]}), "ValidationException"),
        ("Encrypt", json!({"KeyId": KEY_A, "Plaintext": "aGk=", "Unknown": {"ignored": true}}), "no error"),
        ("Encrypt", json!({"KeyId": "not-a-key", "Plaintext": "aGk="}), "NotFoundException"),
        ("Encrypt", json!({"KeyId": "arn:aws:kms:local-1:1:key/x", "Plaintext": "aGk="}), "NotFoundException"),
        ("Encrypt", json!({"KeyId": "alias/none", "Plaintext": "aGk="}), "NotFoundException"),
        ("DescribeKey", json!({"KeyId": "arn:aws:kms:local-1:1:key/x"}), "InvalidArnException"),
        ("DescribeKey", json!({}), "ValidationException"),
        ("Decrypt", json!({}), "ValidationException"),
        ("Decrypt", json!({"CiphertextBlob": blob(6_144)}), "InvalidCiphertextException"),
        ("Decrypt", json!({"CiphertextBlob": blob(6_145)}), "ValidationException"),
        ("Decrypt", json!({"CiphertextBlob": "aGk=", "Recipient": {}}), "UnsupportedOperationException"),
        ("GenerateDataKey", json!({"KeyId": KEY_A}), "ValidationException"),
        ("GenerateDataKey", json!({"KeyId": KEY_A, "KeySpec": "AES_256", "NumberOfBytes": 32}), "ValidationException"),
        ("GenerateDataKey", json!({"KeyId": KEY_A, "KeySpec": "AES_512"}), "ValidationException"),
        ("GenerateDataKey", json!({"KeyId": KEY_A, "NumberOfBytes": 0}), "ValidationException"),
        ("GenerateDataKey", json!({"KeyId": KEY_A, "NumberOfBytes": 1_025}), "ValidationException"),
        ("GenerateDataKey", json!({"KeyId": KEY_A, "NumberOfBytes": 1.5}), "SerializationException"),
        ("GenerateRandom", json!({}), "ValidationException"),
        ("GenerateRandom", json!({"NumberOfBytes": 1_025}), "ValidationException"),
        ("GenerateRandom", json!({"NumberOfBytes": 1, "CustomKeyStoreId": "cks-0"}), "CustomKeyStoreNotFoundException"),
        ("ListKeys", json!({"Limit": 0}), "ValidationException"),
        ("ListKeys", json!({"Limit": 1_001}), "ValidationException"),
        ("ListAliases", json!({"Limit": 101}), "ValidationException"),
        ("ListAliases", json!({"KeyId": "alias/quickstart"}), "NotFoundException"),
        (
            "DescribeCustomKeyStores",
            json!({"CustomKeyStoreId": STORE_A, "CustomKeyStoreName": "x"}),
            "ValidationException",
        ),
        ("DescribeCustomKeyStores", json!({"CustomKeyStoreName": "none"}), "CustomKeyStoreNotFoundException"),
        ("ConnectCustomKeyStore", json!({}), "ValidationException"),
        ("ConnectCustomKeyStore", json!({"CustomKeyStoreId": "cks-0"}), "CustomKeyStoreNotFoundException"),
        ("Sign", json!({}), "UnsupportedOperationException"),
        ("ScheduleKeyDeletion", json!({}), "UnsupportedOperationException"),
        ("MakeCoffee", json!({}), "UnknownOperationException"),
    ];
    for (operation, body, expected) in table {
        let answer = bench.a.call(operation, &body).await;
        assert_eq!(answer.error(), expected, "{operation} {body:.200} {}", answer.message());
        assert_eq!(answer.status, if expected == "no error" { 200 } else { 400 });
    }
    assert_eq!(bench.kube.written(), [""; 0], "nothing was changed");
}

#[tokio::test]
async fn a_body_that_is_not_json_is_a_serialization_error_that_repeats_nothing() {
    let bench = Bench::new();
    for body in
        [&b""[..], b"{", b"canary", b"{\"KeyId\": \"canary\"", b"\xff\xfe", b"{\"KeyId\":\"a\",\"KeyId\":\"b\"}"]
    {
        let answer = bench.a.call_raw("Encrypt", body).await;
        assert_eq!(answer.error(), "SerializationException");
        assert!(!answer.message().contains("canary"));
    }
    let nested = [b"[".repeat(30_000), b"]".repeat(30_000)].concat();
    assert_eq!(bench.a.call_raw("Encrypt", &nested).await.error(), "SerializationException");
}

#[tokio::test]
async fn every_route_passes_the_verifier() {
    let bench = Bench::new();
    for operation in crate::Operation::ALL {
        let target = format!("TrentService.{}", operation.name());
        let headers = [("content-type", "application/x-amz-json-1.1"), ("x-amz-target", target.as_str())];
        let mut unsigned = bench.a.signed("kms", &headers, b"{}");
        unsigned.parts.headers.remove("authorization");
        assert_eq!(bench.a.send(unsigned).await.error(), "MissingAuthenticationTokenException");
        let mut changed = bench.a.signed("kms", &headers, b"{}");
        changed.body.push(b' ');
        assert_eq!(bench.a.send(changed).await.error(), "InvalidSignatureException", "{target}");
    }
    for method in ["GET", "PUT", "DELETE", "OPTIONS", "HEAD"] {
        let mut request = bench.a.signed("kms", &[], b"");
        request.parts.method = method.parse().unwrap();
        request.parts.headers.remove("authorization");
        assert_eq!(bench.a.send(request).await.error(), "MissingAuthenticationTokenException", "{method}");
    }
    assert!(bench.rbac.asked.lock().unwrap().is_empty() && bench.kube.written().is_empty());
}

#[tokio::test]
async fn a_signed_request_without_a_target_names_no_operation() {
    let bench = Bench::new();
    let request = bench.a.signed("kms", &[("content-type", "application/x-amz-json-1.1")], b"{}");
    assert_eq!(bench.a.send(request).await.error(), "UnknownOperationException");
}

#[tokio::test]
async fn sts_answers_in_xml_who_the_caller_is_and_what_went_wrong() {
    let bench = Bench::new();
    let answer = bench.a.form("Action=GetCallerIdentity&Version=2011-06-15").await;
    let xml = String::from_utf8(answer.body).unwrap();
    assert_eq!((answer.status.as_u16(), answer.headers["content-type"].to_str().unwrap()), (200, "text/xml"));
    assert!(xml.contains("<Arn>arn:aws:iam::111122223333:user/app</Arn>"), "{xml}");
    assert!(xml.contains("<Account>111122223333</Account>"), "{xml}");
    let mut forged = bench.a.signed(
        "sts",
        &[("content-type", "application/x-www-form-urlencoded")],
        b"Action=GetCallerIdentity&Version=2011-06-15",
    );
    forged.body.push(b'&');
    let refused = bench.a.send(forged).await;
    assert_eq!(refused.status, 403);
    assert!(String::from_utf8(refused.body).unwrap().contains("<Code>SignatureDoesNotMatch</Code>"));
}

#[tokio::test]
async fn the_answer_carries_a_request_id_and_must_not_be_stored() {
    let bench = Bench::new();
    let answer = bench.a.call("ListKeys", &json!({})).await;
    assert!(uuid::Uuid::try_parse(answer.headers["x-amzn-requestid"].to_str().unwrap()).is_ok());
    assert_eq!(answer.headers["content-type"], "application/x-amz-json-1.1");
    assert_eq!(answer.headers["cache-control"], "no-store");
}
