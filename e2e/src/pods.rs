//! What a kubelet, a scheduler and a volume provisioner would do for the HSM StatefulSets, with real hsm-sim processes.
//!
//! For each StatefulSet of the HSM namespace it makes one Node per zone, binds a volume claim to a folder, mounts the
//! Secrets that the pod template names, starts the program with the template's own arguments on a loopback address,
//! and reports the address in the Pod's status. So the template that the operator builds is executed, not assumed.
//! A killed process comes back as a container would, unless the test holds it down.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, Client, ResourceExt, api::ListParams};
use rustix::process::Signal;
use tempfile::TempDir;
use tokio::task::JoinHandle;

use crate::loopback::Block;
use crate::process::Process;

pub(crate) mod mounts;
mod objects;
pub(crate) mod template;

/// The zones that the bench offers, in the order of pod ordinals.
pub const ZONES: [&str; 3] = ["local-1a", "local-1b", "local-1c"];

/// Passwords are hashed as quickly as hsm-sim allows, for hundreds of logins in a test are not about that; with the product's count it was a
/// quarter of their time. The template says nothing of it; what the product does by itself is tested beside the simulator, and on kind.
const FEW_ITERATIONS: &str = "--password-iterations=1000";

/// How often the bench looks at its processes, and at the StatefulSets too while there are no pods yet or one of them has no process.
const PERIOD: Duration = Duration::from_millis(200);
/// Periods between two looks at the StatefulSets while all is well, which is nearly always: four requests in each period added up.
const PERIODS_AT_REST: u32 = 5;

/// One pod's process and its volume.
#[derive(Debug)]
struct Slot {
    process: Option<Process>,
    volume: PathBuf,
    held: bool,
    starts: u32,
}

impl Slot {
    /// Whether its process runs, or is not to run.
    fn is_at_rest(&mut self) -> bool {
        self.held || self.process.as_mut().is_some_and(|process| matches!(process.ended(), Ok(None)))
    }
}

#[derive(Debug)]
struct Shared {
    client: DebugClient,
    namespace: String,
    folder: TempDir,
    block: Block,
    slots: Mutex<BTreeMap<String, Slot>>,
    /// The StatefulSets in the order in which they were seen first: the addresses of their pods must not depend on their random names.
    sets: Mutex<Vec<String>>,
}

/// `kube::Client` has no Debug; the bench's values have.
struct DebugClient(Client);

impl std::fmt::Debug for DebugClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Client")
    }
}

/// Runs the pods of one namespace until it is dropped.
#[derive(Debug)]
pub struct Pods {
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl Pods {
    /// Makes the nodes and begins to run what StatefulSets of `namespace` ask for.
    ///
    /// # Errors
    /// When the Node objects cannot be made.
    pub async fn run(client: Client, namespace: &str) -> Result<Self> {
        objects::make_nodes(&client).await?;
        let shared = Arc::new(Shared {
            client: DebugClient(client),
            namespace: namespace.to_owned(),
            folder: TempDir::with_prefix("keystore-pods-")?,
            block: Block::take()?,
            slots: Mutex::default(),
            sets: Mutex::default(),
        });
        let task = tokio::spawn(keep_running(Arc::clone(&shared)));
        Ok(Self { shared, task })
    }

    /// An address of this bench's own block; pods use 11 and up, the operator's processes 1 to 9.
    #[must_use]
    pub fn address(&self, number: u8) -> std::net::Ipv4Addr {
        self.shared.block.address(number)
    }

    /// The names of the pods seen so far, in order.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.shared.with_slots(|slots| slots.keys().cloned().collect())
    }

    /// SIGKILL; the process comes back by itself within a moment.
    pub fn kill(&self, pod: &str) {
        self.shared.with_slots(|slots| {
            if let Some(process) = slots.get_mut(pod).and_then(|slot| slot.process.as_mut()) {
                process.kill();
            }
        });
    }

    /// SIGKILL, and no restart until [`Pods::release`].
    pub fn hold_down(&self, pod: &str) {
        self.shared.with_slots(|slots| {
            if let Some(slot) = slots.get_mut(pod) {
                slot.held = true;
                slot.process = None;
            }
        });
    }

    /// Lets a held pod start again.
    pub fn release(&self, pod: &str) {
        self.shared.with_slots(|slots| {
            if let Some(slot) = slots.get_mut(pod) {
                slot.held = false;
            }
        });
    }

    /// Sends a signal such as STOP or CONT to the pod's process.
    pub fn signal(&self, pod: &str, signal: Signal) {
        self.shared.with_slots(|slots| {
            if let Some(process) = slots.get(pod).and_then(|slot| slot.process.as_ref()) {
                process.signal(signal);
            }
        });
    }

    /// Kills the pod and empties its volume, as when a zone is lost with its disk.
    ///
    /// # Errors
    /// When the folder cannot be emptied.
    pub fn wipe_volume(&self, pod: &str) -> Result<()> {
        self.hold_down(pod);
        let volume = self.shared.with_slots(|slots| slots.get(pod).map(|slot| slot.volume.clone()));
        let volume = volume.with_context(|| format!("no pod {pod}"))?;
        std::fs::remove_dir_all(&volume)?;
        std::fs::create_dir_all(&volume)?;
        self.release(pod);
        Ok(())
    }

