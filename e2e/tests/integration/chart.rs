//! The chart as a whole on a real API server: every object passes strict validation, `restricted` pods are enforced, what the roles grant is
//! what the golden file says, and bad values are refused with a reason.

use std::collections::BTreeSet;
use std::process::Command;

use anyhow::{Context, Result};
use e2e::binaries::{checkout, kubernetes};
use e2e::chart::render_chart;
use e2e::control_plane::ControlPlane;
use e2e::installation::{GATEWAY_NAMESPACE, HSM_NAMESPACE, SYSTEM_NAMESPACE, VAULT_NAMESPACE};
use e2e::kubectl::{kinds_are_served, kubectl};
use e2e::rbac::{self, Grant};

/// What `helm template` says to values that must be refused.
fn refusal(values: &[&str]) -> Result<String> {
    let mut command = Command::new(kubernetes("helm")?);
    command.args(["template", "keystore-operator"]).arg(checkout().join("charts/keystore-operator"));
    for value in values {
        command.args(["--set", value]);
    }
    let output = command.output().context("failed to start helm")?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    Ok(if output.status.success() { String::new() } else { said })
}

/// (values, a part of the message)
const BAD_VALUES: &[(&[&str], &str)] = &[
    (&["replicas=3"], "additional properties 'replicas' not allowed"),
    (&["gateway.service.prot=443"], "additional properties 'prot' not allowed"),
    (&["controllers.replicas=0"], "minimum: got 0, want 1"),
    (&["controllers.replicas=two"], "want integer"),
    (&["gateway.replicas=101"], "maximum: got 101, want 100"),
    (&["namespaces.hsm=Keys"], "/namespaces/hsm"),
    (&["namespaces.vault=keystore-hsm"], "the four names must differ"),
    (&["region=local_1"], "/region"),
    (&["region=null"], "region"),
    (&["image.tag=a b"], "/image/tag"),
    (&["image.pullPolicy=Sometimes"], "value must be one of 'Always', 'IfNotPresent', 'Never'"),
    (&["hsmImage.repository="], "/hsmImage/repository"),
    (&["gateway.service.type=Ingress"], "/gateway/service/type"),
    (&["gateway.service.nodePort=30443"], "/gateway/service/nodePort"),
    (&["gateway.service.port=70000"], "maximum: got 70,000, want 65,535"),
    (&["logLevel="], "/logLevel"),
    (&["certificates.gatewayServing.lifetime=90d"], "/certificates/gatewayServing/lifetime"),
    (&["certificates.gatewayServing.lifetime=90"], "/certificates/gatewayServing/lifetime"),
    (&["certificates.hsmClients.renewBefore=0h"], "/certificates/hsmClients/renewBefore"),
    (&["certificates.hsmPods.lifetme=1h"], "additional properties 'lifetme' not allowed"),
    (
        &["certificates.hsmPods.lifetime=1h", "certificates.hsmPods.renewBefore=46m"],
        "more than three quarters of lifetime 1h",
    ),
    (&["networkPolicies.apiServer.cidrs={everywhere}"], "/networkPolicies/apiServer/cidrs/0"),
    (&["networkPolicies.apiServer.ports={}"], "/networkPolicies/apiServer/ports"),
    (&["protection.enabled=perhaps"], "/protection/enabled"),
    (&["gateway.extraNames={a,a}"], "/gateway/extraNames"),
    (&["imagePullSecrets={}", "imagePullSecrets[0]="], "/imagePullSecrets/0"),
];

