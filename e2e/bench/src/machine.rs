//! What the figures were measured on.

use serde::Serialize;

/// Hardware and kernel.
#[derive(Debug, Serialize)]
pub(crate) struct Machine {
    /// The processor's model name.
    pub(crate) processor: String,
    /// Cores that this process may use.
    pub(crate) cores: usize,
    /// Main memory in MiB.
    pub(crate) memory_mib: u64,
    /// The kernel's release.
    pub(crate) kernel: String,
    /// Whether the processor says that it is virtual.
    pub(crate) virtual_machine: bool,
}

impl Machine {
    /// This one. What cannot be read stays empty: it is for people.
    pub(crate) fn this() -> Self {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let processors = read("/proc/cpuinfo");
        let field = |text: &str, name: &str| {
            let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
            line.split_once(':').map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
        };
        let memory = field(&read("/proc/meminfo"), "MemTotal");
        let kibibytes: u64 =
            memory.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or_default();
        Self {
            processor: field(&processors, "model name"),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory_mib: kibibytes / 1_024,
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            virtual_machine: field(&processors, "flags").split(' ').any(|flag| flag == "hypervisor"),
        }
    }
}
