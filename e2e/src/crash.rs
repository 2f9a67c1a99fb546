//! A leader that kills itself at a named effect: `site[:before|lost-reply|after][:n]`, n being the passage (default 1).
//!
//! Recovery is a property of each single effect (INV-21, INV-23). Random kills miss windows of a millisecond (L3), so a
//! plan aims, and the plans are made from the trace of a run that nobody disturbed: every effect, before it, with its reply lost,
//! and after it, at every passage. The process ends by abort: no destructor, no goodbye, as when a node dies.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::str::FromStr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use operator_controllers::effect::{Site, Witness};

/// The variable that holds the plan.
pub const VARIABLE: &str = "KEYSTORE_CRASH_AT";
/// The variable that holds the name of the file for a trace.
pub const TRACE: &str = "KEYSTORE_TRACE_TO";
/// The moments of an effect at which a process can die.
pub const MOMENTS: [&str; 3] = ["before", "lost-reply", "after"];
/// How long a caller may use an answer before the process dies at the moment `after`: enough to begin its next step.
const AFTER: Duration = Duration::from_millis(20);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    Before,
    LostReply,
    After,
}

/// When to die.
#[derive(Debug)]
pub struct Plan {
    site: Site,
    moment: Moment,
    passage: u32,
    passages: AtomicU32,
}

impl Witness for Plan {
    fn before(&self, site: Site) {
        if site != self.site {
            return;
        }
        let passage = self.passages.fetch_add(1, Ordering::SeqCst) + 1;
        if self.moment == Moment::Before && passage == self.passage {
            self.die();
        }
    }

    fn done(&self, site: Site) {
        if site != self.site || self.passages.load(Ordering::SeqCst) != self.passage {
            return;
        }
        match self.moment {
            Moment::Before => {}
            Moment::LostReply => self.die(),
            Moment::After => {
                let farewell = format!("{self:?}");
                std::thread::spawn(move || {
                    std::thread::sleep(AFTER);
                    abort(&farewell)
                });
            }
        }
    }
}

impl Plan {
    fn die(&self) {
        abort(&format!("{self:?}"))
    }
}

fn abort(farewell: &str) -> ! {
    eprintln!("crash point reached: {farewell}");
    std::process::abort();
}

/// Writes the name of every effect down, one a line.
#[derive(Debug)]
pub struct Trace(Mutex<File>);

impl Trace {
    /// A trace in a new file.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub fn to(file: &Path) -> std::io::Result<Self> {
        File::create(file).map(|file| Self(Mutex::new(file)))
    }
}

impl Witness for Trace {
    fn before(&self, site: Site) {
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = writeln!(file, "{site}") {
            abort(&format!("no trace: {error}"));
        }
    }

    fn done(&self, _site: Site) {}
}

/// The plans for these sites after a trace: each passage × each moment. Before a later passage nothing has changed since after the one before
/// it, so that moment is left out there.
///
/// # Errors
/// The sites that the trace never passes: nothing would be proved about them.
pub fn plans(trace: &str, sites: &[Site]) -> Result<Vec<String>, Vec<Site>> {
    let passages = |site: &Site| trace.lines().filter(|line| *line == site.name()).count();
    let missed: Vec<Site> = sites.iter().copied().filter(|site| passages(site) == 0).collect();
    if !missed.is_empty() {
        return Err(missed);
    }
    let of_passage = |site, passage| {
        let moments = if passage == 1 { &MOMENTS[..] } else { &MOMENTS[1..] };
        moments.iter().map(move |moment| format!("{site}:{moment}:{passage}"))
    };
    Ok(sites.iter().flat_map(|site| (1..=passages(site)).flat_map(move |passage| of_passage(site, passage))).collect())
}

impl FromStr for Plan {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{VARIABLE}={text} is no plan: site[:before|lost-reply|after][:n]");
        let mut parts = text.split(':');
        let name = parts.next().unwrap_or_default();
        let site = Site::ALL.iter().copied().find(|site| site.name() == name).ok_or_else(wrong)?;
        let moment = match parts.next() {
            None | Some("before") => Moment::Before,
            Some("lost-reply") => Moment::LostReply,
            Some("after") => Moment::After,
            Some(_) => return Err(wrong()),
        };
        let passage = parts.next().map_or(Ok(1), str::parse).map_err(|_| wrong())?;
        if parts.next().is_some() {
            Err(wrong())
        } else {
            Ok(Self { site, moment, passage, passages: AtomicU32::new(0) })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_passage_of_a_trace_has_its_plans_and_a_site_without_a_passage_is_an_error() {
        let trace = "key.intent\nkey.insert\nkey.insert\nkey.status\n";
        let made = plans(trace, &[Site::KeyIntent, Site::KeyInsert]).unwrap();
        assert_eq!(made.len(), 3 + 3 + 2);
        assert!(made.contains(&"key.insert:lost-reply:2".to_owned()), "{made:?}");
        assert!(made.iter().all(|plan| plan.parse::<Plan>().is_ok()));
        assert_eq!(plans(trace, &[Site::KeyIntent, Site::KeyExtract]), Err(vec![Site::KeyExtract]));
    }

    #[test]
    fn a_plan_names_a_site_a_moment_and_a_passage() {
        let plan = |text: &str| text.parse::<Plan>().map(|plan| (plan.site, plan.moment, plan.passage));
        assert_eq!(plan("key.generate"), Ok((Site::KeyGenerate, Moment::Before, 1)));
        assert_eq!(plan("key.generate:lost-reply"), Ok((Site::KeyGenerate, Moment::LostReply, 1)));
        assert_eq!(plan("key.generate:after:3"), Ok((Site::KeyGenerate, Moment::After, 3)));
        for wrong in ["", "key.unknown", "key.generate:later", "key.generate:after:x", "key.generate:after:1:2"] {
            assert!(plan(wrong).is_err(), "{wrong}");
        }
    }
}