#[test]
fn every_bad_value_is_refused_with_its_place_and_reason() -> Result<()> {
    let mut wrong = Vec::new();
    for (values, part) in BAD_VALUES {
        let said = refusal(values)?;
        if !said.contains(part) {
            wrong.push(format!("{values:?}: does not say {part:?}: {said:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(refusal(&["certificates.hsmPods.lifetime=1h", "certificates.hsmPods.renewBefore=45m"])?, "");
    Ok(())
}

/// As kubeconform would, but against the API server's own schemas, and with its admission: no unknown field, no wrong type anywhere.
#[tokio::test]
async fn the_whole_chart_passes_strict_validation_and_so_does_a_second_apply() -> Result<()> {
    let plane = ControlPlane::start().await?;
    let (admin, rendered) = (plane.admin_kubeconfig(), render_chart()?);
    let apply = ["apply", "--server-side", "--validate=strict", "-f", "-"];
    kubectl(&admin, &apply, Some(&rendered))?;
    kinds_are_served(&admin).await?;
    kubectl(&admin, &[&apply[..], &["--dry-run=server"]].concat(), Some(&rendered))?;
    let typo = rendered.replacen("replicas: 2", "replicas: 2\n  replcas: 2", 1);
    let refused = kubectl(&admin, &[&apply[..], &["--dry-run=server"]].concat(), Some(&typo));
    let said = refused.expect_err("a field that does not exist was accepted").to_string();
    assert!(said.contains("replcas"), "{said}");
    pods_are_restricted(&admin)
}

/// `restricted` in every namespace of the chart: the plainest pod is refused, the chart's own templates are not.
fn pods_are_restricted(admin: &std::path::Path) -> Result<()> {
    let plain = "apiVersion: v1\nkind: Pod\nmetadata: {name: plain}\nspec: {containers: [{name: c, image: i}]}\n";
    for namespace in [SYSTEM_NAMESPACE, GATEWAY_NAMESPACE, HSM_NAMESPACE, VAULT_NAMESPACE] {
        let create = ["create", "--dry-run=server", "--namespace", namespace, "-f", "-"];
        let said = kubectl(admin, &create, Some(plain)).expect_err("a pod with all rights was accepted").to_string();
        assert!(said.contains("violates PodSecurity \"restricted"), "{namespace}: {said}");
    }
    kubectl(admin, &["create", "--dry-run=server", "--namespace", "default", "-f", "-"], Some(plain))?;
    for (namespace, deployment) in [(SYSTEM_NAMESPACE, "keystore-operator"), (GATEWAY_NAMESPACE, "keystore-gateway")] {
        let get = ["get", "deployment", deployment, "--namespace", namespace, "--output=json"];
        let found: serde_json::Value = serde_json::from_str(&kubectl(admin, &get, None)?)?;
        let pod = serde_json::json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "ours" },
            "spec": found["spec"]["template"]["spec"] });
        let create = ["create", "--dry-run=server", "--namespace", namespace, "-f", "-"];
        kubectl(admin, &create, Some(&pod.to_string())).with_context(|| format!("{deployment} is not restricted"))?;
    }
    Ok(())
}

#[test]
fn the_roles_grant_what_the_golden_file_says() -> Result<()> {
    let golden = std::fs::read_to_string(checkout().join("charts/rbac.txt"))?;
    let rendered = rbac::table(&rbac::grants(&render_chart()?)?);
    assert_eq!(rendered, golden, "charts/rbac.txt is out of date: read the difference, then run \"make generate\"");
    Ok(())
}

/// D10: no wildcard, and nobody reads Secrets cluster-wide.
#[test]
fn no_role_has_a_wildcard_or_reaches_secrets_everywhere() -> Result<()> {
    let bad = |grants: &[Grant]| {
        grants.iter().filter(|grant| grant.is_too_wide()).map(ToString::to_string).collect::<Vec<_>>()
    };
    let rendered = render_chart()?;
    assert_eq!(bad(&rbac::grants(&rendered)?), Vec::<String>::new());
    // Positive controls: each of these turns it red.
    for (from, to) in
        [("verbs: [get, list, watch, patch]", "verbs: [\"*\"]"), ("resources: [nodes]", "resources: [nodes, secrets]")]
    {
        assert!(rendered.contains(from), "{from}");
        assert!(!bad(&rbac::grants(&rendered.replacen(from, to, 1))?).is_empty(), "{to} was not noticed");
    }
    let accounts: BTreeSet<_> = rbac::grants(&rendered)?.into_iter().map(|grant| grant.subject).collect();
    assert_eq!(
        accounts,
        BTreeSet::from(["keystore-gateway/keystore-gateway", "keystore-system/keystore-operator"].map(str::to_owned))
    );
    Ok(())
}