    /// The folder that stands in for the pod's volume.
    #[must_use]
    pub fn volume(&self, pod: &str) -> Option<PathBuf> {
        self.shared.with_slots(|slots| slots.get(pod).map(|slot| slot.volume.clone()))
    }

    /// The process id of a pod that runs.
    #[must_use]
    pub fn id(&self, pod: &str) -> Option<u32> {
        self.shared.with_slots(|slots| slots.get(pod)?.process.as_ref().map(Process::id))
    }

    /// The folder of all volumes, mounted Secrets and logs.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.shared.folder.path()
    }

    /// How often the pod's process was started.
    #[must_use]
    pub fn starts(&self, pod: &str) -> u32 {
        self.shared.with_slots(|slots| slots.get(pod).map_or(0, |slot| slot.starts))
    }

    /// The end of a pod's log.
    #[must_use]
    pub fn log(&self, pod: &str) -> String {
        crate::process::tail(&self.shared.folder.path().join(format!("{pod}.log")), 40)
    }
}

impl Drop for Pods {
    fn drop(&mut self) {
        self.task.abort();
        self.shared.with_slots(|slots| {
            // Not one after the other by SIGTERM, which each would have to hear out: their volumes go too.
            slots.values_mut().filter_map(|slot| slot.process.as_mut()).for_each(Process::kill);
            slots.clear();
        });
    }
}

impl Shared {
    /// A poisoned lock only says that another check failed; the processes are still ours to end.
    fn with_slots<T>(&self, act: impl FnOnce(&mut BTreeMap<String, Slot>) -> T) -> T {
        act(&mut self.slots.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn is_at_rest(&self) -> bool {
        self.with_slots(|slots| !slots.is_empty() && slots.values_mut().all(Slot::is_at_rest))
    }

    fn number_of(&self, set: &str) -> usize {
        let mut sets = self.sets.lock().unwrap_or_else(PoisonError::into_inner);
        sets.iter().position(|seen| seen == set).unwrap_or_else(|| {
            sets.push(set.to_owned());
            sets.len() - 1
        })
    }
}

async fn keep_running(shared: Arc<Shared>) {
    for period in (0..PERIODS_AT_REST).cycle() {
        let is_due = period == 0 || !shared.is_at_rest();
        if is_due && let Err(error) = look_once(&shared).await {
            tracing::debug!("pods: {error:#}");
        }
        tokio::time::sleep(PERIOD).await;
    }
}

async fn look_once(shared: &Shared) -> Result<()> {
    let sets: Api<StatefulSet> = Api::namespaced(shared.client.0.clone(), &shared.namespace);
    let pods: Api<Pod> = Api::namespaced(shared.client.0.clone(), &shared.namespace);
    let sets = sets.list(&ListParams::default()).await?;
    if sets.items.is_empty() {
        return Ok(());
    }
    let present: BTreeSet<_> = pods.list(&ListParams::default()).await?.iter().map(ResourceExt::name_any).collect();
    for set in &sets {
        let index = shared.number_of(&set.name_any());
        let replicas = set.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
        for ordinal in 0..u8::try_from(replicas)? {
            let number = u8::try_from(index)? * 10 + 11 + ordinal;
            let name = format!("{}-{ordinal}", set.name_any());
            if !present.contains(&name) {
                let address = shared.block.address(number);
                objects::make_pod(&shared.client.0, &shared.namespace, set, &name, usize::from(ordinal), address)
                    .await?;
            }
            run_pod(shared, set, &name, number).await?;
        }
    }
    Ok(())
}

async fn run_pod(shared: &Shared, set: &StatefulSet, name: &str, number: u8) -> Result<()> {
    let address = shared.block.address(number);
    let at_rest = shared.with_slots(|slots| {
        let slot = slots.entry(name.to_owned()).or_insert_with(|| Slot {
            process: None,
            volume: shared.folder.path().join("volumes").join(name),
            held: false,
            starts: 0,
        });
        slot.is_at_rest()
    });
    if at_rest {
        return Ok(());
    }
    let volume = shared.folder.path().join("volumes").join(name);
    std::fs::create_dir_all(&volume)?;
    let spec = template::pod_spec(set)?;
    let container = template::container(spec)?;
    let pod = template::PodFacts { name, namespace: &shared.namespace, address };
    let folder = shared.folder.path().join("mounts").join(name);
    let secrets = mounts::write(&shared.client.0, spec, container, &pod, &folder, &volume).await?;
    let mut command = Command::new(crate::binaries::ours("hsm-sim")?);
    template::fill(&mut command, container, &pod, &secrets);
    command.arg(FEW_ITERATIONS);
    let log = shared.folder.path().join(format!("{name}.log"));
    let process = Process::start(name, &mut command, &log)?;
    shared.with_slots(|slots| {
        if let Some(slot) = slots.get_mut(name) {
            slot.process = Some(process);
            slot.starts += 1;
        }
    });
    objects::report_running(&shared.client.0, &shared.namespace, name, address).await
}
