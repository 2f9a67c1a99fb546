//! The ways around a plain delete (architecture, "Protection"; D2, D17, D19): each is closed, and the permitted path beside it still works.
//! `docs/protection.md` lists them as hole, policy and test.

use std::sync::Arc;

use anyhow::Result;
use e2e::binaries::checkout;
use e2e::chart::render_chart;
use e2e::installation::{GATEWAY_NAMESPACE, HSM_NAMESPACE, SYSTEM_NAMESPACE, VAULT_NAMESPACE};
use e2e::protection::{ATTEMPTS, CONTROLLERS, GATEWAY, Protected, TENANT};
use e2e::shared::Shared;

const GARBAGE_COLLECTOR: &str = "--as=system:serviceaccount:kube-system:generic-garbage-collector";
const NAMESPACE_CONTROLLER: &str = "--as=system:serviceaccount:kube-system:namespace-controller";
const CLAIM: &str = "pvc/data-cluster-abcdefgh234567ab-0";

/// For tests that leave the others what those need: what one unprotects or deletes, no other one looks at.
static BENCH: Shared<Protected> = Shared::idle();

async fn bench() -> Result<Arc<Protected>> {
    BENCH.hold(Protected::start).await
}

/// Gives the controllers of kube-controller-manager what they have in a cluster; here nothing else is running.
fn let_kubernetes_delete(bench: &Protected) -> Result<()> {
    for account in ["generic-garbage-collector", "namespace-controller"] {
        let account = format!("--serviceaccount=kube-system:{account}");
        let name = account.rsplit(':').next().unwrap_or_default();
        bench.run(&["create", "clusterrolebinding", name, "--clusterrole=cluster-admin", &account], None)?;
    }
    Ok(())
}

/// One DELETE of a collection never names an object, and the namespace controller uses nothing else.
#[tokio::test]
async fn a_collection_cannot_be_deleted_around_its_protected_members() -> Result<()> {
    // Held for the others, who come and go meanwhile: here whatever is not protected may go.
    let _held = bench().await?;
    let bench = Protected::start().await?;
    let_kubernetes_delete(&bench)?;
    bench.allowed(&["get", "pods", "-n", "team-a", NAMESPACE_CONTROLLER], None).await?;
    let collection = |path: &'static str, who: &'static str| vec!["delete", "--raw", path, who];
    for (path, who) in [
        ("/apis/keystores.dev/v1alpha1/namespaces/team-a/kmskeys?fieldSelector=metadata.name%3Dwith-material", TENANT),
        ("/apis/keystores.dev/v1alpha1/namespaces/team-a/customkeystores", NAMESPACE_CONTROLLER),
        ("/api/v1/namespaces/keystore-hsm/persistentvolumeclaims", NAMESPACE_CONTROLLER),
        ("/apis/keystores.dev/v1alpha1/namespaces/keystore-system/keystoreclaims", NAMESPACE_CONTROLLER),
        ("/api/v1/namespaces/keystore-gateway/secrets", NAMESPACE_CONTROLLER),
        ("/api/v1/namespaces/keystore-hsm/secrets", NAMESPACE_CONTROLLER),
        ("/api/v1/namespaces/keystore-vault/secrets", NAMESPACE_CONTROLLER),
    ] {
        let refused = bench.run(&collection(path, who), None);
        assert!(refused.is_err_and(|error| error.to_string().contains("denied request")), "{path} was deleted");
    }
    bench.run(&["get", "kmskey/with-material", "customkeystore/store", "-n", "team-a"], None)?;
    let unprotected =
        "/apis/keystores.dev/v1alpha1/namespaces/team-a/kmskeys?fieldSelector=metadata.name%3Dwithout-material";
    bench.run(&collection(unprotected, TENANT), None)?;
    Ok(())
}

