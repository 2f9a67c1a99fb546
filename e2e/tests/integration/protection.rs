//! The admission policies of the chart on a real API server (D2, D5, D17, INV-12, T-25): what a slip of the finger must not
//! be able to delete, what only a deliberate act can, and who may say which material an object stands for.

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::{Context, Result};
use e2e::chart::render_chart;
use e2e::installation::{GATEWAY_NAMESPACE, HSM_NAMESPACE, SYSTEM_NAMESPACE, VAULT_NAMESPACE};
use e2e::protection::{ATTEMPTS, CONTROLLERS, GATEWAY, Permitted, Protected, TENANT, refusal_by};
use e2e::shared::Shared;
use serde_json::{Value, json};

/// A backup tool that restores objects with their specs.
const RESTORER: &str = "--as=restorer";

/// For tests after which what is protected is there as before.
static BENCH: Shared<Protected> = Shared::idle();

async fn bench() -> Result<Arc<Protected>> {
    BENCH.hold(Protected::start).await
}

fn protected() -> Vec<Vec<&'static str>> {
    vec![
        vec!["kmskey/with-material", "-n", "team-a"],
        vec!["customkeystore/store", "-n", "team-a"],
        vec!["cloudhsmcluster/cluster", "-n", "team-a"],
        vec!["keystoreaccount/111122223333"],
        vec!["keystoreclaim/name-team-a-store", "-n", SYSTEM_NAMESPACE],
        vec!["crd/kmskeys.keystores.dev"],
        vec!["crd/keystoreclaims.keystores.dev"],
        vec!["namespace/team-a"],
        vec!["namespace/keystore-system"],
        vec!["namespace/keystore-gateway"],
        vec!["namespace/keystore-hsm"],
        vec!["namespace/keystore-vault"],
        vec!["secret/gateway-serving", "-n", GATEWAY_NAMESPACE],
        vec!["secret/cluster-abcdefgh234567ab-sealing", "-n", HSM_NAMESPACE],
        vec!["secret/cluster-abcdefgh234567ab-kmsuser", "-n", VAULT_NAMESPACE],
        vec!["configmap/kmskey.team-a.with-material", "-n", VAULT_NAMESPACE],
        vec!["pvc/data-cluster-abcdefgh234567ab-0", "-n", HSM_NAMESPACE],
        vec!["statefulset/cluster-abcdefgh234567ab", "-n", HSM_NAMESPACE],
        vec!["pv/volume-of-an-hsm"],
    ]
}

/// The chart's policies: the name of each without `.keystores.dev`, and its text.
fn policies(rendered: &str) -> Result<Vec<(&str, &str)>> {
    let texts = rendered.split("\n---").filter(|text| text.contains("\nkind: ValidatingAdmissionPolicy\n"));
    let named = texts.map(|text| {
        let name = text.lines().find_map(|line| line.strip_prefix("  name: ")?.strip_suffix(".keystores.dev"));
        Ok((name.with_context(|| format!("a policy without a name of ours: {text}"))?, text))
    });
    named.collect()
}

/// D5: a policy that is taken away, switched off or never tried is noticed here, and so is one that refuses too much.
#[tokio::test]
async fn every_policy_of_the_chart_refuses_what_it_names_and_lets_the_permitted_pass() -> Result<()> {
    let rendered = render_chart()?;
    let installed: BTreeSet<_> = policies(&rendered)?.into_iter().map(|(name, _)| name).collect();
    assert_eq!(BTreeSet::from(ATTEMPTS.map(|(policy, ..)| policy)), installed, "tried, and in the chart");
    let bench = bench().await?;
    for (policy, refused, permitted) in ATTEMPTS {
        let said = bench.attempt(refused, None).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(said.contains(&refusal_by(policy)), "{refused}: not refused by {policy}: {said}");
        let passed = match permitted {
            Permitted::By(who) => bench.attempt(refused, Some(who)),
            Permitted::Else(command) => bench.attempt(command, None),
        };
        passed.with_context(|| format!("{policy} refuses too much"))?;
    }
    Ok(())
}

