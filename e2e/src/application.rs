//! An application of a tenant: the access key it was given, and a boto3 that the gateway has answered.

use std::path::PathBuf;

use anyhow::Result;
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};
use serde_json::json;

use crate::installation::{GATEWAY_NAMESPACE, entry};
use crate::quickstart::ALIAS;
use crate::scenario::PATIENCE;
use crate::sdk::{Answer, Caller, Sdk};
use crate::wait::{Look, until};

/// The caller at `endpoint` whose key the tenant received in `<access_key>-credentials`. Writes the certificate to trust to `ca_bundle`.
///
/// # Errors
/// When the key is not delivered in time.
pub async fn caller(
    client: Client,
    (namespace, access_key): (&str, &str),
    endpoint: String,
    ca_bundle: PathBuf,
) -> Result<Caller> {
    let tenant: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let name = format!("{access_key}-credentials");
    let credentials = until("the access key to be delivered", PATIENCE, || async {
        Ok(match tenant.get_opt(&name).await? {
            Some(secret) => Look::Done(secret),
            None => Look::NotYet(format!("no Secret {namespace}/{name}")),
        })
    })
    .await?;
    let serving: Secret = Api::namespaced(client, GATEWAY_NAMESPACE).get("gateway-serving").await?;
    std::fs::write(&ca_bundle, entry(&serving, "ca.crt")?)?;
    Ok(Caller {
        endpoint,
        ca_bundle,
        access_key_id: entry(&credentials, "AWS_ACCESS_KEY_ID")?,
        secret_access_key: entry(&credentials, "AWS_SECRET_ACCESS_KEY")?,
        region: "local-1".to_owned(),
    })
}

/// A boto3 of the quickstart's caller whose first DescribeKey was answered: from then on the gateway knows key and access key.
///
/// # Errors
/// When the gateway does not answer in time.
pub async fn answered(caller: &Caller) -> Result<Sdk> {
    let mut sdk = Sdk::start(caller)?;
    until("the gateway to answer", PATIENCE, || {
        let answer = sdk.kms("describe_key", &json!({ "KeyId": ALIAS }));
        async {
            Ok(match answer {
                Ok(Answer::Ok(_)) => Look::Done(()),
                Ok(refused) => Look::NotYet(format!("{refused:?}")),
                Err(error) => Look::NotYet(error.to_string()),
            })
        }
    })
    .await?;
    Ok(sdk)
}
