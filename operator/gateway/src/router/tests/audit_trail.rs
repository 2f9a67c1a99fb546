//! One record per request, before the reply, without secrets; and no changes while records cannot be written (INV-69).

use std::sync::atomic::Ordering;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::bench::*;

#[tokio::test]
async fn each_request_has_one_record_with_the_request_id_of_its_answer() {
    let bench = Bench::new();
    let mut ids = Vec::new();
    for (operation, body) in [
        ("Encrypt", json!({"KeyId": KEY_A, "Plaintext": "aGk="})),
        ("Encrypt", json!({"KeyId": "alias/none", "Plaintext": "aGk="})),
        ("MakeCoffee", json!({})),
        ("Sign", json!({})),
    ] {
        let answer = bench.a.call(operation, &body).await;
        ids.push(answer.headers["x-amzn-requestid"].to_str().unwrap().to_owned());
    }
    ids.push(
        bench.a.form("Action=GetCallerIdentity&Version=2011-06-15").await.headers["x-amzn-requestid"]
            .to_str()
            .unwrap()
            .to_owned(),
    );
    let records = bench.records();
    let recorded: Vec<_> = records.iter().map(|record| record["requestID"].as_str().unwrap().to_owned()).collect();
    assert_eq!(recorded, ids);
    assert!(records.iter().all(|record| record["userIdentity"]["arn"] == "arn:aws:iam::111122223333:user/app"));
}

#[tokio::test]
async fn a_record_of_a_key_in_a_store_has_the_documented_members() {
    let bench = Bench::new();
    let body =
        json!({"KeyId": "alias/quickstart", "Plaintext": "aGk=", "EncryptionContext": {"Department": "Engineering"}});
    bench.a.call("Encrypt", &body).await;
    let record = bench.records().remove(0);
    let expected = [
        ("/eventName", json!("Encrypt")),
        ("/eventSource", json!("kms.amazonaws.com")),
        ("/awsRegion", json!(REGION)),
        ("/sourceIPAddress", json!("192.0.2.10")),
        ("/userAgent", json!("test-client/1")),
        ("/requestParameters/keyId", json!("alias/quickstart")),
        ("/requestParameters/encryptionContext", json!({"Department": "Engineering"})),
        ("/requestParameters/encryptionAlgorithm", json!("SYMMETRIC_DEFAULT")),
        ("/responseElements", Value::Null),
        ("/additionalEventData/customKeyStoreId", json!(STORE_A)),
        ("/readOnly", json!(true)),
        ("/resources/0/ARN", json!(arn(ACCOUNT_A, KEY_A))),
        ("/recipientAccountId", json!(ACCOUNT_A)),
        ("/userIdentity/accessKeyId", json!(bench.a.access_key_id)),
    ];
    for (pointer, value) in expected {
        assert_eq!(record.pointer(pointer), Some(&value), "{pointer}");
    }
}

#[tokio::test]
async fn denied_and_unauthenticated_requests_are_recorded() {
    let bench = Bench::new();
    bench.rbac.denied.lock().unwrap().insert("encrypt");
    bench.a.call("Encrypt", &json!({"KeyId": KEY_A, "Plaintext": "aGk="})).await;
    let mut forged = bench.a.signed("kms", &[("x-amz-target", "TrentService.Encrypt")], b"{}");
    forged.body.push(b' ');
    bench.a.send(forged).await;
    let records = bench.records();
    assert_eq!(records[0]["errorCode"], "AccessDenied", "AUD-13");
    assert_eq!(records[1]["errorCode"], "InvalidSignatureException");
    assert_eq!(records[1]["userIdentity"], json!({"type": "Unknown", "accessKeyId": bench.a.access_key_id}));
    assert_eq!(records[1]["eventName"], "Encrypt");
}

#[tokio::test]
async fn no_secret_plaintext_ciphertext_or_token_is_ever_recorded() {
    let bench = Bench::new();
    let canary = b"canary-plaintext-of-the-caller";
    let plaintext = STANDARD.encode(canary);
    let sealed = bench.a.call("Encrypt", &json!({"KeyId": KEY_A, "Plaintext": plaintext})).await.json();
    let blob = sealed["CiphertextBlob"].as_str().unwrap().to_owned();
    bench.a.call("Decrypt", &json!({"CiphertextBlob": blob})).await;
    bench.a.call("Decrypt", &json!({"CiphertextBlob": blob, "EncryptionContext": {"a": "1"}})).await;
    bench.a.call("Encrypt", &json!({"KeyId": KEY_A, "Plaintext": format!("{plaintext}!")})).await;
    bench.a.call_raw("Encrypt", format!("{{\"Plaintext\": \"{plaintext}\"").as_bytes()).await;
    let token = json!({"KeyId": KEY_A, "Plaintext": plaintext, "GrantTokens": ["canary-grant-token"]});
    bench.a.call("Encrypt", &token).await;
    let made = bench.a.call("GenerateDataKey", &json!({"KeyId": KEY_A, "KeySpec": "AES_256"})).await.json();
    let random = bench.a.call("GenerateRandom", &json!({"NumberOfBytes": 48})).await.json();

    let written = String::from_utf8(bench.output.0.lock().unwrap().clone()).unwrap();
    assert_eq!(written.lines().count(), 8);
    let data_key = made["Plaintext"].as_str().unwrap();
    let canaries = [
        "canary",
        plaintext.as_str(),
        blob.as_str(),
        data_key,
        made["CiphertextBlob"].as_str().unwrap(),
        random["Plaintext"].as_str().unwrap(),
        &hex::encode(canary),
        &hex::encode(STANDARD.decode(data_key).unwrap()),
        bench.a.secret,
    ];
    for canary in canaries {
        assert!(!written.contains(canary), "{canary}");
    }
}

#[tokio::test]
async fn while_records_cannot_be_written_nothing_is_changed_and_no_protected_data_leaves() {
    let bench = Bench::new();
    bench.output.1.store(true, Ordering::SeqCst);
    for (operation, body) in [
        ("Encrypt", json!({"KeyId": KEY_A, "Plaintext": "aGk="})),
        ("GenerateDataKey", json!({"KeyId": KEY_A, "KeySpec": "AES_256"})),
        ("DisconnectCustomKeyStore", json!({"CustomKeyStoreId": STORE_A})),
        ("CreateKey", json!({"Origin": "AWS_CLOUDHSM", "CustomKeyStoreId": STORE_A})),
    ] {
        let answer = bench.a.call(operation, &body).await;
        assert_eq!(answer.error(), "KMSInternalException", "{operation}");
        assert!(!answer.json().to_string().contains("Plaintext"));
    }
    assert_eq!(bench.kube.written(), [""; 0], "refused before the change, not after");
    assert_eq!(bench.a.call("DescribeKey", &json!({"KeyId": KEY_A})).await.status, 200, "reads go on");

    bench.output.1.store(false, Ordering::SeqCst);
    assert_eq!(bench.a.call("ListKeys", &json!({})).await.status, 200);
    assert_eq!(bench.a.call("DisconnectCustomKeyStore", &json!({"CustomKeyStoreId": STORE_A})).await.status, 200);
}
