//! The main job on one machine: the quickstart comes up, a stock SDK encrypts and decrypts, disconnect and reconnect.

use anyhow::Result;
use e2e::installation::Installation;
use e2e::quickstart::{self, ALIAS, NAME};
use e2e::sdk::{bytes, bytes_of};
use operator_api::kms_key::KeyState;
use serde_json::json;

/// D6, D8, P2, KEY-40, KEY-42, SCN-1.
#[tokio::test]
async fn the_quickstart_encrypts_and_survives_disconnect_and_a_new_leader() -> Result<()> {
    let mut installation = Installation::start().await?;
    let tenant = quickstart::ready(&installation).await?;
    let mut sdk = quickstart::application(&mut installation).await?;

    let context = json!({ "tenant": "a", "purpose": "test" });
    let request = json!({ "KeyId": ALIAS, "Plaintext": bytes(b"hello"), "EncryptionContext": context });
    let encrypted = sdk.kms("encrypt", &request)?.ok()?;
    let blob = bytes_of(&encrypted, "CiphertextBlob")?;
    let open = |context| json!({ "CiphertextBlob": bytes(&blob), "EncryptionContext": context });
    let opened = sdk.kms("decrypt", &open(context.clone()))?.ok()?;
    assert_eq!(bytes_of(&opened, "Plaintext")?, b"hello");
    assert_eq!(opened["KeyId"], encrypted["KeyId"]);
    for wrong in [json!({}), json!({ "tenant": "b", "purpose": "test" }), json!({ "tenant": "a" })] {
        assert_eq!(sdk.kms("decrypt", &open(wrong))?.code(), "InvalidCiphertextException");
    }

    tenant.disconnect(NAME).await?;
    tenant.key_reaches(NAME, KeyState::Unavailable).await?;
    assert_eq!(sdk.kms("encrypt", &request)?.code(), "KMSInvalidStateException");
    assert_eq!(sdk.kms("decrypt", &open(context.clone()))?.code(), "KMSInvalidStateException");
    tenant.connect(NAME).await?;
    tenant.key_reaches(NAME, KeyState::Enabled).await?;
    let opened = e2e::scenario::eventually_ok(&mut sdk, "decrypt", &open(context.clone())).await?;
    assert_eq!(bytes_of(&opened, "Plaintext")?, b"hello");

    // A new leader takes over with a live data plane (INV-70): crypto goes on, the store stays CONNECTED.
    installation.controllers.clear();
    assert_eq!(bytes_of(&sdk.kms("decrypt", &open(context.clone()))?.ok()?, "Plaintext")?, b"hello");
    installation.start_controllers(2, &[]).await?;
    tenant.declare_key("second", NAME).await?;
    let second = tenant.key_reaches("second", KeyState::Enabled).await?;
    let first = tenant.key_reaches(NAME, KeyState::Enabled).await?;
    assert_ne!(first.spec.material_fingerprint, second.spec.material_fingerprint);
    Ok(())
}

/// Every operation of the first release, by its documented shape (spec 3.4).
#[tokio::test]
async fn every_offered_operation_answers_a_stock_sdk() -> Result<()> {
    let mut installation = Installation::start().await?;
    let tenant = quickstart::ready(&installation).await?;
    let mut sdk = quickstart::application(&mut installation).await?;

    let described = sdk.kms("describe_key", &json!({ "KeyId": ALIAS }))?.ok()?["KeyMetadata"].clone();
    assert_eq!((&described["KeyState"], &described["Origin"]), (&json!("Enabled"), &json!("AWS_CLOUDHSM")));
    let (id, arn) = (described["KeyId"].clone(), described["Arn"].clone());
    let account = described["AWSAccountId"].as_str().unwrap_or_default().to_owned();
    let alias_arn = format!("arn:aws:kms:local-1:{account}:{ALIAS}");
    for form in [&id, &arn, &json!(ALIAS), &json!(alias_arn)] {
        let same = sdk.kms("describe_key", &json!({ "KeyId": form }))?.ok()?;
        assert_eq!(same["KeyMetadata"]["Arn"], arn, "KEY-11: {form}");
    }
    let keys = sdk.kms("list_keys", &json!({}))?.ok()?;
    assert!(keys["Keys"].as_array().is_some_and(|keys| keys.iter().any(|key| key["KeyId"] == id)), "{keys}");
    let aliases = sdk.kms("list_aliases", &json!({ "KeyId": id }))?.ok()?;
    assert_eq!(aliases["Aliases"][0]["AliasArn"], json!(alias_arn));

    let data_key = sdk.kms("generate_data_key", &json!({ "KeyId": ALIAS, "KeySpec": "AES_256" }))?.ok()?;
    let opened = sdk.kms("decrypt", &json!({ "CiphertextBlob": data_key["CiphertextBlob"] }))?.ok()?;
    assert_eq!(opened["Plaintext"], data_key["Plaintext"], "KEY-45");
    let sealed = sdk.kms("generate_data_key_without_plaintext", &json!({ "KeyId": id, "NumberOfBytes": 64 }))?.ok()?;
    let opened = sdk.kms("decrypt", &json!({ "CiphertextBlob": sealed["CiphertextBlob"] }))?.ok()?;
    assert_eq!(bytes_of(&opened, "Plaintext")?.len(), 64);

    let stores = sdk.kms("describe_custom_key_stores", &json!({}))?.ok()?["CustomKeyStores"].clone();
    assert_eq!(stores[0]["ConnectionState"], "CONNECTED");
    let store = stores[0]["CustomKeyStoreId"].clone();
    for request in [json!({ "NumberOfBytes": 32 }), json!({ "NumberOfBytes": 32, "CustomKeyStoreId": store })] {
        let random = sdk.kms("generate_random", &request)?.ok()?;
        assert_eq!(bytes_of(&random, "Plaintext")?.len(), 32, "CKS-97");
    }
    let identity = sdk.call("sts", "get_caller_identity", &json!({}))?.ok()?;
    assert_eq!(identity["Account"], json!(account));

    let created = sdk.kms("create_key", &json!({ "Origin": "AWS_CLOUDHSM", "CustomKeyStoreId": store }))?.ok()?;
    let new = created["KeyMetadata"]["KeyId"].clone();
    assert_eq!(created["KeyMetadata"]["KeyState"], "Enabled", "CreateKey waits until the material is durable (D8)");
    let blob = sdk.kms("encrypt", &json!({ "KeyId": new, "Plaintext": bytes(b"x") }))?.ok()?["CiphertextBlob"].clone();
    let wrong_key = sdk.kms("decrypt", &json!({ "KeyId": id, "CiphertextBlob": blob }))?;
    assert_eq!(wrong_key.code(), "IncorrectKeyException", "KEY-42");

    sdk.kms("disconnect_custom_key_store", &json!({ "CustomKeyStoreId": store }))?.ok()?;
    tenant.store_reaches(NAME, operator_api::ConnectionState::Disconnected).await?;
    let refused = sdk.kms("create_key", &json!({ "Origin": "AWS_CLOUDHSM", "CustomKeyStoreId": store }))?;
    assert_eq!(refused.code(), "CustomKeyStoreInvalidStateException");
    sdk.kms("connect_custom_key_store", &json!({ "CustomKeyStoreId": store }))?.ok()?;
    tenant.store_reaches(NAME, operator_api::ConnectionState::Connected).await?;
    Ok(())
}
