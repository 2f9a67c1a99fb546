//! One hsm-sim process with its volume.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Files a pod mounts, its addresses, and its process while it runs.
pub(crate) struct Pod {
    pub(crate) name: String,
    pub(crate) directory: PathBuf,
    pub(crate) client: SocketAddr,
    pub(crate) peer: SocketAddr,
    pub(crate) admin: SocketAddr,
    process: Option<Child>,
}

impl Pod {
    /// A pod with an empty volume, not running. `ip` must be free on the loopback net.
    pub(crate) fn new(directory: &Path, name: &str, ip: [u8; 4]) -> Self {
        let directory = directory.join(name);
        std::fs::create_dir_all(directory.join("data")).expect("creates the volume");
        let at = |port| SocketAddr::from((ip, port));
        Self { name: name.into(), directory, client: at(2223), peer: at(2224), admin: at(9090), process: None }
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.directory.join("data")
    }

    pub(crate) fn write(&self, file: &str, content: &[u8]) {
        std::fs::write(self.directory.join(file), content).expect("writes a mounted file");
    }

    /// Starts the process and waits until it listens on the provisioning port.
    pub(crate) fn start(&mut self) {
        self.spawn();
        let begun = Instant::now();
        while std::net::TcpStream::connect(self.client).is_err() {
            assert!(begun.elapsed() < Duration::from_secs(20), "{} does not listen:\n{}", self.name, self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Starts the process.
    pub(crate) fn spawn(&mut self) {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.directory.join("log"));
        let log = log.expect("opens the log");
        let file = |name: &str| self.directory.join(name);
        let child = Command::new(env!("CARGO_BIN_EXE_hsm-sim"))
            .arg("--data-dir")
            .arg(self.data())
            .args(["--pod-name", &self.name])
            .arg("--pod-certificate")
            .arg(file("pod.crt"))
            .arg("--pod-key")
            .arg(file("pod.key"))
            .arg("--operator-ca")
            .arg(file("operator-ca.crt"))
            .arg("--sealing-share")
            .arg(file("share"))
            .args(["--client-listen", &self.client.to_string()])
            .args(["--peer-listen", &self.peer.to_string()])
            .args(["--admin-listen", &self.admin.to_string()])
            .stdin(Stdio::null())
            .stderr(log)
            .spawn();
        self.process = Some(child.expect("starts hsm-sim"));
    }

    /// SIGKILL, now.
    pub(crate) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().expect("kills");
            process.wait().expect("reaps");
        }
    }

    /// SIGTERM, and how it ended.
    pub(crate) fn terminate(&mut self) -> ExitStatus {
        let mut process = self.process.take().expect("is running");
        let pid = i32::try_from(process.id()).expect("a process id");
        let pid = rustix::process::Pid::from_raw(pid).expect("a process id");
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("signals");
        process.wait().expect("reaps")
    }

    /// Waits until the process has ended by itself.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        self.process.take().expect("is running").wait().expect("reaps")
    }

    /// Empties the volume, as a new claim would.
    pub(crate) fn wipe(&self) {
        std::fs::remove_dir_all(self.data()).expect("removes the volume");
        std::fs::create_dir(self.data()).expect("creates the volume");
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.directory.join("log")).unwrap_or_default()
    }
}

impl Drop for Pod {
    fn drop(&mut self) {
        self.kill();
    }
}
