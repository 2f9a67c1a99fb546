//! CPU time: of single processes, and of everything on this machine that is not ours.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// Processes whose CPU time is told apart, by a name for the report.
pub(crate) type Watched = BTreeMap<&'static str, Vec<u32>>;

/// CPU time used so far, in seconds.
#[derive(Debug, Clone)]
pub(crate) struct Usage {
    at: Instant,
    by_name: BTreeMap<&'static str, f64>,
    load: f64,
    machine: f64,
}

/// CPU time used between two moments, in seconds.
#[derive(Debug, Clone)]
pub(crate) struct Used {
    /// Wall time.
    pub(crate) elapsed: f64,
    /// By name.
    pub(crate) by_name: BTreeMap<&'static str, f64>,
    /// By this process, which makes the load.
    pub(crate) load: f64,
    /// Cores' worth of work on this machine that was nobody's of the above.
    pub(crate) foreign_cores: f64,
}

impl Usage {
    /// What was used until now.
    ///
    /// # Errors
    /// When a watched process has ended.
    pub(crate) fn now(watched: &Watched) -> Result<Self> {
        let of = |ids: &Vec<u32>| ids.iter().map(|id| process(&id.to_string())).sum::<Result<f64>>();
        let by_name = watched.iter().map(|(name, ids)| Ok((*name, of(ids)?))).collect::<Result<_>>()?;
        Ok(Self { at: Instant::now(), by_name, load: process("self")?, machine: machine()? })
    }

    /// What was used since `earlier`.
    pub(crate) fn since(&self, earlier: &Self) -> Used {
        let elapsed = self.at.duration_since(earlier.at).max(Duration::from_millis(1)).as_secs_f64();
        let by_name: BTreeMap<_, _> = self
            .by_name
            .iter()
            .map(|(name, used)| (*name, used - earlier.by_name.get(name).copied().unwrap_or_default()))
            .collect();
        let load = self.load - earlier.load;
        let ours = load + by_name.values().sum::<f64>();
        // The kernel counts processes exactly and the machine by samples, so an idle machine can come out below zero.
        let foreign_cores = ((self.machine - earlier.machine - ours) / elapsed).max(0.0);
        Used { elapsed, by_name, load, foreign_cores }
    }
}

fn process(id: &str) -> Result<f64> {
    let text = std::fs::read_to_string(format!("/proc/{id}/stat")).context("a measured process has ended")?;
    // The program's name, in parentheses, may hold spaces; user and system time are fields 14 and 15 of proc(5).
    let (_, fields) = text.rsplit_once(')').context("failed to read the process table")?;
    seconds(fields.split_whitespace().skip(11).take(2))
}

fn machine() -> Result<f64> {
    let text = std::fs::read_to_string("/proc/stat").context("failed to read /proc/stat")?;
    let line = text.lines().next().unwrap_or_default();
    // user nice system, then idle and iowait, then irq softirq steal.
    let fields: Vec<&str> = line.split_whitespace().skip(1).take(8).collect();
    let busy = fields.iter().enumerate().filter(|(index, _)| !matches!(index, 3 | 4));
    seconds(busy.map(|(_, field)| *field))
}

fn seconds<'a>(fields: impl Iterator<Item = &'a str>) -> Result<f64> {
    let ticks: f64 = fields.map(|field| field.parse::<f64>().context("not a number")).sum::<Result<f64>>()?;
    // Linux counts in hundredths of a second towards user space, whatever its own clock is.
    Ok(ticks / 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_of_this_process_is_counted_as_load_and_not_as_foreign() {
        let before = Usage::now(&Watched::new()).unwrap();
        let start = Instant::now();
        while start.elapsed() < Duration::from_millis(300) {
            std::hint::black_box(process("self").unwrap());
        }
        let used = Usage::now(&Watched::new()).unwrap().since(&before);
        assert!(used.load > 0.0 && used.elapsed >= 0.3, "{used:?}");
    }

    #[test]
    fn a_process_that_has_ended_is_an_error_and_not_zero() {
        assert!(Usage::now(&Watched::from([("gone", vec![u32::MAX])])).is_err());
    }
}
