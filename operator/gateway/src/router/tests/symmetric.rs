//! Encrypt, Decrypt, data keys, random data: round trips, states, limits, dry runs.

use std::sync::atomic::Ordering;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use operator_api::ConnectionState;
use operator_api::kms_key::KeyState;
use serde_json::{Value, json};

use super::bench::*;
use crate::crypto::CryptoError;

fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

async fn encrypt(bench: &Bench, context: Value) -> String {
    let body = json!({"KeyId": KEY_A, "Plaintext": base64(b"hello"), "EncryptionContext": context});
    let answer = bench.a.call("Encrypt", &body).await;
    assert_eq!(answer.status, 200, "{}", answer.json());
    answer.json()["CiphertextBlob"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn what_was_encrypted_under_any_of_the_four_names_decrypts_without_a_name() {
    let bench = Bench::new();
    let alias_arn = format!("arn:aws:kms:{REGION}:{ACCOUNT_A}:alias/quickstart");
    for name in [KEY_A.to_string(), arn(ACCOUNT_A, KEY_A), "alias/quickstart".to_owned(), alias_arn] {
        let sealed = bench.a.call("Encrypt", &json!({"KeyId": name, "Plaintext": base64(b"hello")})).await;
        assert_eq!(sealed.status, 200, "{}", sealed.json());
        assert_eq!(sealed.json()["KeyId"], arn(ACCOUNT_A, KEY_A), "KEY-14");
        assert_eq!(sealed.json()["EncryptionAlgorithm"], "SYMMETRIC_DEFAULT");
        let opened = bench.a.call("Decrypt", &json!({"CiphertextBlob": sealed.json()["CiphertextBlob"]})).await;
        assert_eq!(opened.json()["Plaintext"], base64(b"hello"), "{name}");
        assert_eq!(opened.json()["KeyId"], arn(ACCOUNT_A, KEY_A));
    }
}

#[tokio::test]
async fn a_context_must_match_exactly_but_for_its_order() {
    let bench = Bench::new();
    let blob = encrypt(&bench, json!({"a": "1", "b": "2"})).await;
    let table = [
        (json!({"b": "2", "a": "1"}), "no error"),
        (json!({"a": "1"}), "InvalidCiphertextException"),
        (json!({"a": "1", "B": "2"}), "InvalidCiphertextException"),
        (json!({"a": "1", "b": "2 "}), "InvalidCiphertextException"),
        (Value::Null, "InvalidCiphertextException"),
    ];
    for (context, expected) in table {
        let body = json!({"CiphertextBlob": blob, "EncryptionContext": context});
        assert_eq!(bench.a.call("Decrypt", &body).await.error(), expected, "KEY-40 {context}");
    }
}

#[tokio::test]
async fn a_ciphertext_that_cannot_be_opened_has_one_answer_inv_60() {
    let bench = Bench::new();
    let blob = STANDARD.decode(encrypt(&bench, json!({"a": "1"})).await).unwrap();
    let flip = |position: usize| {
        let mut bytes = blob.clone();
        bytes[position] ^= 1;
        base64(&bytes)
    };
    let bodies = [
        json!({"CiphertextBlob": base64(&blob)}),
        json!({"CiphertextBlob": flip(0), "EncryptionContext": {"a": "1"}}),
        json!({"CiphertextBlob": flip(3), "EncryptionContext": {"a": "1"}}),
        json!({"CiphertextBlob": flip(40), "EncryptionContext": {"a": "1"}}),
        json!({"CiphertextBlob": flip(blob.len() - 1), "EncryptionContext": {"a": "1"}}),
        json!({"CiphertextBlob": base64(&blob[..blob.len() - 20]), "EncryptionContext": {"a": "1"}}),
        json!({"CiphertextBlob": base64(b"x"), "EncryptionContext": {"a": "1"}}),
    ];
    let mut answers = Vec::new();
    for body in &bodies {
        let answer = bench.a.call("Decrypt", body).await;
        assert_eq!(answer.error(), "InvalidCiphertextException", "{body}");
        answers.push(answer.body);
    }
    assert!(answers.windows(2).all(|two| two[0] == two[1]), "the answers differ");
}

#[tokio::test]
async fn a_named_key_that_did_not_make_the_ciphertext_is_the_incorrect_key() {
    let bench = Bench::new();
    let other = uuid::Uuid::from_u128(7 << 64 | 0x4000_0000_0000_0000_0000 | 8 << 60);
    bench.index.put_key("team-a", key("other", ACCOUNT_A, other, STORE_A));
    let blob = encrypt(&bench, json!({})).await;
    let answer = bench.a.call("Decrypt", &json!({"CiphertextBlob": blob, "KeyId": other})).await;
    assert_eq!(answer.error(), "IncorrectKeyException", "KEY-42");
    let right = bench.a.call("Decrypt", &json!({"CiphertextBlob": blob, "KeyId": "alias/quickstart"})).await;
    assert_eq!(right.status, 200);
}

#[tokio::test]
async fn data_keys_have_the_asked_length_and_open_with_decrypt() {
    let bench = Bench::new();
    for (member, value, length) in
        [("KeySpec", json!("AES_256"), 32), ("KeySpec", json!("AES_128"), 16), ("NumberOfBytes", json!(1024), 1024)]
    {
        let made = bench.a.call("GenerateDataKey", &json!({"KeyId": KEY_A, member: value})).await.json();
        let plaintext = STANDARD.decode(made["Plaintext"].as_str().unwrap()).unwrap();
        assert_eq!(plaintext.len(), length, "KEY-45");
        let opened = bench.a.call("Decrypt", &json!({"CiphertextBlob": made["CiphertextBlob"]})).await.json();
        assert_eq!(opened["Plaintext"], made["Plaintext"]);
        let sealed =
            bench.a.call("GenerateDataKeyWithoutPlaintext", &json!({"KeyId": KEY_A, member: value})).await.json();
        assert!(sealed.get("Plaintext").is_none() && sealed.get("CiphertextBlob").is_some());
    }
}

#[tokio::test]
async fn random_bytes_come_from_the_service_or_from_the_stores_hsms() {
    let bench = Bench::new();
    let local = bench.a.call("GenerateRandom", &json!({"NumberOfBytes": 32})).await.json();
    assert_eq!(STANDARD.decode(local["Plaintext"].as_str().unwrap()).unwrap().len(), 32);
    assert_eq!(bench.hsms.calls.load(Ordering::SeqCst), 0);
    let drawn = bench.a.call("GenerateRandom", &json!({"NumberOfBytes": 3, "CustomKeyStoreId": STORE_A})).await.json();
    assert_eq!(drawn["Plaintext"], base64(&[0xab; 3]), "CKS-97");
    bench.set_store(|store| store.state = ConnectionState::Failed);
    let refused = bench.a.call("GenerateRandom", &json!({"NumberOfBytes": 3, "CustomKeyStoreId": STORE_A})).await;
    assert_eq!(refused.error(), "CustomKeyStoreInvalidStateException");
}

#[tokio::test]
async fn the_keys_state_decides_as_the_documented_table_says() {
    let bench = Bench::new();
    let blob = encrypt(&bench, json!({})).await;
    let arn = arn(ACCOUNT_A, KEY_A);
    let table = [
        (KeyState::Disabled, "DisabledException", "is disabled."),
        (KeyState::PendingDeletion, "KMSInvalidStateException", "is pending deletion (or pending replica deletion)."),
        (KeyState::PendingImport, "KMSInvalidStateException", "is pending import."),
        (KeyState::Unavailable, "KMSInvalidStateException", "is unavailable."),
        (KeyState::Creating, "KMSInvalidStateException", "is creating."),
    ];
    let calls_before = bench.hsms.calls.load(Ordering::SeqCst);
    for (state, code, text) in table {
        bench.set_key(|key| key.published.as_mut().unwrap().state = state);
        for (operation, body) in [
            ("Encrypt", json!({"KeyId": KEY_A, "Plaintext": "aGk="})),
            ("Decrypt", json!({"CiphertextBlob": blob})),
            ("GenerateDataKey", json!({"KeyId": KEY_A, "KeySpec": "AES_256"})),
            ("GenerateDataKeyWithoutPlaintext", json!({"KeyId": KEY_A, "KeySpec": "AES_256"})),
        ] {
            let answer = bench.a.call(operation, &body).await;
            assert_eq!((answer.error().as_str(), answer.message()), (code, format!("{arn} {text}")), "{operation}");
        }
        assert_eq!(
            bench.a.call("DescribeKey", &json!({"KeyId": KEY_A})).await.json()["KeyMetadata"]["KeyState"],
            state.as_str()
        );
    }
    assert_eq!(bench.hsms.calls.load(Ordering::SeqCst), calls_before, "no HSM was asked");
}

#[tokio::test]
async fn a_key_is_unavailable_while_its_store_is_not_connected_and_comes_back_by_itself() {
    let bench = Bench::new();
    let blob = encrypt(&bench, json!({})).await;
    for state in [
        ConnectionState::Disconnected,
        ConnectionState::Disconnecting,
        ConnectionState::Connecting,
        ConnectionState::Failed,
    ] {
        bench.set_store(|store| store.state = state);
        let answer = bench.a.call("Decrypt", &json!({"CiphertextBlob": blob})).await;
        assert_eq!(answer.error(), "KMSInvalidStateException", "spec 2.11");
        assert_eq!(answer.message(), format!("{} is unavailable.", arn(ACCOUNT_A, KEY_A)));
        let shown = bench.a.call("DescribeKey", &json!({"KeyId": KEY_A})).await.json();
        assert_eq!(shown["KeyMetadata"]["KeyState"], "Unavailable");
        assert_eq!(shown["KeyMetadata"]["Enabled"], false);
    }
    bench.set_key(|key| key.published.as_mut().unwrap().state = KeyState::PendingDeletion);
    let shown = bench.a.call("DescribeKey", &json!({"KeyId": KEY_A})).await.json();
    assert_eq!(shown["KeyMetadata"]["KeyState"], "PendingDeletion", "INV-35");
    bench.set_key(|key| key.published.as_mut().unwrap().state = KeyState::Enabled);
    bench.set_store(|store| store.state = ConnectionState::Connected);
    assert_eq!(bench.a.call("Decrypt", &json!({"CiphertextBlob": blob})).await.status, 200, "CKS-90");
}

#[tokio::test]
async fn a_cluster_that_cannot_be_reached_is_a_400_with_the_documented_text_scn_10() {
    let bench = Bench::new();
    let body = json!({"KeyId": KEY_A, "Plaintext": "aGk="});
    let text = "KMS cannot communicate with your CloudHSM cluster";
    bench.hsms.fail(Some(CryptoError::Unavailable));
    let answer = bench.a.call("Encrypt", &body).await;
    assert_eq!(
        (answer.status.as_u16(), answer.error().as_str(), answer.message().as_str()),
        (400, "KMSInvalidStateException", text)
    );
    let shown = bench.a.call("DescribeKey", &json!({"KeyId": KEY_A})).await.json();
    assert_eq!(shown["KeyMetadata"]["KeyState"], "Enabled", "CKS-94");
    bench.hsms.fail(None);
    assert_eq!(bench.a.call("Encrypt", &body).await.status, 200);
    bench.hsms.disconnect();
    assert_eq!(bench.a.call("Encrypt", &body).await.message(), text, "SCN-17");
}

#[tokio::test]
async fn each_refusal_of_the_hsms_has_its_documented_answer() {
    let bench = Bench::new();
    let table = [
        (CryptoError::Unavailable, "KMSInvalidStateException", 400),
        (CryptoError::NotConnected, "KMSInvalidStateException", 400),
        (CryptoError::KeyMissing, "KMSInvalidStateException", 400),
        (CryptoError::KeyNotUsable, "DisabledException", 400),
        (CryptoError::CiphertextInvalid, "InvalidCiphertextException", 400),
        (CryptoError::Busy, "ThrottlingException", 400),
        (CryptoError::Internal, "KMSInternalException", 500),
    ];
    for (failure, code, status) in table {
        bench.hsms.fail(Some(failure));
        let answer = bench.a.call("Encrypt", &json!({"KeyId": KEY_A, "Plaintext": "aGk="})).await;
        assert_eq!((answer.error().as_str(), answer.status.as_u16()), (code, status), "{failure:?}");
    }
}

#[tokio::test]
async fn a_dry_run_never_does_the_work_and_always_fails_key_141() {
    let bench = Bench::new();
    let blob = encrypt(&bench, json!({})).await;
    for (operation, body) in [
        ("Encrypt", json!({"KeyId": KEY_A, "Plaintext": "aGk=", "DryRun": true})),
        ("Decrypt", json!({"CiphertextBlob": blob, "DryRun": true})),
        ("Decrypt", json!({"KeyId": KEY_A, "DryRun": true, "DryRunModifiers": ["IGNORE_CIPHERTEXT"]})),
        ("GenerateDataKey", json!({"KeyId": KEY_A, "KeySpec": "AES_256", "DryRun": true})),
        ("GenerateDataKeyWithoutPlaintext", json!({"KeyId": KEY_A, "KeySpec": "AES_256", "DryRun": true})),
    ] {
        assert_eq!(bench.a.call(operation, &body).await.error(), "DryRunOperationException", "{operation}");
    }
    let wrong = json!({"CiphertextBlob": blob, "EncryptionContext": {"a": "1"}, "DryRun": true});
    assert_eq!(
        bench.a.call("Decrypt", &wrong).await.error(),
        "InvalidCiphertextException",
        "the true error comes first"
    );
    let alone = json!({"KeyId": KEY_A, "DryRunModifiers": ["IGNORE_CIPHERTEXT"]});
    assert_eq!(bench.a.call("Decrypt", &alone).await.error(), "ValidationException", "KEY-142");
}
