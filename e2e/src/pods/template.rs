//! Reads a pod template as a kubelet does: expands `$(NAME)`, maps mount paths to folders, binds to the pod's address.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{Container, EnvVar, PodSpec};

/// What the downward API knows of one pod.
pub(crate) struct PodFacts<'a> {
    pub(crate) name: &'a str,
    pub(crate) namespace: &'a str,
    pub(crate) address: Ipv4Addr,
}

/// Mount path in the container → folder or file on this machine; longest paths are replaced first.
pub(crate) type Mounts = BTreeMap<String, PathBuf>;

pub(crate) fn pod_spec(set: &StatefulSet) -> Result<&PodSpec> {
    set.spec.as_ref().and_then(|spec| spec.template.spec.as_ref()).context("the StatefulSet has no pod template")
}

pub(crate) fn container(spec: &PodSpec) -> Result<&Container> {
    spec.containers.first().context("the pod template has no container")
}

/// The value of a variable of the container's environment; empty for sources that the bench does not know.
fn value_of(variable: &EnvVar, pod: &PodFacts<'_>) -> String {
    let field = variable.value_from.as_ref().and_then(|source| source.field_ref.as_ref());
    match (field.map(|field| field.field_path.as_str()), &variable.value) {
        (Some("metadata.name"), _) => pod.name.to_owned(),
        (Some("metadata.namespace"), _) => pod.namespace.to_owned(),
        (Some("status.podIP"), _) => pod.address.to_string(),
        (_, value) => value.clone().unwrap_or_default(),
    }
}

/// Replaces every `$(NAME)` by the container's variable of that name.
pub(crate) fn expand(text: &str, container: &Container, pod: &PodFacts<'_>) -> String {
    let mut expanded = text.to_owned();
    for variable in container.env.iter().flatten() {
        expanded = expanded.replace(&format!("$({})", variable.name), &value_of(variable, pod));
    }
    expanded
}

/// Gives `command` the container's arguments and environment, with paths and listen addresses of this machine.
pub(crate) fn fill(command: &mut Command, container: &Container, pod: &PodFacts<'_>, mounts: &Mounts) {
    let localise = |text: &str| {
        let mut text = expand(text, container, pod).replace("0.0.0.0:", &format!("{}:", pod.address));
        for (path, place) in mounts.iter().rev() {
            text = text.replace(path.as_str(), &place.display().to_string());
        }
        text
    };
    command.env_clear();
    for variable in container.env.iter().flatten() {
        command.env(&variable.name, localise(&value_of(variable, pod)));
    }
    command.args(container.args.iter().flatten().map(|argument| localise(argument)));
}
