//! A cluster of three processes and the operator's side of it.

use super::custody::{Fences, MemoryCustody};
use super::network::three_addresses;
use super::process::{PodFiles, Process};
use hsm_initialization::custody::entry;
use hsm_initialization::{
    ClusterPlan, Observed, PlannedPod, PodAddresses, Procedure, Recorded, RecordedHsm, SecretName, Step, next_step,
};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long facts may take to change by themselves.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// Longest one phase of dialling may take in a test.
pub const DIAL: Duration = Duration::from_secs(30);
/// Iterations of a password's hash, the least that hsm-sim takes: the product's would be most of what these clusters do.
const FEW_ITERATIONS: u32 = 1_000;

/// One pod of the cluster.
pub struct Pod {
    /// Its files and addresses.
    pub files: PodFiles,
    zone: &'static str,
    process: Option<Process>,
}

/// Three HSMs and everything their operator would keep.
pub struct Cluster {
    /// `cluster-…`
    pub cluster_id: String,
    /// The pods, in the order of their ordinals.
    pub pods: Vec<Pod>,
    /// The operator's Secrets.
    pub custody: MemoryCustody,
    /// The operator's fences.
    pub fences: Fences,
    recorded: Recorded,
    _directory: TempDir,
}

impl Cluster {
    /// Three processes with blank volumes; the secrets that they mount exist.
    pub async fn blank() -> Self {
        Self::with(Some(FEW_ITERATIONS)).await
    }

    async fn with(password_iterations: Option<u32>) -> Self {
        let directory = tempfile::tempdir().expect("makes a directory");
        let cluster_id = format!("cluster-{}", random_letters());
        let pods = three_addresses()
            .into_iter()
            .zip(["local-1a", "local-1b", "local-1c"])
            .enumerate()
            .map(|(index, (address, zone))| {
                let pod_name = format!("{cluster_id}-{index}");
                let files =
                    PodFiles { directory: directory.path().join(&pod_name), pod_name, address, password_iterations };
                Pod { files, zone, process: None }
            })
            .collect();
        let mut cluster = Self {
            cluster_id,
            pods,
            custody: MemoryCustody::default(),
            fences: Fences::default(),
            recorded: Recorded::default(),
            _directory: directory,
        };
        while !cluster.step().await.1.certified_pods.len().eq(&3) {}
        while matches!(cluster.step().await.0, Step::MakeSealingShare) {}
        cluster.mount();
        for index in 0..3 {
            cluster.start(index);
        }
        cluster
    }

    /// Three active HSMs with `kmsuser`.
    pub async fn active() -> Self {
        let mut cluster = Self::blank().await;
        cluster.drive().await;
        cluster
    }

    /// The same with HSMs that hash passwords as slowly as in production: for what happens while they do.
    pub async fn active_as_in_production() -> Self {
        let mut cluster = Self::with(None).await;
        cluster.drive().await;
        cluster
    }

    /// Writes the files that a pod mounts from its Secrets.
    fn mount(&self) {
        for pod in &self.pods {
            let files = &pod.files;
            std::fs::create_dir_all(files.data()).expect("makes the volume");
            let name = &files.pod_name;
            let mounts = [
                ("pod.crt", self.custody.bytes(SecretName::Pods, &format!("{name}.crt"))),
                ("pod.key", self.custody.bytes(SecretName::Pods, &format!("{name}.key"))),
                ("operator-ca.crt", self.custody.bytes(SecretName::Pods, entry::OPERATOR_CA)),
                ("share", self.custody.bytes(SecretName::SealingShare, entry::SHARE)),
            ];
            for (file, bytes) in mounts {
                std::fs::write(files.directory.join(file), bytes).expect("mounts");
            }
        }
    }

    /// Starts the process of a pod and waits until it listens.
    pub fn start(&mut self, index: usize) {
        let pod = &mut self.pods[index];
        assert!(pod.process.is_none(), "runs already");
        pod.process = Some(pod.files.start());
    }

    /// SIGKILL.
    pub fn kill(&mut self, index: usize) {
        self.pods[index].process = None;
    }

    /// SIGKILL, and start again on the same volume.
    pub fn restart(&mut self, index: usize) {
        self.kill(index);
        self.start(index);
    }