/// D19: an owner that goes takes nothing with it, because the garbage collector is refused like anybody.
#[tokio::test]
async fn an_owner_reference_does_not_let_the_garbage_collector_delete() -> Result<()> {
    let bench = bench().await?;
    let_kubernetes_delete(&bench)?;
    bench.allowed(&["get", "pods", "-n", "team-a", GARBAGE_COLLECTOR], None).await?;
    for (object, namespace) in [
        ("kmskey/with-material", "team-a"),
        ("keystoreclaim/name-team-a-store", SYSTEM_NAMESPACE),
        (CLAIM, HSM_NAMESPACE),
        ("statefulset/cluster-abcdefgh234567ab", HSM_NAMESPACE),
        ("secret/cluster-abcdefgh234567ab-sealing", HSM_NAMESPACE),
        ("secret/cluster-abcdefgh234567ab-kmsuser", VAULT_NAMESPACE),
    ] {
        bench.refused(object, &["delete", object, "-n", namespace, GARBAGE_COLLECTOR], None);
    }
    bench.run(&["delete", "kmskey/without-material", "-n", "team-a", GARBAGE_COLLECTOR], None)?;
    let templates = render_chart()?;
    assert!(!templates.contains("ownerReferences"), "the chart sets an owner");
    Ok(())
}

/// Policies look at fields and at the name of the namespace, so nothing is won by taking labels away.
#[tokio::test]
async fn stripping_labels_does_not_unprotect() -> Result<()> {
    let bench = bench().await?;
    bench.run(&["label", "namespace/keystore-hsm", "kubernetes.io/metadata.name-", "--overwrite"], None)?;
    bench.run(&["label", "namespace/keystore-hsm", "app.kubernetes.io/part-of-"], None)?;
    bench.run(&["label", "crd/kmskeys.keystores.dev", "app.kubernetes.io/part-of-"], None)?;
    bench.refused("a claim", &["delete", CLAIM, "-n", HSM_NAMESPACE], None);
    bench.refused("a namespace", &["delete", "namespace/keystore-hsm"], None);
    bench.refused("a definition", &["delete", "crd/kmskeys.keystores.dev"], None);
    let elsewhere =
        "{\"apiVersion\":\"v1\",\"kind\":\"Secret\",\"metadata\":{\"name\":\"mine\",\"namespace\":\"team-a\"}}";
    bench.run(&["create", "-f", "-"], Some(elsewhere))?;
    bench.run(&["delete", "secret/mine", "-n", "team-a"], None)?;
    Ok(())
}

/// `kubectl replace --force` is a delete and a create; the new object would come without its identity.
#[tokio::test]
async fn a_forced_replacement_is_a_deletion() -> Result<()> {
    let bench = bench().await?;
    let key = |name: &str| {
        format!(
            "apiVersion: keystores.dev/v1alpha1\nkind: KmsKey\nmetadata: {{name: {name}, namespace: team-a}}\n\
             spec: {{customKeyStoreRef: {{name: store}}}}\n"
        )
    };
    bench.refused("a forced replacement", &["replace", "--force", "-f", "-"], Some(&key("with-material")));
    bench.run(&["create", "-f", "-"], Some(&key("own-without-material")))?;
    bench.run(&["replace", "--force", "-f", "-"], Some(&key("own-without-material")))?;
    Ok(())
}

