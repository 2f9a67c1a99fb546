//! The pod of one HSM: where it may run, as whom, with what, and when it counts as dead.

use k8s_openapi::api::core::v1::{
    Affinity, Capabilities, Container, ContainerPort, EnvVar, EnvVarSource, HTTPGetAction, NodeAffinity, NodeSelector,
    NodeSelectorRequirement, NodeSelectorTerm, ObjectFieldSelector, PodAffinityTerm, PodAntiAffinity,
    PodSecurityContext, PodSpec, PodTemplateSpec, Probe, ResourceRequirements, SeccompProfile, SecurityContext,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::api::ObjectMeta;
use operator_api::labels;
use operator_domain::identifier::ZoneName;

use super::super::{ADMIN_PORT, CLIENT_PORT, Desired, PEER_PORT, all_labels, label_selector};
use super::CONTAINER;
use super::volumes::{AUTHORITY, CERTIFICATE, DATA_DIR, PRIVATE_KEY, SEALING_SHARE, mounts, volumes};

/// Nobody's user id, as in the images.
const USER: i64 = 65532;

pub(super) fn template(desired: &Desired) -> PodTemplateSpec {
    let spec = PodSpec {
        affinity: Some(affinity(desired)),
        automount_service_account_token: Some(false),
        enable_service_links: Some(false),
        containers: vec![container(desired)],
        node_selector: (!desired.node_selector.is_empty()).then(|| desired.node_selector.clone()),
        security_context: Some(PodSecurityContext {
            run_as_non_root: Some(true),
            run_as_user: Some(USER),
            run_as_group: Some(USER),
            fs_group: Some(USER),
            // A volume with many records is not walked again at every start.
            fs_group_change_policy: Some("OnRootMismatch".into()),
            seccomp_profile: Some(SeccompProfile { type_: "RuntimeDefault".into(), localhost_profile: None }),
            ..PodSecurityContext::default()
        }),
        termination_grace_period_seconds: Some(30),
        tolerations: (!desired.tolerations.is_empty()).then(|| desired.tolerations.clone()),
        volumes: Some(volumes(desired)),
        ..PodSpec::default()
    };
    let metadata = ObjectMeta { labels: Some(all_labels(desired)), ..ObjectMeta::default() };
    PodTemplateSpec { metadata: Some(metadata), spec: Some(spec) }
}

/// Only in the listed zones, and never two in one zone: spread constraints alone would allow that (D18).
fn affinity(desired: &Desired) -> Affinity {
    let zones = NodeSelectorRequirement {
        key: labels::TOPOLOGY_ZONE.into(),
        operator: "In".into(),
        values: Some(desired.zones.iter().map(ToString::to_string).collect()),
    };
    let term = NodeSelectorTerm { match_expressions: Some(vec![zones]), match_fields: None };
    let apart = PodAffinityTerm {
        label_selector: Some(label_selector(&desired.cluster_id)),
        topology_key: labels::TOPOLOGY_ZONE.into(),
        ..PodAffinityTerm::default()
    };
    Affinity {
        // A cluster may have no zone yet; a requirement without values is refused.
        node_affinity: (!desired.zones.is_empty()).then(|| NodeAffinity {
            required_during_scheduling_ignored_during_execution: Some(NodeSelector { node_selector_terms: vec![term] }),
            ..NodeAffinity::default()
        }),
        pod_anti_affinity: Some(PodAntiAffinity {
            required_during_scheduling_ignored_during_execution: Some(vec![apart]),
            ..PodAntiAffinity::default()
        }),
        ..Affinity::default()
    }
}

/// The zones that [`affinity`] wrote into a template.
pub(super) fn zones(template: &PodTemplateSpec) -> Vec<ZoneName> {
    let affinity = template.spec.as_ref().and_then(|spec| spec.affinity.as_ref());
    let nodes = affinity.and_then(|affinity| affinity.node_affinity.as_ref());
    let required = nodes.and_then(|nodes| nodes.required_during_scheduling_ignored_during_execution.as_ref());
    let terms = required.into_iter().flat_map(|selector| &selector.node_selector_terms);
    let requirements = terms.filter_map(|term| term.match_expressions.as_ref()).flatten();
    let names = requirements.filter(|it| it.key == labels::TOPOLOGY_ZONE).filter_map(|it| it.values.as_ref()).flatten();
    names.filter_map(|name| name.parse().ok()).collect()
}

fn container(desired: &Desired) -> Container {
    let port = |name: &str, port: i32| ContainerPort {
        name: Some(name.into()),
        container_port: port,
        protocol: Some("TCP".into()),
        ..ContainerPort::default()
    };
    Container {
        name: CONTAINER.into(),
        image: Some(desired.image.clone()),
        image_pull_policy: Some(desired.pull_policy.clone()),
        args: Some(arguments()),
        env: Some(vec![pod_name()]),
        ports: Some(vec![port("clients", CLIENT_PORT), port("peers", PEER_PORT), port("admin", ADMIN_PORT)]),
        liveness_probe: Some(probe("/healthz", 10, 9)),
        readiness_probe: Some(probe("/readyz", 2, 3)),
        resources: Some(desired.resources.clone().unwrap_or_else(resources)),
        security_context: Some(SecurityContext {
            allow_privilege_escalation: Some(false),
            capabilities: Some(Capabilities { drop: Some(vec!["ALL".into()]), add: None }),
            privileged: Some(false),
            read_only_root_filesystem: Some(true),
            run_as_non_root: Some(true),
            seccomp_profile: Some(SeccompProfile { type_: "RuntimeDefault".into(), localhost_profile: None }),
            ..SecurityContext::default()
        }),
        volume_mounts: Some(mounts()),
        ..Container::default()
    }
}

fn arguments() -> Vec<String> {
    [
        ("--data-dir", DATA_DIR),
        ("--pod-name", "$(POD_NAME)"),
        ("--pod-certificate", CERTIFICATE),
        ("--pod-key", PRIVATE_KEY),
        ("--operator-ca", AUTHORITY),
        ("--sealing-share", SEALING_SHARE),
        ("--client-listen", &format!("0.0.0.0:{CLIENT_PORT}")),
        ("--peer-listen", &format!("0.0.0.0:{PEER_PORT}")),
        ("--admin-listen", &format!("0.0.0.0:{ADMIN_PORT}")),
    ]
    .map(|(flag, value)| format!("{flag}={value}"))
    .into()
}

fn pod_name() -> EnvVar {
    let field = ObjectFieldSelector { field_path: "metadata.name".into(), api_version: Some("v1".into()) };
    EnvVar {
        name: "POD_NAME".into(),
        value_from: Some(EnvVarSource { field_ref: Some(field), ..EnvVarSource::default() }),
        ..EnvVar::default()
    }
}

/// Liveness waits `period × failures` = 90 s: a process that stands still for a minute (a paused node, a slow disk) is not killed,
/// because killing it helps nobody and drops sessions.
fn probe(path: &str, period: i32, failures: i32) -> Probe {
    Probe {
        http_get: Some(HTTPGetAction {
            path: Some(path.into()),
            port: IntOrString::String("admin".into()),
            scheme: Some("HTTP".into()),
            ..HTTPGetAction::default()
        }),
        period_seconds: Some(period),
        timeout_seconds: Some(2),
        failure_threshold: Some(failures),
        success_threshold: Some(1),
        ..Probe::default()
    }
}

fn resources() -> ResourceRequirements {
    let of = |cpu: Option<&str>, memory: &str| {
        let memory = ("memory".to_owned(), Quantity(memory.into()));
        cpu.map(|cpu| ("cpu".to_owned(), Quantity(cpu.into()))).into_iter().chain([memory]).collect()
    };
    // No CPU limit: throttling an HSM in the middle of a login or a commit lengthens every request behind it.
    ResourceRequirements { requests: Some(of(Some("50m"), "64Mi")), limits: Some(of(None, "512Mi")), claims: None }
}
