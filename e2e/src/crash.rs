//! A leader that kills itself at a named effect: `site[:before|lost-reply|after][:n]`, n being the passage (default 1).
//!
//! Recovery is a property of each single effect (INV-21, INV-23). Random kills miss windows of a millisecond (L3), so a
//! plan aims. The process ends by abort: no destructor, no goodbye, as when a node dies.

use std::str::FromStr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use operator_controllers::effect::{Site, Witness};

/// The variable that holds the plan.
pub const VARIABLE: &str = "KEYSTORE_CRASH_AT";
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
