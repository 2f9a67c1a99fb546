//! Who may do what, and that nobody can tell another tenant's objects from none (INV-60, INV-67).

use std::sync::atomic::Ordering;

use serde_json::{Value, json};
use uuid::Uuid;

use super::bench::*;
use crate::index::Account;

/// Every operation on one key, with `id` in the place of the key.
fn on_key(id: &str) -> Vec<(&'static str, Value)> {
    vec![
        ("DescribeKey", json!({"KeyId": id})),
        ("Encrypt", json!({"KeyId": id, "Plaintext": "aGk="})),
        ("GenerateDataKey", json!({"KeyId": id, "KeySpec": "AES_256"})),
        ("GenerateDataKeyWithoutPlaintext", json!({"KeyId": id, "KeySpec": "AES_256"})),
        ("Decrypt", json!({"KeyId": id, "CiphertextBlob": "aGk="})),
        ("ListAliases", json!({"KeyId": id})),
    ]
}

fn without_id(body: &[u8], id: &str) -> String {
    String::from_utf8(body.to_vec()).unwrap().replace(id, "ID")
}

#[tokio::test]
async fn a_key_of_another_tenant_is_answered_byte_for_byte_like_a_key_that_never_was() {
    let bench = Bench::new();
    let (foreign, absent) = (KEY_B.to_string(), Uuid::from_u128(0xffff_abcd_12ab_44cd_96ef_1234_5678_90ab).to_string());
    for ((operation, real), (_, none)) in on_key(&foreign).into_iter().zip(on_key(&absent)) {
        let (real, none) = (bench.a.call(operation, &real).await, bench.a.call(operation, &none).await);
        assert_eq!(real.error(), "NotFoundException", "{operation}");
        assert_eq!(without_id(&real.body, &foreign), without_id(&none.body, &absent), "{operation}");
        assert_eq!(real.status, none.status);
    }
}

#[tokio::test]
async fn a_foreign_arn_is_denied_alike_whether_it_exists_or_not() {
    let bench = Bench::new();
    let absent_id = Uuid::from_u128(0xffff_abcd_12ab_44cd_96ef_1234_5678_90ab);
    let absent_account = "999999999999";
    let exists = arn(ACCOUNT_B, KEY_B);
    for other in [arn(ACCOUNT_B, absent_id), arn(absent_account, KEY_B), arn(absent_account, absent_id)] {
        for ((operation, real), (_, none)) in on_key(&exists).into_iter().zip(on_key(&other)) {
            let (real, none) = (bench.a.call(operation, &real).await, bench.a.call(operation, &none).await);
            assert_eq!(real.error(), "AccessDeniedException", "{operation}");
            assert_eq!(without_id(&real.body, &exists), without_id(&none.body, &other), "{operation}");
        }
    }
    let alias = format!("arn:aws:kms:{REGION}:{ACCOUNT_B}:alias/quickstart");
    let answer = bench.a.call("DescribeKey", &json!({"KeyId": alias})).await;
    assert_eq!(answer.error(), "AccessDeniedException");
}

#[tokio::test]
async fn an_alias_means_the_callers_own_key() {
    let bench = Bench::new();
    let body = json!({"KeyId": "alias/quickstart"});
    assert_eq!(bench.a.call("DescribeKey", &body).await.json()["KeyMetadata"]["KeyId"], KEY_A.to_string());
    assert_eq!(bench.b.call("DescribeKey", &body).await.json()["KeyMetadata"]["KeyId"], KEY_B.to_string());
}

#[tokio::test]
async fn another_tenants_ciphertext_is_answered_like_any_foreign_ciphertext() {
    let bench = Bench::new();
    let sealed = bench.b.call("Encrypt", &json!({"KeyId": KEY_B, "Plaintext": "aGk="})).await.json();
    let theirs = bench.a.call("Decrypt", &json!({"CiphertextBlob": sealed["CiphertextBlob"]})).await;
    let nonsense = bench.a.call("Decrypt", &json!({"CiphertextBlob": "aGk="})).await;
    assert_eq!(theirs.error(), "InvalidCiphertextException");
    assert_eq!(theirs.body, nonsense.body);
}

#[tokio::test]
async fn stores_and_lists_show_only_ones_own() {
    let bench = Bench::new();
    for operation in ["ConnectCustomKeyStore", "DisconnectCustomKeyStore", "DescribeCustomKeyStores"] {
        let theirs = bench.a.call(operation, &json!({"CustomKeyStoreId": STORE_B})).await;
        let none = bench.a.call(operation, &json!({"CustomKeyStoreId": "cks-00000000000000000"})).await;
        assert_eq!(theirs.error(), "CustomKeyStoreNotFoundException");
        assert_eq!(without_id(&theirs.body, STORE_B), without_id(&none.body, "cks-00000000000000000"));
    }
    let everything = [
        bench.a.call("ListKeys", &json!({})).await.json(),
        bench.a.call("ListAliases", &json!({})).await.json(),
        bench.a.call("DescribeCustomKeyStores", &json!({})).await.json(),
    ];
    for list in everything {
        let text = list.to_string();
        assert!(!text.contains(&KEY_B.to_string()) && !text.contains(ACCOUNT_B) && !text.contains(STORE_B), "{text}");
    }
    assert_eq!(bench.kube.written(), [""; 0]);
}