/// T-25: an overwritten share or password is as lost as a deleted one.
#[tokio::test]
async fn the_content_of_a_secret_is_changed_by_the_controllers_only() -> Result<()> {
    let bench = bench().await?;
    let create = ["create", "secret", "generic", "own", "--from-literal=ring=first", "-n", VAULT_NAMESPACE];
    bench.run(&create, None)?;
    let secret = ["patch", "secret/own", "-n", VAULT_NAMESPACE, "--type=merge", "--patch"];
    let patch = |body: &'static str, who: &[&'static str]| [&secret[..], &[body], who].concat();
    for (secret, namespace) in [
        ("secret/gateway-serving", GATEWAY_NAMESPACE),
        ("secret/cluster-abcdefgh234567ab-sealing", HSM_NAMESPACE),
        ("secret/cluster-abcdefgh234567ab-kmsuser", VAULT_NAMESPACE),
        ("secret/own", VAULT_NAMESPACE),
    ] {
        let order = ["patch", secret, "-n", namespace, "--type=merge", "--patch"];
        // For ever, and then no controller writes the next password.
        let immutable = r#"{"immutable":true}"#;
        for body in [r#"{"stringData":{"ring":"x","share":"x","tls.key":"x"}}"#, r#"{"data":null}"#, immutable] {
            bench.refused(secret, &[&order[..], &[body]].concat(), None);
        }
    }
    bench.run(&patch(r#"{"metadata":{"labels":{"mine":"yes"}}}"#, &[]), None)?;
    let replacement = format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: own, namespace: {VAULT_NAMESPACE}}}\nstringData: {{ring: x}}\n"
    );
    bench.refused("a replaced ring", &["replace", "-f", "-"], Some(&replacement));
    bench.run(&["replace", "--dry-run=server", "-f", "-", CONTROLLERS], Some(&replacement))?;
    bench.run(&patch(r#"{"metadata":{"annotations":{"keystores.dev/unprotect":"true"}}}"#, &[]), None)?;
    bench.run(&patch(r#"{"stringData":{"ring":"x"}}"#, &[]), None)?;
    // Of a type that the controllers do not write: somebody else keeps it, and may.
    let credential = ["create", "secret", "docker-registry", "credential", "-n", VAULT_NAMESPACE];
    bench
        .run(&[&credential[..], &["--docker-server=a", "--docker-username=b", "--docker-password=c"]].concat(), None)?;
    let renewed = r#"{"data":{".dockerconfigjson":"e30="}}"#;
    bench.run(&["patch", "secret/credential", "-n", VAULT_NAMESPACE, "--type=merge", "--patch", renewed], None)?;
    Ok(())
}

/// D19: default storage classes delete; the operator sets Retain, and nobody sets it back by mistake.
#[tokio::test]
async fn the_volume_of_an_hsm_stays_retained_and_bound() -> Result<()> {
    let bench = bench().await?;
    let patch = |volume: &'static str, body: &'static str| vec!["patch", volume, "--type=merge", "--patch", body];
    let delete = r#"{"spec":{"persistentVolumeReclaimPolicy":"Delete"}}"#;
    let (ours, theirs) = ("pv/volume-of-an-hsm", "pv/volume-of-somebody-else");
    bench.refused("reclaim policy Delete", &patch(ours, delete), None);
    bench.refused("another claim", &patch(ours, r#"{"spec":{"claimRef":{"namespace":"team-a"}}}"#), None);
    bench.refused("no claim", &patch(ours, r#"{"spec":{"claimRef":null}}"#), None);
    bench.refused("its deletion", &["delete", ours, "--wait=false"], None);
    bench.run(&patch(ours, r#"{"metadata":{"labels":{"mine":"yes"}}}"#), None)?;
    bench.run(&patch(theirs, delete), None)?;
    bench.run(&["delete", theirs, "--wait=false"], None)?;
    Ok(())
}

/// What is not served is seen by nobody, and a status that is no subresource goes with the next replacement of its object.
#[tokio::test]
async fn a_definition_goes_on_serving_its_versions_with_their_status_apart() -> Result<()> {
    let bench = bench().await?;
    let patch = |body: &'static str| {
        ["patch", "crd/kmsaliases.keystores.dev", "--type=json", "--dry-run=server", "--patch", body]
    };
    let unserved = r#"[{"op":"replace","path":"/spec/versions/0/served","value":false}]"#;
    let with_status = r#"[{"op":"remove","path":"/spec/versions/0/subresources"}]"#;
    for body in [unserved, with_status] {
        bench.refused(body, &patch(body), None);
    }
    bench.run(&patch(r#"[{"op":"remove","path":"/spec/versions/0/additionalPrinterColumns"}]"#), None)?;
    // As an upgrade of the release does; without doing it, for another test has taken labels away.
    let upgrade = ["apply", "--server-side", "--force-conflicts", "--dry-run=server", "-f", "-"];
    bench.run(&upgrade, Some(&render_chart()?))?;
    bench.run(&["annotate", "crd/kmsaliases.keystores.dev", "keystores.dev/unprotect=true"], None)?;
    bench.run(&patch(with_status), None)?;
    Ok(())
}

/// D2: an object that is made under a generated name is no way around the adoption of foreign material.
#[tokio::test]
async fn a_generated_name_does_not_adopt_material() -> Result<()> {
    let bench = bench().await?;
    let key = "apiVersion: keystores.dev/v1alpha1\nkind: KmsKey\nmetadata: {generateName: any-, namespace: team-a}\n\
               spec: {customKeyStoreRef: {name: store}, keyId: 33333333-3333-4333-8333-333333333333}\n";
    let create = ["create", "-f", "-", "--dry-run=server", TENANT];
    bench.refused("foreign material", &create, Some(key));
    let role = ["create", "clusterrole", "adopter", "--verb=adopt", "--resource=kmskeys.keystores.dev"];
    bench.run(&role, None)?;
    bench.run(&["create", "clusterrolebinding", "adopter", "--clusterrole=adopter", "--user=tenant"], None)?;
    bench.allowed(&create, Some(key)).await
}

/// D17: DisableKey's hold on a key, as Disconnect's on a store.
#[tokio::test]
async fn a_hold_on_a_key_is_the_gateways() -> Result<()> {
    let bench = bench().await?;
    let patch = |body: &'static str, who: &'static str| {
        ["patch", "kmskey/with-material", "-n", "team-a", "--type=merge", "--patch", body, who]
    };
    let put = r#"{"spec":{"hold":{"requestedBy":"arn:aws:iam::111122223333:user/app","requestedAt":"2026-01-01T00:00:00Z"}}}"#;
    bench.refused("a tenant's hold", &patch(put, TENANT), None);
    // The policy knows whose the field is; the chart grants the gateway no patch of keys before it offers DisableKey.
    let role = ["create", "clusterrole", "disabler", "--verb=get,patch", "--resource=kmskeys.keystores.dev"];
    bench.run(&role, None)?;
    let account = "--serviceaccount=keystore-gateway:keystore-gateway";
    bench.run(&["create", "clusterrolebinding", "disabler", "--clusterrole=disabler", account], None)?;
    bench.allowed(&patch(put, GATEWAY), None).await?;
    bench.refused("a tenant who lifts it", &patch(r#"{"spec":{"hold":null}}"#, TENANT), None);
    bench.run(&patch(r#"{"spec":{"description":"mine"}}"#, TENANT), None)?;
    Ok(())
}

/// "They stay on `helm uninstall`": that is when they matter most. And Helm upgrades only what lies in templates/.
#[test]
fn policies_bindings_definitions_and_namespaces_outlive_the_release() -> Result<()> {
    let rendered = render_chart()?;
    let kinds =
        ["ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding", "CustomResourceDefinition", "Namespace"];
    for kind in kinds {
        let of_kind: Vec<_> =
            rendered.split("\n---").filter(|text| text.contains(&format!("\nkind: {kind}\n"))).collect();
        assert!(of_kind.len() >= 4, "{} of {kind}", of_kind.len());
        for text in of_kind {
            assert!(text.contains("helm.sh/resource-policy: keep"), "{text}");
        }
    }
    assert!(!checkout().join("charts/keystore-operator/crds").exists());
    Ok(())
}

/// The table in docs/protection.md names every policy, every test of these files, and none that does not exist.
#[test]
fn the_documentation_names_the_test_of_every_hole() -> Result<()> {
    let documented = std::fs::read_to_string(checkout().join("docs/protection.md"))?;
    let sources = ["protection.rs", "protection_holes.rs"]
        .map(|file| std::fs::read_to_string(checkout().join("e2e/tests/integration").join(file)).unwrap_or_default())
        .join("\n");
    let exists = |name: &str| sources.contains(&format!("fn {name}("));
    let rows = documented.lines().filter(|line| line.ends_with("` |"));
    let listed: Vec<_> = rows.filter_map(|line| line.rsplit("| `").next()?.split('`').next()).collect();
    assert!(listed.len() > 10, "{listed:?}");
    assert!(listed.iter().all(|name| exists(name)), "{listed:?}");
    let tests = sources.split("#[tokio::test]\nasync fn ").skip(1).filter_map(|text| text.split('(').next());
    for name in tests {
        assert!(listed.contains(&name), "{name} is not listed");
    }
    for (policy, ..) in ATTEMPTS {
        assert!(documented.contains(&format!("`{policy}`")), "{policy} is not listed");
    }
    Ok(())
}
