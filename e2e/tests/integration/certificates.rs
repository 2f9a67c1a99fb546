//! Certificates that end after half a minute, under load (D7, D12): every one is renewed several times, by nobody, and no request notices.

use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use e2e::installation::{GATEWAY_NAMESPACE, Installation, entry};
use e2e::object;
use e2e::quickstart::{self, ACCESS_KEY, ALIAS, NAME};
use e2e::renewals::Legs;
use e2e::scenario::Tenant;
use e2e::sdk::{Sdk, Seen};
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::Api;
use serde_json::json;
use tokio::sync::Mutex;

const SHORT: [(&str, &str); 6] = [
    ("KEYSTORE_SERVING_CERTIFICATE_LIFETIME", "30s"),
    ("KEYSTORE_SERVING_CERTIFICATE_RENEW_BEFORE", "20s"),
    ("KEYSTORE_CLIENT_CERTIFICATE_LIFETIME", "30s"),
    ("KEYSTORE_CLIENT_CERTIFICATE_RENEW_BEFORE", "20s"),
    ("KEYSTORE_POD_CERTIFICATE_LIFETIME", "30s"),
    ("KEYSTORE_POD_CERTIFICATE_RENEW_BEFORE", "20s"),
];
/// How long the load lasts at least: past the end of every certificate it began with, and so long that four renewals fall due.
const LOAD: Duration = Duration::from_secs(45);
/// How long it goes on while a leg has not shown its renewals: on a busy machine they come late.
const LONGEST_LOAD: Duration = Duration::from_secs(240);
/// Seconds of load after which the application looks whether it is enough.
const STRETCH: u32 = 10;
/// Renewals of each leg that must be seen.
const RENEWALS: usize = 3;

/// The tests take turns: side by side each would only delay the renewals that the other waits for.
static TURN: Mutex<()> = Mutex::const_new(());

async fn bench() -> Result<(Installation, Tenant)> {
    let mut installation = Installation::without_controllers().await?;
    installation.start_controllers(1, &SHORT).await?;
    let tenant = quickstart::ready(&installation).await?;
    Ok((installation, tenant))
}

/// The four legs of the quickstart's cluster: its first HSM stands for all.
async fn legs(installation: &Installation, tenant: &Tenant) -> Result<Legs> {
    let cluster = tenant.clusters().get(NAME).await?;
    let id = cluster.spec.cluster_id.context("no cluster id")?;
    let hsm = cluster.status.context("no status")?.hsms.remove(0);
    let https = format!("{}:8443", installation.pods.address(5));
    let provisioning = format!("{}:2224", hsm.eni_ip.context("no address")?);
    Ok(Legs::of(&installation.admin().await?, &id, &https, &provisioning))
}

/// Traffic until the other end of `going_on` is dropped: when enough was seen, or when a check has failed.
fn traffic(mut sdk: Sdk, going_on: &Receiver<()>) -> Result<(Sdk, Seen)> {
    let mut seen = Seen::default();
    while going_on.try_recv() != Err(TryRecvError::Disconnected) {
        seen += sdk.strict_traffic(ALIAS, STRETCH)?;
    }
    Ok((sdk, seen))
}

