//! Requests that must be refused: each with the AWS error that a client of the real service would see, and no effect.

use anyhow::{Context, Result};
use e2e::installation::Installation;
use e2e::quickstart::{self, ALIAS, NAME};
use e2e::sdk::{Sdk, bytes};
use serde_json::{Value, json};

fn raw_code(sdk: &mut Sdk, request: &Value) -> Result<(u64, String)> {
    let answer = sdk.raw(request)?;
    let body: Value =
        serde_json::from_str(answer["body"].as_str().unwrap_or_default()).context("no JSON error body")?;
    let header = answer["headers"].as_object().into_iter().flatten();
    let ids = header.filter(|(name, _)| name.eq_ignore_ascii_case("x-amzn-requestid")).count();
    assert_eq!(ids, 1, "every answer carries one request id: {answer}");
    let name = body["__type"].as_str().unwrap_or_default().rsplit('#').next().unwrap_or_default().to_owned();
    Ok((answer["status"].as_u64().unwrap_or_default(), name))
}

/// KEY-4…KEY-8, INV-66.
#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one table")]
async fn bad_requests_get_the_error_of_the_real_service_and_change_nothing() -> Result<()> {
    let mut installation = Installation::start().await?;
    let tenant = quickstart::ready(&installation).await?;
    let mut sdk = quickstart::application(&mut installation).await?;
    let before = serde_json::to_value(tenant.keys().list(&kube::api::ListParams::default()).await?.items)?;

    let describe = "TrentService.DescribeKey";
    let body = json!({ "KeyId": ALIAS }).to_string();
    let good = json!({ "target": describe, "body": body });
    assert_eq!(sdk.raw(&good)?["status"], 200, "the untouched request passes, so the refusals below mean something");
    let table = [
        ("malformed JSON", json!({ "target": describe, "body": "{\"KeyId\": " }), "SerializationException"),
        (
            "an unknown operation",
            json!({ "target": "TrentService.Frobnicate", "body": "{}" }),
            "UnknownOperationException",
        ),
        ("no operation", json!({ "body": "{}" }), "UnknownOperationException"),
        (
            "no signature",
            json!({ "target": describe, "body": body, "unsigned": true }),
            "MissingAuthenticationTokenException",
        ),
        (
            "a target changed after signing",
            json!({ "target": describe, "body": body, "after": { "X-Amz-Target": "TrentService.DisableKey" } }),
            "InvalidSignatureException",
        ),
        (
            "a body changed after signing",
            json!({ "target": describe, "body": body, "bodyAfter": json!({ "KeyId": "alias/other" }).to_string() }),
            "InvalidSignatureException",
        ),
        (
            "a clock six minutes ahead",
            json!({ "target": describe, "body": body, "skew": 360 }),
            "InvalidSignatureException",
        ),
        (
            "a clock six minutes behind",
            json!({ "target": describe, "body": body, "skew": -360 }),
            "InvalidSignatureException",
        ),
        (
            "the signature of another service",
            json!({ "target": describe, "body": body, "service": "s3" }),
            "InvalidSignatureException",
        ),
        ("a missing KeyId", json!({ "target": describe, "body": "{}" }), "ValidationException"),
    ];
    for (what, request, wanted) in &table {
        let (status, name) = raw_code(&mut sdk, request).context(*what)?;
        assert_eq!((status, name.as_str()), (400, *wanted), "{what}");
    }

    let too_long = json!({ "KeyId": ALIAS, "Plaintext": bytes(&[0; 4097]) });
    assert_eq!(sdk.raw(&encrypt_of(&[0; 4097]))?["status"], 400, "KEY-43");
    assert_eq!(sdk.kms("encrypt", &too_long)?.code(), "ValidationException");
    sdk.kms("encrypt", &json!({ "KeyId": ALIAS, "Plaintext": bytes(&[0; 4096]) }))?.ok()?;

    let after = serde_json::to_value(tenant.keys().list(&kube::api::ListParams::default()).await?.items)?;
    assert_eq!(before, after, "a refused request changed a key");
    Ok(())
}

fn encrypt_of(plaintext: &[u8]) -> Value {
    let text = bytes(plaintext)["$bytes"].clone();
    json!({ "target": "TrentService.Encrypt", "body": json!({ "KeyId": ALIAS, "Plaintext": text }).to_string() })
}

/// T-07, INV-60, INV-67: a key of another namespace and a key that does not exist cannot be told apart.
#[tokio::test]
async fn a_key_in_another_namespace_looks_like_no_key_at_all() -> Result<()> {
    let mut installation = Installation::start().await?;
    let tenant = quickstart::ready(&installation).await?;
    let key = tenant.keys().get(NAME).await?;
    let id = key.spec.key_id.clone().context("no key id")?;
    let arn = key.status.and_then(|status| status.arn).context("no ARN")?;
    let others = quickstart::manifests()?
        .replace("quickstart", "stranger")
        .split("\n---\n")
        .filter(|part| !part.contains("kind: CloudHsmCluster") && !part.contains("kind: CustomKeyStore\n"))
        .filter(|part| !part.contains("kind: KmsKey\n") && !part.contains("kind: KmsAlias"))
        .collect::<Vec<_>>()
        .join("\n---\n");
    installation.apply(&others)?;
    quickstart::application(&mut installation).await?;
    let mut stranger = Sdk::start(&installation.caller("stranger", "app").await?)?;
    e2e::scenario::eventually_ok(&mut stranger, "list_keys", &json!({})).await?;

    let absent = "00000000-0000-4000-8000-000000000000";
    for (existing, missing) in [(id.clone(), absent.to_owned()), (arn.clone(), arn.replace(&id, absent))] {
        for operation in ["describe_key", "encrypt"] {
            let mut parameters = json!({ "KeyId": existing });
            if operation == "encrypt" {
                parameters["Plaintext"] = bytes(b"x");
            }
            let seen = format!("{:?}", stranger.kms(operation, &parameters)?);
            parameters["KeyId"] = json!(missing);
            let unseen = format!("{:?}", stranger.kms(operation, &parameters)?);
            assert!(seen.contains("Refused"), "{seen}");
            assert_eq!(seen.replace(&id, "ID"), unseen.replace(absent, "ID"), "{operation} tells them apart");
        }
    }
    assert_eq!(stranger.kms("list_keys", &json!({}))?.ok()?["Keys"], json!([]));
    Ok(())
}
