//! What the API server itself refuses, by the rules in the CRDs: each bad manifest gets a message that says what to do,
//! and nothing is stored.

use anyhow::Result;
use e2e::binaries::checkout;
use e2e::control_plane::ControlPlane;
use e2e::kubectl::{kinds_are_served, kubectl};

const CLUSTER: &str = "apiVersion: keystores.dev/v1alpha1
kind: CloudHsmCluster
metadata: {name: payments, namespace: default}
spec: {availabilityZones: [local-1a, local-1b, local-1c], hsmType: hsm2m.medium, initialization: Managed, recovery: {waived: true}}
";
const KEY: &str = "apiVersion: keystores.dev/v1alpha1
kind: KmsKey
metadata: {name: payments, namespace: default}
spec: {customKeyStoreRef: {name: payments}, origin: AWS_CLOUDHSM}
";

const STORE: &str = "apiVersion: keystores.dev/v1alpha1
kind: CustomKeyStore
metadata: {name: payments, namespace: default}
spec: {type: AWS_CLOUDHSM, cloudHsmClusterRef: {name: payments}}
";

/// (what is wrong, the manifest, a part of the message)
fn bad_manifests() -> Vec<(&'static str, String, &'static str)> {
    let cluster = |from: &str, to: &str| CLUSTER.replace(from, to);
    let key = |from: &str, to: &str| KEY.replace(from, to);
    vec![
        ("a zone is listed twice", cluster("local-1b", "local-1a"), "an availability zone is listed twice"),
        ("an HSM type that does not exist", cluster("hsm2m.medium", "hsm9.large"), "hsmType"),
        ("an initialization that does not exist", cluster("Managed", "Automatic"), "initialization"),
        ("no word on recovery", cluster(", recovery: {waived: true}", ", recovery: {}"), "recovery"),
        ("a name that fits no label", cluster("name: payments", &format!("name: {}", "p".repeat(64))), "63"),
        ("an origin that a store cannot hold", key("AWS_CLOUDHSM", "EXTERNAL"), "origin"),
        ("a key spec that a store cannot hold", key("origin:", "keySpec: RSA_2048, origin:"), "keySpec"),
        (
            "a multi-Region key in a store",
            key("origin:", "multiRegion: true, origin:"),
            "UnsupportedOperationException",
        ),
        ("a deletion window below seven days", key("origin:", "deletion: {pendingWindowInDays: 1}, origin:"), "7"),
        ("a key id that is no UUID", key("origin:", "keyId: abc, origin:"), "keyId"),
        ("a tag that begins with aws:", key("origin:", "tags: {\"aws:x\": y}, origin:"), "aws:"),
        (
            "a reference to another namespace",
            key("{name: payments}", "{name: payments, namespace: other}"),
            "namespace",
        ),
    ]
}

/// What the schema knows and the product does not honour yet: (the manifest, what the message calls it).
fn not_supported_yet() -> Vec<(String, &'static str)> {
    let cluster = |more: &str| CLUSTER.replace("hsmType:", &format!("{more}, hsmType:"));
    let key = |more: &str| KEY.replace("origin:", &format!("{more}, origin:"));
    let document = CLUSTER.replace("waived: true", "publicKey: \"-----BEGIN PUBLIC KEY-----\"");
    vec![
        (cluster("subnets: [one]"), "subnets"),
        (CLUSTER.replace("Managed", "Manual"), "initialization Manual"),
        (cluster("allowDefaultClientCertificate: true"), "allowDefaultClientCertificate"),
        (cluster("backupRetentionDays: 30"), "backupRetentionDays"),
        (cluster("sourceBackup: monday"), "sourceBackup"),
        (cluster("rehearsal: true"), "rehearsal"),
        (document, "recovery.publicKey"),
        (STORE.replace("AWS_CLOUDHSM", "EXTERNAL_KEY_STORE"), "type EXTERNAL_KEY_STORE"),
        (KEY.replace("customKeyStoreRef: {name: payments}, ", ""), "a key outside of a custom key store"),
        (key("policy: \"{}\""), "a key policy"),
        (key("deletion: {pendingWindowInDays: 7}"), "deletion"),
    ]
}

/// An API server that knows our kinds, and nothing more.
async fn with_definitions() -> Result<ControlPlane> {
    let plane = ControlPlane::start().await?;
    let admin = plane.admin_kubeconfig();
    let crds = checkout().join("crds").display().to_string();
    kubectl(&admin, &["apply", "--server-side", "-f", &crds], None)?;
    kinds_are_served(&admin).await?;
    Ok(plane)
}

#[tokio::test]
async fn every_bad_manifest_is_refused_with_a_reason_and_nothing_is_stored() -> Result<()> {
    let plane = with_definitions().await?;
    let admin = plane.admin_kubeconfig();
    for good in [CLUSTER, STORE, KEY] {
        kubectl(&admin, &["create", "--dry-run=server", "--validate=strict", "-f", "-"], Some(good))?;
    }
    let mut wrong = Vec::new();
    let later = not_supported_yet().into_iter().map(|(manifest, what)| (what, manifest, "not supported yet"));
    for (what, manifest, part) in bad_manifests().into_iter().chain(later) {
        match kubectl(&admin, &["create", "--validate=strict", "-f", "-"], Some(&manifest)) {
            Ok(_) => wrong.push(format!("{what}: accepted")),
            Err(error) if error.to_string().contains(part) => {}
            Err(error) => wrong.push(format!("{what}: does not say {part:?}: {error}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let stored = kubectl(&admin, &["get", "keystores", "--all-namespaces", "--output=name"], None)?;
    assert_eq!(stored.trim(), "", "something was stored");
    Ok(())
}

/// INV-13 and D2: what the operator wrote once can be neither changed nor taken away, whoever asks.
#[tokio::test]
async fn identity_that_was_set_once_stays() -> Result<()> {
    let plane = with_definitions().await?;
    let admin = plane.admin_kubeconfig();
    kubectl(&admin, &["create", "-f", "-"], Some(KEY))?;
    let patch = |value: &str| {
        let body = format!("{{\"spec\":{{\"keyId\":{value}}}}}");
        kubectl(&admin, &["patch", "kmskey", "payments", "--type=merge", "--patch", &body], None)
    };
    let (first, second) = ("\"11111111-1111-4111-8111-111111111111\"", "\"22222222-2222-4222-8222-222222222222\"");
    patch(first)?;
    for later in [second, "null"] {
        let message = patch(later).expect_err("the key id changed").to_string();
        assert!(message.contains("set once"), "{message}");
    }
    let replaced = kubectl(&admin, &["replace", "-f", "-"], Some(KEY)).expect_err("the key id vanished").to_string();
    assert!(replaced.contains("set once"), "{replaced}");
    patch(first)?;
    Ok(())
}
