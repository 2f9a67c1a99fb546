//! The nodes of a kind cluster, which are containers: the faults that only their owner can cause, and their cure.
//!
//! Used by the tests called `kind_*`, which `make e2e` runs on clusters made here and names as left out on any other.
//! Every fault is a value: when it is dropped, also by a failed check, the node is as before.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::cluster::Cluster;
use crate::wait::{Look, until};

/// The table that cuts a node off. Everything it drops crosses the node's only link, pods' packets as well: they are routed.
const CUT: &str = "table inet keystore-partition {
  chain received { type filter hook prerouting priority -400; iifname \"eth0\" drop; }
  chain sent { type filter hook postrouting priority 400; oifname \"eth0\" drop; }
}";
const JOIN: &str = "nft delete table inet keystore-partition 2>/dev/null || true";
/// Stops the whole control plane of a node at once and keeps the kubelet from starting it again.
const HALT: &str = "mkdir -p /etc/kubernetes/halted && mv /etc/kubernetes/manifests/*.yaml /etc/kubernetes/halted/ || exit 1
for process in /proc/[0-9]*; do
  case $(cat $process/comm 2>/dev/null) in kube-apiserver | kube-controller | kube-scheduler | etcd) kill -9 ${process#/proc/} ;; esac
done";
const RESUME: &str = "mv /etc/kubernetes/halted/*.yaml /etc/kubernetes/manifests/";

/// One node of a kind cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    name: String,
}

/// A process on a node, by its number there.
#[derive(Debug)]
pub struct PodProcess {
    node: Node,
    id: u32,
}

/// A shell on the node of a process, at hand to kill it: to start one takes longer than some moments last.
#[derive(Debug)]
pub struct Killer {
    shell: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    id: u32,
}

/// A fault that ends when this value does.
#[derive(Debug)]
#[must_use = "the fault ends when this is dropped"]
pub struct Fault {
    node: Node,
    cure: Option<Cure>,
}

#[derive(Debug)]
enum Cure {
    Start,
    Script(&'static str),
}

impl Node {
    /// The node that a pod runs on.
    ///
    /// # Errors
    /// When the pod runs nowhere, or its node is no container of the Docker daemon: then this is no kind cluster, or not ours.
    pub fn of_pod(cluster: &Cluster, namespace: &str, pod: &str) -> Result<Self> {
        let name =
            cluster.kubectl(&["get", "pod", pod, "--namespace", namespace, "--output=jsonpath={.spec.nodeName}"])?;
        Self::named(&name)
    }

    /// The only node of the control plane.
    ///
    /// # Errors
    /// As [`Node::of_pod`].
    pub fn of_control_plane(cluster: &Cluster) -> Result<Self> {
        let selector = "--selector=node-role.kubernetes.io/control-plane";
        let names = cluster.kubectl(&["get", "nodes", selector, "--output=name"])?;
        let name = names.lines().next().context("the cluster shows no node of the control plane")?;
        Self::named(name.trim_start_matches("node/"))
    }

    fn named(name: &str) -> Result<Self> {
        let found = docker(&["container", "inspect", "--format={{.Name}}", name])?;
        ensure!(
            found.status.success(),
            "node {name:?} is no container of the Docker daemon at {:?}; the tests called kind_* need a cluster of \
             `make e2e`",
            std::env::var_os("DOCKER_HOST").unwrap_or_default()
        );
        Ok(Self { name: name.to_owned() })
    }

