//! The main job on one machine: the quickstart comes up, a stock SDK encrypts and decrypts, disconnect and reconnect; and manifests that were
//! copied or deleted by mistake do not end it.

use anyhow::{Context, Result, ensure};
use e2e::hsm::Hsms;
use e2e::identity::Identity;
use e2e::installation::{GATEWAY_NAMESPACE, HSM_NAMESPACE, Installation};
use e2e::quickstart::{self, ACCESS_KEY, ALIAS, NAME};
use e2e::scenario::PATIENCE;
use e2e::sdk::{Sdk, bytes, bytes_of};
use e2e::wait::{Look, until};
use hsm_protocol::Command;
use operator_api::kms_key::KeyState;
use serde_json::{Value, json};

/// The name of every copy: before the original's, as a watch lists them.
const COPY: &str = "a-copy";
/// The kinds whose manifests say an id, and what somebody changes in the copy, which must not happen to the original.
const COPIED: [(&str, &str, &str); 3] = [
    ("cloudhsmcluster", "availabilityZones", r#"["local-1a", "local-1b"]"#),
    ("customkeystore", "connection", r#""CONNECTED""#),
    ("kmskey", "enabled", "false"),
];

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

/// D2, INV-03, INV-39, INV-49: `kubectl get -o yaml`, another name, `kubectl apply`. Neither the copy nor its end does anything to the original.
#[tokio::test]
async fn copied_manifests_are_refused_and_their_originals_go_on() -> Result<()> {
    let mut installation = Installation::start().await?;
    let tenant = quickstart::ready(&installation).await?;
    let mut sdk = quickstart::application(&mut installation).await?;
    let before = Identity::of(&tenant).await?;
    let request = json!({ "KeyId": ALIAS, "Plaintext": bytes(b"hello") });
    for (kind, field, value) in COPIED {
        copy(&installation, kind, field, serde_json::from_str(value)?)?;
        is_refused(&installation, kind).await.with_context(|| installation.last_words())?;
        sdk.kms("encrypt", &request)?.ok().with_context(|| format!("a copied {kind}"))?;
    }
    let replicas = ["get", "statefulsets", "--namespace", HSM_NAMESPACE, "--output=jsonpath={.items[*].spec.replicas}"];
    assert_eq!(installation.kubectl(&replicas)?, "3", "the copy's zones are not the original's");
    for (kind, _, _) in COPIED.into_iter().rev() {
        installation.kubectl(&["annotate", kind, COPY, "--namespace", NAME, "keystores.dev/unprotect=true"])?;
        installation.kubectl(&["delete", kind, COPY, "--namespace", NAME, "--timeout=120s"])?;
        sdk.kms("encrypt", &request)?.ok().with_context(|| format!("without the copied {kind}"))?;
    }
    assert_eq!(Identity::of(&tenant).await?, before);
    let hsms = Hsms::of(&installation.admin().await?, &tenant.cluster_is_active(NAME).await?).await?;
    // The claim in the HSMs goes by the store's id (INV-44): the end of the copy gave nothing back.
    assert_eq!(hsms.done_by_each(Command::ReleaseClaim).await?, [0; 3]);
    quickstart::every_hsm_serves(&installation, &tenant).await?;
    an_access_key_ends_with_its_object(&mut installation, &mut sdk).await
}

/// What `kubectl get -o yaml` shows of the original, under another name and with one field changed.
fn copy(installation: &Installation, kind: &str, field: &str, value: Value) -> Result<()> {
    let shown = installation.kubectl(&["get", kind, NAME, "--namespace", NAME, "--output=json"])?;
    let mut manifest: Value = serde_json::from_str(&shown)?;
    let finalizers = manifest["metadata"]["finalizers"].take();
    manifest["metadata"] = json!({ "name": COPY, "namespace": NAME, "finalizers": finalizers });
    manifest["spec"][field] = value;
    let members = manifest.as_object_mut().context("no object")?;
    members.remove("status");
    installation.apply(&manifest.to_string())
}

/// Waits until the copy says whose its id is.
async fn is_refused(installation: &Installation, kind: &str) -> Result<()> {
    let order = ["get", kind, COPY, "--namespace", NAME, "--output=json"];
    until(&format!("the copied {kind} to be refused"), PATIENCE, || async {
        let copy: Value = serde_json::from_str(&installation.kubectl(&order)?)?;
        let conditions = copy["status"]["conditions"].as_array().cloned().unwrap_or_default();
        let refused = |it: &Value| {
            let message = it["message"].as_str().unwrap_or_default();
            it["type"] == "Accepted" && it["reason"] == "IdInUse" && message.contains(NAME)
        };
        Ok(if conditions.iter().any(refused) { Look::Done(()) } else { Look::NotYet(format!("{conditions:?}")) })
    })
    .await
}

/// D10: also when nobody withdraws its Secret, because its finalizer was taken off while no controller ran.
async fn an_access_key_ends_with_its_object(installation: &mut Installation, sdk: &mut Sdk) -> Result<()> {
    installation.controllers.clear();
    let none = r#"{"metadata":{"finalizers":null}}"#;
    installation.kubectl(&[
        "patch",
        "kmsaccesskey",
        ACCESS_KEY,
        "--namespace",
        NAME,
        "--type=merge",
        "--patch",
        none,
    ])?;
    sdk.kms("describe_key", &json!({ "KeyId": ALIAS }))?.ok()?;
    installation.kubectl(&["delete", "kmsaccesskey", ACCESS_KEY, "--namespace", NAME])?;
    until("the access key to be refused", PATIENCE, || {
        let answer = sdk.kms("describe_key", &json!({ "KeyId": ALIAS }));
        async {
            let code = answer?.code().to_owned();
            Ok(if code == "UnrecognizedClientException" { Look::Done(()) } else { Look::NotYet(code) })
        }
    })
    .await?;
    let left = ["get", "secrets", "--namespace", GATEWAY_NAMESPACE, "--selector=keystores.dev/access-key=true"];
    let left = installation.kubectl(&[&left[..], &["--output=name"]].concat())?;
    ensure!(left.contains("access-key-"), "the Secret is gone, so this has shown nothing: {left}");
    Ok(())
}