    /// SIGKILL, and a new, empty volume.
    pub fn lose_volume(&mut self, index: usize) {
        self.kill(index);
        let data = self.pods[index].files.data();
        std::fs::remove_dir_all(&data).expect("removes the volume");
        std::fs::create_dir_all(&data).expect("makes a volume");
        self.start(index);
    }

    /// Ids of the running processes.
    pub fn process_ids(&self) -> Vec<u32> {
        self.pods.iter().filter_map(|pod| pod.process.as_ref()).map(Process::id).collect()
    }

    /// SIGSTOP: the HSM keeps its connections and answers nothing.
    pub fn freeze(&self, index: usize) {
        self.pods[index].process.as_ref().expect("runs").freeze();
    }

    /// SIGCONT.
    pub fn thaw(&self, index: usize) {
        self.pods[index].process.as_ref().expect("runs").thaw();
    }

    /// The pod gets another address, as a pod does that is made again; its volume stays.
    pub fn relocate(&mut self, index: usize) {
        self.kill(index);
        self.pods[index].files.address = three_addresses()[0];
        self.start(index);
    }

    fn plan(&self) -> ClusterPlan {
        let planned = |pod: &Pod| PlannedPod {
            pod_name: pod.files.pod_name.clone(),
            availability_zone: pod.process.is_some().then(|| pod.zone.to_owned()),
            addresses: pod.process.is_some().then(|| PodAddresses {
                client: pod.files.client(),
                provisioning: pod.files.peer(),
                peer: pod.files.peer().to_string(),
            }),
        };
        ClusterPlan {
            cluster_id: self.cluster_id.clone(),
            pods: self.pods.iter().map(planned).collect(),
            recorded: self.recorded.clone(),
        }
    }

    /// The operator's procedure for this cluster.
    pub fn procedure(&self) -> Procedure<'_, MemoryCustody, Fences> {
        Procedure::new(&self.custody, &self.fences, &self.cluster_id)
    }

    /// The facts that the procedure decides on.
    pub async fn observe(&self) -> Observed {
        self.procedure().observe(self.plan()).await.expect("observes")
    }

    /// Observes, decides and performs one step; returns it and the facts behind it.
    pub async fn step(&mut self) -> (Step, Observed) {
        let observed = self.observe().await;
        let step = next_step(&observed);
        self.record(&step, &observed);
        self.procedure().perform(&observed, &step).await.unwrap_or_else(|error| panic!("{step:?}: {error:?}"));
        (step, observed)
    }

    /// What a controller writes into the resource.
    pub fn record(&mut self, step: &Step, observed: &Observed) {
        match step {
            Step::RecordIntent(intent) => {
                assert!(self.recorded.initialization_intent.is_none(), "set once");
                self.recorded.initialization_intent = Some(intent.clone());
            }
            Step::RecordClusterCertificate { fingerprint } => {
                assert!(self.recorded.cluster_certificate_fingerprint.is_none(), "set once");
                self.recorded.cluster_certificate_fingerprint = Some(*fingerprint);
            }
            _ => {}
        }
        for hsm in &observed.hsms {
            let (Some(endpoint), Some(addresses)) = (hsm.endpoint(), &hsm.pod.addresses) else { continue };
            let recorded = RecordedHsm {
                pod_name: hsm.pod.pod_name.clone(),
                hsm_id: endpoint.hsm_id,
                availability_zone: endpoint.availability_zone,
                identity_fingerprint: endpoint.identity_fingerprint,
                peer_address: addresses.peer.clone(),
            };
            self.recorded.hsms.retain(|other| other.pod_name != recorded.pod_name);
            self.recorded.hsms.push(recorded);
        }
    }

    /// Steps until there is nothing left to do; returns the steps.
    pub async fn drive(&mut self) -> Vec<Step> {
        let deadline = Instant::now() + PATIENCE;
        let mut steps = Vec::new();
        loop {
            let (step, observed) = self.step().await;
            match &step {
                Step::Done => return steps,
                Step::Blocked(reason) => panic!("{reason}"),
                Step::Wait(reason) => {
                    assert!(Instant::now() < deadline, "{reason}: {observed:#?}");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                _ => steps.push(step),
            }
        }
    }
}

fn random_letters() -> String {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes).expect("randomness");
    bytes.iter().map(|byte| char::from(b'a' + byte % 26)).collect()
}