    /// Its name, in Kubernetes and in Docker.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs a shell script on the node and returns what it prints.
    ///
    /// # Errors
    /// With its error output when it fails.
    pub fn run(&self, script: &str) -> Result<String> {
        let output = docker(&["exec", &self.name, "sh", "-c", script])?;
        if !output.status.success() {
            bail!("a script failed on {}: {}", self.name, String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Waits until a TCP connection from this node to `address` comes about.
    ///
    /// # Errors
    /// When none does within two minutes.
    pub async fn reaches(&self, address: &str) -> Result<()> {
        until(&format!("{} to reach {address}", self.name), Duration::from_secs(120), || async {
            Ok(if self.connects(address)? { Look::Done(()) } else { Look::NotYet("no answer within 2 s".to_owned()) })
        })
        .await
    }

    /// Tries a TCP connection from this node to `address` three times: one that is only slow is not taken for one that is cut off.
    ///
    /// # Errors
    /// When one comes about.
    pub fn does_not_reach(&self, address: &str) -> Result<()> {
        for _ in 0..3 {
            ensure!(!self.connects(address)?, "{} still reaches {address}", self.name);
        }
        Ok(())
    }

    /// Whether a TCP connection comes about within two seconds.
    fn connects(&self, address: &str) -> Result<bool> {
        let (host, port) = address.rsplit_once(':').context("an address without a port")?;
        let script = format!("exec 3<>/dev/tcp/{host}/{port}");
        Ok(docker(&["exec", &self.name, "timeout", "2", "bash", "-c", &script])?.status.success())
    }

    /// SIGKILL to everything on the node, as a power cut. It comes back as a machine does when the value is dropped.
    ///
    /// # Errors
    /// When Docker refuses.
    pub fn power_off(&self) -> Result<Fault> {
        succeed(&["kill", &self.name])?;
        Ok(Fault { node: self.clone(), cure: Some(Cure::Start) })
    }

    /// Cuts the node, its pods included, off from every other node; what is inside of it can still talk to each other.
    ///
    /// # Errors
    /// When the node has no nftables.
    pub fn cut_off(&self) -> Result<Fault> {
        self.run(JOIN)?;
        self.run(&format!("nft -f - <<'END'\n{CUT}\nEND"))?;
        Ok(Fault { node: self.clone(), cure: Some(Cure::Script(JOIN)) })
    }

    /// Kills API server, etcd, scheduler and controller manager of this node; its network goes on.
    ///
    /// # Errors
    /// When the node has no static pods.
    pub fn halt_control_plane(&self) -> Result<Fault> {
        let fault = Fault { node: self.clone(), cure: Some(Cure::Script(RESUME)) };
        self.run(HALT)?;
        Ok(fault)
    }
}

impl Fault {
    /// Ends the fault.
    ///
    /// # Errors
    /// When Docker refuses: the cluster is then of no more use.
    pub fn heal(mut self) -> Result<()> {
        self.cure()
    }

    fn cure(&mut self) -> Result<()> {
        match self.cure.take() {
            None => Ok(()),
            Some(Cure::Start) => succeed(&["start", &self.node.name]),
            Some(Cure::Script(script)) => self.node.run(script).map(drop),
        }
    }
}

impl Drop for Fault {
    fn drop(&mut self) {
        if let Err(error) = self.cure() {
            eprintln!("{} stays broken: {error:#}", self.node.name);
        }
    }
}

impl PodProcess {
    /// The program of a pod: the process whose environment names the pod.
    ///
    /// # Errors
    /// When it is not found on its node.
    pub fn of(cluster: &Cluster, namespace: &str, pod: &str) -> Result<Self> {
        let node = Node::of_pod(cluster, namespace, pod)?;
        let script = format!(
            "for process in /proc/[0-9]*; do grep -qzx 'POD_NAME={pod}' $process/environ 2>/dev/null && \
             echo ${{process#/proc/}} && exit; done; echo 'no process of {pod}' >&2; exit 1"
        );
        let id = node.run(&script)?.trim().parse().context("a process id that is no number")?;
        Ok(Self { node, id })
    }

    /// SIGKILL.
    ///
    /// # Errors
    /// When it has ended already.
    pub fn kill(&self) -> Result<()> {
        self.node.run(&format!("kill -9 {}", self.id)).map(drop)
    }

    /// Gets ready to kill it: what is left to do then is one line to a shell that listens already.
    ///
    /// # Errors
    /// When no shell can be started on the node.
    pub fn aim(&self) -> Result<Killer> {
        let mut shell = Command::new("docker")
            .args(["exec", "-i", &self.node.name, "sh"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("failed to start docker")?;
        let input = shell.stdin.take().context("no pipe to the shell")?;
        let output = BufReader::new(shell.stdout.take().context("no pipe from the shell")?);
        let mut killer = Killer { shell, input, output, id: self.id };
        killer.orders("true").context("the shell on the node does not listen")?;
        Ok(killer)
    }
}

impl Killer {
    /// SIGKILL, now.
    ///
    /// # Errors
    /// When the process has ended already.
    pub fn kill(mut self) -> Result<()> {
        let command = format!("kill -9 {}", self.id);
        self.orders(&command)
    }

    fn orders(&mut self, command: &str) -> Result<()> {
        writeln!(self.input, "{command} && echo done || echo failed")?;
        let mut answer = String::new();
        self.output.read_line(&mut answer)?;
        ensure!(answer.trim() == "done", "{command} on a node: {answer:?}");
        Ok(())
    }
}

impl Drop for Killer {
    fn drop(&mut self) {
        let _gone = self.shell.kill();
        let _status = self.shell.wait();
    }
}

fn docker(arguments: &[&str]) -> Result<Output> {
    Command::new("docker").args(arguments).output().context("failed to start docker")
}

fn succeed(arguments: &[&str]) -> Result<()> {
    let output = docker(arguments)?;
    if !output.status.success() {
        bail!("docker {} failed: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}