#[tokio::test]
async fn what_rbac_denies_is_denied_with_the_callers_and_the_keys_arn() {
    let bench = Bench::new();
    for operation in crate::Operation::ALL {
        bench.rbac.denied.lock().unwrap().insert(operation.verb());
    }
    let store = json!({"CustomKeyStoreId": STORE_A});
    let mut calls = on_key(&KEY_A.to_string());
    calls.retain(|(operation, _)| *operation != "Decrypt");
    calls.extend([
        ("ListKeys", json!({})),
        ("ListAliases", json!({})),
        ("GenerateRandom", json!({"NumberOfBytes": 1})),
        ("DescribeCustomKeyStores", json!({})),
        ("ConnectCustomKeyStore", store.clone()),
        ("DisconnectCustomKeyStore", store),
        ("CreateKey", json!({"Origin": "AWS_CLOUDHSM", "CustomKeyStoreId": STORE_A})),
    ]);
    for (operation, body) in calls {
        let answer = bench.a.call(operation, &body).await;
        assert_eq!(answer.error(), "AccessDeniedException", "{operation}");
        let begins = format!(
            "User: arn:aws:iam::{ACCOUNT_A}:user/app is not authorized to perform: kms:{operation} on resource: "
        );
        assert!(answer.message().starts_with(&begins), "{}", answer.message());
    }
    assert_eq!(bench.kube.written(), [""; 0]);
    assert_eq!(bench.hsms.calls.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn rbac_is_asked_for_the_verb_on_the_object_in_the_callers_namespace() {
    let bench = Bench::new();
    bench.a.call("Encrypt", &json!({"KeyId": "alias/quickstart", "Plaintext": "aGk="})).await;
    bench.b.call("ListKeys", &json!({})).await;
    bench.a.call("DisconnectCustomKeyStore", &json!({"CustomKeyStoreId": STORE_A})).await;
    let asked = bench.rbac.asked.lock().unwrap();
    let asked: Vec<_> = asked
        .iter()
        .map(|question| (question.rbac_user(), question.verb, question.resource.plural(), question.name.as_deref()))
        .collect();
    assert_eq!(
        asked,
        [
            ("keystores.dev:team-a:app".to_owned(), "encrypt", "kmskeys", Some("quickstart")),
            ("keystores.dev:team-b:app".to_owned(), "listKeys", "kmskeys", None),
            (
                "keystores.dev:team-a:app".to_owned(),
                "disconnectCustomKeyStore",
                "customkeystores",
                Some("payments-store")
            ),
        ]
    );
}

#[tokio::test]
async fn without_a_decision_nobody_gets_in_and_the_caller_is_told_to_retry() {
    let bench = Bench::new();
    bench.rbac.away.store(true, Ordering::SeqCst);
    let answer = bench.a.call("Encrypt", &json!({"KeyId": KEY_A, "Plaintext": "aGk="})).await;
    assert_eq!((answer.error().as_str(), answer.status.as_u16()), ("DependencyTimeoutException", 500));
    assert_eq!(bench.hsms.calls.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn an_access_key_dies_with_its_account_and_does_not_follow_its_namespace_to_another() {
    let bench = Bench::new();
    let tenant = bench.index.tenant("team-a").unwrap();
    for account in [None, Some(Account { id: ACCOUNT_B.to_owned() })] {
        tenant.set_account(account);
        assert_eq!(bench.a.call("ListKeys", &json!({})).await.error(), "UnrecognizedClientException");
    }
    tenant.set_account(Some(Account { id: ACCOUNT_A.to_owned() }));
    assert_eq!(bench.a.call("ListKeys", &json!({})).await.status, 200);
    bench.index.remove_credential(bench.a.access_key_id);
    assert_eq!(bench.a.call("ListKeys", &json!({})).await.error(), "UnrecognizedClientException");
}

#[tokio::test]
async fn a_key_that_another_replica_has_just_made_is_found_by_a_live_read() {
    let bench = Bench::new();
    let id = Uuid::from_u128(0x7777_abcd_12ab_44cd_96ef_1234_5678_90ab);
    bench.kube.unseen.lock().unwrap().push(("team-a".to_owned(), key("fresh", ACCOUNT_A, id, STORE_A)));
    let body = json!({"KeyId": id});
    assert_eq!(bench.a.call("DescribeKey", &body).await.status, 200);
    assert_eq!(bench.b.call("DescribeKey", &body).await.error(), "NotFoundException", "INV-67");
}

#[tokio::test]
async fn a_second_object_cannot_take_over_the_id_of_a_published_key() {
    let bench = Bench::new();
    let mut impostor = key("impostor", ACCOUNT_A, KEY_A, STORE_A);
    impostor.published.as_mut().unwrap().description = "impostor".to_owned();
    bench.index.put_key("team-a", impostor);
    let shown = bench.a.call("DescribeKey", &json!({"KeyId": KEY_A})).await.json();
    assert_eq!(shown["KeyMetadata"]["Description"], "the quickstart's key");
    bench.index.remove_key("team-a", "impostor");
    assert_eq!(bench.a.call("DescribeKey", &json!({"KeyId": KEY_A})).await.status, 200);
}
