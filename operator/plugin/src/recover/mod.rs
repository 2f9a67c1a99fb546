//! `kubectl keystore recover`: reads records and objects, shows the plan, carries it out line by line.

mod claims;
pub(crate) mod live;
mod plan;
mod records;

use std::collections::BTreeMap;

use anyhow::Result;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt;
use kube::api::DynamicObject;
use operator_api::reason::is_refused_copy;
use operator_api::{RecordedKind, RecoveryRecord};
use strum::IntoEnumIterator;

use self::live::{Object, World};
use self::plan::{Plan, Step, Verdict, plan};
use crate::api_server::ApiServer;
use crate::cli::RecoverOptions;
use crate::table::aligned;

/// Whether everything that is recorded is there afterwards, or would be.
pub(crate) async fn run(server: &ApiServer, options: &RecoverOptions) -> Result<bool> {
    let maps = server.record_maps(&options.vault_namespace).await?;
    let (mut records, damaged) = records::parse(&maps);
    if let Some(namespace) = &options.namespace {
        records.retain(|record| record.namespace() == namespace);
    }
    for entry in &damaged {
        anstream::eprintln!("cannot be read, correct it by hand: {entry}");
    }
    let world = world(server).await?;
    let plan = plan(&records, &world, options.removed);
    for line in lines(&plan) {
        anstream::println!("{line}");
    }
    let open = plan.steps.iter().filter(|step| matches!(step.verdict, Verdict::Wait(_) | Verdict::Conflict(_))).count();
    let due = plan.namespaces.len() + plan.steps.iter().filter(|step| is_due(&step.verdict)).count();
    if !options.dry_run {
        carry_out(server, &plan, &world).await?;
    }
    anstream::println!("{}", summary(&records, due, open, options));
    Ok(open == 0 && damaged.is_empty())
}

fn is_due(verdict: &Verdict) -> bool {
    match verdict {
        Verdict::Create | Verdict::Adopt(_) => true,
        Verdict::Present | Verdict::LeftOut(_) | Verdict::Wait(_) | Verdict::Conflict(_) => false,
    }
}

async fn world(server: &ApiServer) -> Result<World> {
    let namespaces = server.namespaces().await?.into_iter();
    let namespaces: BTreeMap<_, _> =
        namespaces.map(|it| (it.name_any(), it.metadata.deletion_timestamp.is_some())).collect();
    let mut objects = Vec::new();
    for kind in RecordedKind::iter() {
        objects.extend(server.list_recorded(kind).await?.into_iter().map(|object| seen(kind, object)));
    }
    Ok(World::new(namespaces, objects))
}

fn seen(kind: RecordedKind, mut object: DynamicObject) -> Object {
    let spec = object.data["spec"].take();
    let conditions: Vec<Condition> =
        serde_json::from_value(object.data["status"]["conditions"].take()).unwrap_or_default();
    let tenant = spec["namespace"].as_str().map(str::to_owned).filter(|_| kind == RecordedKind::KeystoreAccount);
    Object {
        kind,
        namespace: tenant.or_else(|| object.namespace()).unwrap_or_default(),
        name: object.name_any(),
        uid: object.uid().unwrap_or_default(),
        resource_version: object.resource_version().unwrap_or_default(),
        terminating: object.metadata.deletion_timestamp.is_some(),
        refused: is_refused_copy(&conditions),
        spec,
    }
}

/// The plan for people: nothing about what is there anyway.
fn lines(plan: &Plan<'_>) -> Vec<String> {
    let namespaces = plan.namespaces.iter().map(|name| {
        vec!["create".to_owned(), "Namespace".to_owned(), (*name).to_owned(), String::new(), String::new()]
    });
    let steps = plan.steps.iter().filter_map(|step| {
        let (word, why) = match &step.verdict {
            Verdict::Present => return None,
            Verdict::Create => ("create", ""),
            Verdict::Adopt(_) => ("give id to", ""),
            Verdict::LeftOut(why) => ("leave out", why.as_str()),
            Verdict::Wait(why) => ("wait", why.as_str()),
            Verdict::Conflict(why) => ("CONFLICT", why.as_str()),
        };
        let place = format!("{}/{}", step.record.namespace(), step.record.name());
        let identity = step.record.identity().unwrap_or_default();
        Some([word, step.kind.as_str(), place.as_str(), identity, why].map(str::to_owned).to_vec())
    });
    aligned(&namespaces.chain(steps).collect::<Vec<_>>())
}

async fn carry_out(server: &ApiServer, plan: &Plan<'_>, world: &World) -> Result<()> {
    let due = plan.namespaces.len() + plan.steps.iter().filter(|step| is_due(&step.verdict)).count();
    let mut done = 0;
    for namespace in &plan.namespaces {
        server.create_namespace(namespace).await?;
        done += 1;
        anstream::println!("[{done}/{due}] created Namespace {namespace}");
    }
    for step in &plan.steps {
        if let Some(what) = perform(server, step, world).await? {
            done += 1;
            let (namespace, name) = (step.record.namespace(), step.record.name());
            anstream::println!("[{done}/{due}] {what} {} {namespace}/{name}", step.kind);
        }
    }
    Ok(())
}

/// Carries out one step; what was done, in a word.
async fn perform(server: &ApiServer, step: &Step<'_>, world: &World) -> Result<Option<&'static str>> {
    match &step.verdict {
        Verdict::Create => {
            server.create(step.kind, &step.record.object).await?;
            Ok(Some("created"))
        }
        Verdict::Adopt(fields) => {
            let object = world.named(step.kind, step.record.namespace(), step.record.name());
            if let Some(object) = object {
                server.set(step.kind, object, fields).await?;
            }
            Ok(Some("gave the recorded id to"))
        }
        Verdict::Present | Verdict::LeftOut(_) | Verdict::Wait(_) | Verdict::Conflict(_) => Ok(None),
    }
}

fn summary(records: &[RecoveryRecord], due: usize, open: usize, options: &RecoverOptions) -> String {
    let open = match open {
        0 => String::new(),
        open => format!("; {open} cannot come back yet, for the reasons above"),
    };
    match (due, options.dry_run) {
        (0, _) => format!("{} records, nothing to bring back{open}", records.len()),
        (due, true) => format!("{due} of {} records would be brought back{open}; nothing was changed", records.len()),
        (due, false) => format!(
            "{due} objects brought back{open}. The controllers find HSMs and keys by the ids in them: watch with `kubectl keystore status -A`"
        ),
    }
}