/// Capability 3: the gateway's HTTPS, both clients of the HSMs, and the HSMs' provisioning listener; D12 for the gateway's keys.
#[tokio::test]
async fn every_certificate_is_renewed_again_and_again_under_load_and_no_request_fails() -> Result<()> {
    let _turn = TURN.lock().await;
    let (mut installation, tenant) = bench().await?;
    let sdk = quickstart::application(&mut installation).await?;
    let secrets: Api<Secret> = Api::namespaced(installation.admin().await?, GATEWAY_NAMESPACE);
    let bundle = entry(&secrets.get("gateway-serving").await?, "ca.crt")?;
    let mut legs = legs(&installation, &tenant).await?;
    let (go_on, going_on) = channel();
    let mut go_on = Some(go_on);
    let load = std::thread::spawn(move || traffic(sdk, &going_on));
    let begun = Instant::now();
    while !load.is_finished() {
        // One of some hundred looks may fail for reasons of its own; what counts is what all of them saw.
        let seen = legs.look().await;
        seen.unwrap_or_else(|error| println!("a look failed: {error:#}"));
        if begun.elapsed() >= LONGEST_LOAD || begun.elapsed() >= LOAD && legs.renewed(RENEWALS) {
            drop(go_on.take());
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let (mut sdk, traffic) = load.join().map_err(|_| anyhow::anyhow!("the load ended early"))??;
    let renewals = legs.renewals();
    println!("{renewals:?} renewals and {} calls in {:?}", traffic.calls, begun.elapsed());
    assert_eq!((traffic.wrong, traffic.failed), (0, 0), "{traffic:?} {}", installation.last_words());
    assert!(traffic.calls > 200, "{traffic:?}");
    assert!(legs.renewed(RENEWALS), "{renewals:?}");
    assert_eq!(entry(&secrets.get("gateway-serving").await?, "ca.crt")?, bundle, "what clients trust does not change");
    condition_becomes(&tenant, "True").await?;
    refusals_are_logged(&mut installation, &mut sdk).await
}

/// The looks at the ports without a certificate were refused, and so is a request without a signature: both say why, and no secret.
async fn refusals_are_logged(installation: &mut Installation, sdk: &mut Sdk) -> Result<()> {
    sdk.raw(&json!({ "target": "TrentService.ListKeys", "unsigned": true }))?;
    let secret = installation.caller(NAME, ACCESS_KEY).await?.secret_access_key;
    let gateway = std::fs::read_to_string(installation.gateway()?.log())?;
    assert!(gateway.contains(r#""refused":"signature""#), "{gateway}");
    assert!(gateway.contains("Missing Authentication Token") && !gateway.contains(&secret));
    let hsms = installation.pods.names().into_iter().map(|pod| installation.pods.log(&pod)).collect::<String>();
    assert!(hsms.contains(r#""refused":"handshake""#) && hsms.contains("provisioning and peer port"), "{hsms}");
    assert!(installation.metrics(5)?.contains(r#"kms_gateway_refusals_total{refused="signature"}"#));
    Ok(())
}

async fn condition_becomes(tenant: &Tenant, wanted: &str) -> Result<Condition> {
    object::says(&tenant.clusters(), NAME, "CertificatesCurrent", wanted).await
}

/// What cannot be renewed is said before it ends: condition, metric; and once it can, all is well by itself.
#[tokio::test]
async fn a_renewal_that_fails_shows_in_condition_and_metric_until_it_succeeds() -> Result<()> {
    let _turn = TURN.lock().await;
    let (installation, tenant) = bench().await?;
    condition_becomes(&tenant, "True").await?;
    let role = ["role/keystore-operator", "--namespace", GATEWAY_NAMESPACE];
    let rights = |verbs: &str| {
        let patch = format!(r#"[{{"op":"replace","path":"/rules/0/verbs","value":[{verbs}]}}]"#);
        installation.kubectl(&[&["patch"], &role[..], &["--type=json", "--patch", &patch]].concat())
    };
    rights(r#""get","create","delete""#)?;
    let soon = condition_becomes(&tenant, "False").await?;
    assert_eq!(soon.reason, "CertificateExpiresSoon");
    let message = soon.message;
    assert!(message.contains("-client (gateway_client) ends at"), "{message}");
    assert!(message.contains("failed to"), "{message}");
    let metrics = installation.metrics(1)?;
    let end = metrics.lines().find_map(|line| {
        line.strip_prefix(r#"keystore_certificate_end_timestamp_seconds{use="gateway_client"} "#)?.parse::<i64>().ok()
    });
    let left = end.with_context(|| metrics.clone())? - jiff::Timestamp::now().as_second();
    assert!(left < 12, "the metric says that {left} s are left");
    rights(r#""get","create","update","delete""#)?;
    condition_becomes(&tenant, "True").await?;
    Ok(())
}
