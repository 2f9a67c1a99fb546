//! One hsm-sim process: started with its files, killed by its own pid, never by name.

use rustix::process::{Pid, Signal};
use std::fs::{File, OpenOptions};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How long a process may take to listen or to give up: a debug build on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the log says once the process serves users and keys.
const SERVES: &str = r#""message":"serving""#;

/// Where one pod's files are and where it listens.
#[derive(Clone)]
pub struct PodFiles {
    /// Directory with `data/` and the mounted files.
    pub directory: PathBuf,
    /// Pod name.
    pub pod_name: String,
    /// Its address.
    pub address: Ipv4Addr,
    /// Iterations of a password's hash; the product's when there are none.
    pub password_iterations: Option<u32>,
}

impl PodFiles {
    /// Address for clients.
    pub fn client(&self) -> SocketAddr {
        (self.address, 2223).into()
    }

    /// Address for provisioning and peers.
    pub fn peer(&self) -> SocketAddr {
        (self.address, 2224).into()
    }

    /// The folder that stands in for the volume.
    pub fn data(&self) -> PathBuf {
        self.directory.join("data")
    }

    fn command(&self) -> Command {
        let file = |name: &str| self.directory.join(name);
        let mut command = Command::new(program());
        command
            .arg("--data-dir")
            .arg(self.data())
            .args(["--pod-name", &self.pod_name])
            .arg("--pod-certificate")
            .arg(file("pod.crt"))
            .arg("--pod-key")
            .arg(file("pod.key"))
            .arg("--operator-ca")
            .arg(file("operator-ca.crt"))
            .arg("--sealing-share")
            .arg(file("share"))
            .args(["--client-listen", &self.client().to_string()])
            .args(["--peer-listen", &self.peer().to_string()])
            .args(["--admin-listen", &SocketAddr::from((self.address, 9090)).to_string()])
            .args(self.password_iterations.map(|count| format!("--password-iterations={count}")))
            .stdin(Stdio::null());
        command
    }

    fn log(&self) -> File {
        let path = self.directory.join("log");
        OpenOptions::new().create(true).append(true).open(path).expect("opens the log")
    }

    /// What the process has logged so far.
    pub fn log_text(&self) -> String {
        read_log(&self.directory.join("log"))
    }

    /// Starts the process and waits until it listens.
    pub fn start(&self) -> Process {
        let child = self.command().stdout(self.log()).stderr(self.log()).spawn().expect("starts hsm-sim");
        let mut process = Process { child, log: self.directory.join("log") };
        let deadline = Instant::now() + PATIENCE;
        while std::net::TcpStream::connect_timeout(&self.peer(), PATIENCE).is_err() {
            assert!(process.is_running(), "hsm-sim ended: {}", process.log());
            assert!(Instant::now() < deadline, "hsm-sim does not listen: {}", process.log());
            std::thread::sleep(Duration::from_millis(10));
        }
        process
    }

    /// Starts the process where it must refuse to run; returns how it ended and what it said.
    pub fn start_in_vain(&self) -> (ExitStatus, String) {
        let mut child = self.command().stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts");
        let deadline = Instant::now() + PATIENCE;
        while child.try_wait().expect("waits").is_none() {
            if Instant::now() > deadline {
                child.kill().expect("kills its own child");
                panic!("hsm-sim runs although it must refuse");
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let output = child.wait_with_output().expect("reads");
        let text = [output.stdout, output.stderr].concat();
        (output.status, String::from_utf8_lossy(&text).into_owned())
    }

    /// Starts the process where it refuses to run if its peers say so in time: how it ended and what it said. If it serves, it is killed,
    /// and the error is how long it took until then.
    ///
    /// # Errors
    /// When it serves.
    pub fn start_against_peers(&self) -> Result<(ExitStatus, String), Duration> {
        let (begun, logged) = (Instant::now(), self.log_text().len());
        let child = self.command().stdout(self.log()).stderr(self.log()).spawn().expect("starts hsm-sim");
        let mut process = Process { child, log: self.directory.join("log") };
        loop {
            let ended = process.child.try_wait().expect("waits");
            let said = self.log_text().split_off(logged);
            match ended {
                Some(status) => return Ok((status, said)),
                None if said.contains(SERVES) => return Err(begun.elapsed()),
                None => assert!(begun.elapsed() < PATIENCE, "hsm-sim neither serves nor ends: {said}"),
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// A running hsm-sim; killed when dropped.
pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("waits").is_none()
    }

    /// SIGKILL, at whatever it is doing.
    pub fn kill(&mut self) {
        // An error means that it has ended already.
        let _ = self.child.kill();
        self.child.wait().expect("waits");
    }

    /// SIGTERM, and how it ended.
    pub fn terminate(mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.child.wait().expect("waits")
    }

    /// SIGSTOP: it keeps its connections and answers nothing.
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    /// SIGCONT.
    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).expect("a process id");
        rustix::process::kill_process(id, signal).expect("signals its own child");
    }

    fn log(&self) -> String {
        read_log(&self.log)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// `hsm-sim` beside the running program, or one folder up from a test's.
fn program() -> PathBuf {
    let running = std::env::current_exe().expect("finds the running program");
    let found = running.ancestors().skip(1).take(2).map(|folder| folder.join("hsm-sim")).find(|path| path.exists());
    found.unwrap_or_else(|| panic!("hsm-sim is not beside {}: build the package hsm-sim first", running.display()))
}

fn read_log(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}