/// D5, T-25: not even `system:masters` deletes one by mistake; the annotation is the deliberate act.
#[tokio::test]
async fn what_holds_keys_is_deleted_only_after_it_was_unprotected() -> Result<()> {
    // Held for the others, who come and go meanwhile: here nothing stays protected.
    let _held = bench().await?;
    let bench = Protected::start().await?;
    for object in protected() {
        let delete = |more: &[&'static str]| [&["delete"], object.as_slice(), more].concat();
        let annotate = |value: &'static str| [&["annotate", "--overwrite"], object.as_slice(), &[value]].concat();
        bench.refused(object[0], &delete(&[]), None);
        bench.run(&annotate("keystores.dev/unprotect=false"), None)?;
        bench.refused(object[0], &delete(&[]), None);
        bench.run(&annotate("keystores.dev/unprotect=true"), None)?;
        bench.run(&delete(&["--dry-run=server"]), None)?;
    }
    bench.refused("everything at once", &["delete", "customkeystores", "--all", "-n", "team-a", TENANT], None);
    Ok(())
}

/// Keys of its own, for a test that deletes them.
const OWN_KEYS: &str = "apiVersion: keystores.dev/v1alpha1
kind: KmsKey
metadata: {name: own-with-material, namespace: team-a}
spec: {customKeyStoreRef: {name: store}, keyId: 44444444-4444-4444-8444-444444444444}
---
apiVersion: keystores.dev/v1alpha1
kind: KmsKey
metadata: {name: own-without-material, namespace: team-a}
spec: {customKeyStoreRef: {name: store}}
";

/// D5: the annotation alone is not enough for somebody without the custom verb, and what stands for nothing is not protected.
#[tokio::test]
async fn unprotecting_needs_a_verb_of_its_own_and_empty_objects_go_freely() -> Result<()> {
    let bench = bench().await?;
    bench.run(&["create", "-f", "-"], Some(OWN_KEYS))?;
    let delete = ["delete", "kmskey/own-with-material", "-n", "team-a", TENANT];
    let unprotect = "keystores.dev/unprotect=true";
    bench.run(&["annotate", "kmskey/own-with-material", "-n", "team-a", unprotect, TENANT], None)?;
    bench.refused("a deletion without the verb unprotect", &delete, None);
    let grant = ["create", "clusterrole", "breaker", "--verb=unprotect", "--resource=kmskeys.keystores.dev"];
    bench.run(&[&grant[..], &["--resource-name=own-with-material"]].concat(), None)?;
    bench.run(&["create", "clusterrolebinding", "breaker", "--clusterrole=breaker", "--user=tenant"], None)?;
    bench.allowed(&delete, None).await?;
    bench.run(&["delete", "kmskey/own-without-material", "-n", "team-a", TENANT], None)?;
    let release = ["create", "secret", "generic", "release", "--type=helm.sh/release.v1", "-n", GATEWAY_NAMESPACE];
    bench.run(&release, None)?;
    bench.run(&["delete", "secret/release", "-n", GATEWAY_NAMESPACE], None)?;
    Ok(())
}

/// Every field that says which material or secret an object stands for, on an object that has not got it yet.
fn identities() -> [(&'static str, &'static str, Value); 9] {
    let print = "2".repeat(64);
    [
        ("kmskey/without-material", "keyId", json!("22222222-2222-4222-8222-222222222222")),
        ("kmskey/with-material", "materialIntent", json!({ "uid": "u", "opId": "o" })),
        ("kmskey/with-material", "materialFingerprint", json!(print)),
        ("customkeystore/new", "customKeyStoreId", json!("cks-22222222222222222")),
        ("customkeystore/store", "trustAnchorFingerprint", json!(print)),
        ("cloudhsmcluster/new", "clusterId", json!("cluster-2222222222222222")),
        ("cloudhsmcluster/cluster", "initializationIntent", json!({ "hsmId": "hsm-2", "identityFingerprint": print })),
        ("cloudhsmcluster/cluster", "clusterCertificateFingerprint", json!(print)),
        ("kmsaccesskey/new", "accessKeyId", json!("AKIA2222222222222222")),
    ]
}

/// The fields that the chart's policies guard, each as its policy and its name.
fn guarded_fields() -> Result<BTreeSet<String>> {
    let (rendered, mut found) = (render_chart()?, BTreeSet::new());
    for (policy, text) in policies(&rendered)? {
        let messages = text.lines().filter_map(|line| line.trim_start().strip_prefix("message: \"spec."));
        let fields = messages.filter_map(|message| message.split(' ').next());
        // Who puts and lifts a hold is another question, with tests of its own.
        found.extend(fields.filter(|field| *field != "hold").map(|field| format!("{policy} {field}")));
    }
    Ok(found)
}

/// Makes the user who may adopt.
async fn let_the_restorer_adopt(bench: &Protected) -> Result<()> {
    let kinds = "--resource=kmskeys.keystores.dev,customkeystores.keystores.dev,cloudhsmclusters.keystores.dev,\
                 kmsaccesskeys.keystores.dev";
    bench.run(&["create", "clusterrole", "restorer", "--verb=get,create,patch,adopt", kinds], None)?;
    bench.run(&["create", "clusterrolebinding", "restorer", "--clusterrole=restorer", "--user=restorer"], None)?;
    bench.allowed(&["get", "kmskey/with-material", "-n", "team-a", RESTORER], None).await
}

/// D2, D10: a tenant cannot point an object at material, or an access key at a secret, that is somebody else's.
#[tokio::test]
async fn identity_is_set_by_the_controllers_or_by_an_adopter_only() -> Result<()> {
    let policy = |object: &str| format!("adopt-{}s", object.split('/').next().unwrap_or_default());
    let tried = identities().map(|(object, field, _)| format!("{} {field}", policy(object)));
    assert_eq!(BTreeSet::from(tried), guarded_fields()?, "tried, and in the chart");
    let bench = bench().await?;
    let_the_restorer_adopt(&bench).await?;
    for (object, field, value) in identities() {
        let body = json!({ "spec": { field: value } }).to_string();
        let patch = ["patch", object, "-n", "team-a", "--type=merge", "--dry-run=server", "--patch", body.as_str()];
        let said = bench.refused(field, &[&patch[..], &[TENANT]].concat(), None);
        assert!(said.contains(&refusal_by(&policy(object))) && said.contains(&format!("spec.{field} says")), "{said}");
        for who in [CONTROLLERS, RESTORER] {
            bench.run(&[&patch[..], &[who]].concat(), None)?;
        }
    }
    nothing_is_created_with_an_identity(&bench)
}

/// The same for an object that comes with its identity.
fn nothing_is_created_with_an_identity(bench: &Protected) -> Result<()> {
    let create = |who| ["create", "--dry-run=server", "-f", "-", who];
    for (kind, own, identity) in [
        ("KmsKey", "customKeyStoreRef: {name: store}", "keyId: 22222222-2222-4222-8222-222222222222"),
        ("CustomKeyStore", "cloudHsmClusterRef: {name: cluster}", "customKeyStoreId: cks-22222222222222222"),
        ("CloudHsmCluster", "recovery: {waived: true}", "clusterId: cluster-2222222222222222"),
        ("KmsAccessKey", "description: mine", "accessKeyId: AKIA2222222222222222"),
    ] {
        let object = |spec: &str| {
            format!(
                "apiVersion: keystores.dev/v1alpha1\nkind: {kind}\nmetadata: {{name: made, namespace: team-a}}\n\
                 spec: {{{spec}}}\n"
            )
        };
        let foreign = object(&format!("{own}, {identity}"));
        bench.refused(kind, &create(TENANT), Some(&foreign));
        bench.run(&create(RESTORER), Some(&foreign))?;
        bench.run(&create(TENANT), Some(&object(own)))?;
    }
    Ok(())
}

/// D17: the AWS API's emergency stop can neither be set nor lifted by editing the object.
#[tokio::test]
async fn a_hold_is_put_and_taken_by_the_gateway_only() -> Result<()> {
    let bench = bench().await?;
    let put = r#"{"spec":{"hold":{"requestedBy":"arn:aws:iam::111122223333:user/app","requestedAt":"2026-01-01T00:00:00Z"}}}"#;
    let patch = |body: &'static str, who: &'static str| {
        ["patch", "customkeystore/store", "-n", "team-a", "--type=merge", "--patch", body, who]
    };
    bench.refused("a tenant's hold", &patch(put, TENANT), None);
    bench.run(&patch(put, GATEWAY), None)?;
    bench.refused("a tenant who lifts it", &patch(r#"{"spec":{"hold":null}}"#, TENANT), None);
    bench.run(&patch(r#"{"spec":{"connectionAttempt":"2"}}"#, TENANT), None)?;
    bench.run(&patch(r#"{"spec":{"hold":null}}"#, GATEWAY), None)?;
    Ok(())
}
