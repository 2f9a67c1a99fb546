//! The goals of the design (performance §4) next to what was measured. Nothing here fails a run: a shared machine swings.

use serde::Serialize;

use crate::figure::Figures;

/// Which way is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bound {
    AtLeast,
    AtMost,
}

/// One goal: number and wording of the design, the figure that shows it, what it must be and what would be fine.
struct Goal {
    number: &'static str,
    text: &'static str,
    figure: &'static str,
    bound: Bound,
    must: f64,
    stretch: f64,
}

const fn at_least(number: &'static str, text: &'static str, figure: &'static str, must: f64, stretch: f64) -> Goal {
    Goal { number, text, figure, bound: Bound::AtLeast, must, stretch }
}

const fn at_most(number: &'static str, text: &'static str, figure: &'static str, must: f64, stretch: f64) -> Goal {
    Goal { number, text, figure, bound: Bound::AtMost, must, stretch }
}

const GOALS: &[Goal] = &[
    at_least("G1", "Encrypt via three HSMs / in-process seal", "encrypt/http/hsms-to-seal", 0.65, 0.85),
    at_least("G2", "Encrypt via three HSMs / fixed reply", "encrypt/http/hsms-to-fixed", 0.40, 0.60),
    at_most("G3", "gateway CPU per Encrypt, µs", "encrypt/http/hsms/gateway-cpu", 18.0, 13.0),
    at_most("G3", "HSM CPU per Encrypt, µs", "encrypt/http/hsms/hsm-cpu", 5.0, 3.0),
    at_least("G4", "Encrypt over HTTP, op/s (two cores, load included)", "encrypt/http/hsms/rate", 50e3, 80e3),
    at_least("G4", "Encrypt over HTTPS, op/s (two cores, load included)", "encrypt/https/hsms/rate", 40e3, 65e3),
    at_least("G5", "HSM session / nested echo, one core", "session/encrypt-to-nested-echo", 0.35, 0.60),
    at_least("G6", "nested echo / plain echo, one core", "session/nested-to-plain-echo", 0.65, 0.80),
    at_most("G9", "latency at 1,800/s, p50, µs", "latency/1800/hsms/p50", 250.0, 120.0),
    at_most("G9", "latency at 1,800/s, p99, µs", "latency/1800/hsms/p99", 1_000.0, 400.0),
    at_most("G9", "latency at 1,800/s, p99.9, µs", "latency/1800/hsms/p99.9", 5_000.0, 1_000.0),
];

/// A goal whose figure was measured.
#[derive(Debug, Serialize)]
pub(crate) struct Judged {
    /// Number in the design.
    pub(crate) number: &'static str,
    /// What it says.
    pub(crate) text: &'static str,
    /// The median of the run.
    pub(crate) measured: f64,
    /// The value it must reach, or not exceed.
    pub(crate) must: f64,
    /// The value that would be fine.
    pub(crate) stretch: f64,
    /// `reached`, `stretch reached` or `missed`.
    pub(crate) verdict: &'static str,
    /// Whether larger is better.
    pub(crate) at_least: bool,
}

/// The goals that `figures` say something about.
pub(crate) fn judge(figures: &Figures) -> Vec<Judged> {
    let judged = |goal: &Goal| {
        let measured = figures.median(goal.figure)?;
        Some(Judged {
            number: goal.number,
            text: goal.text,
            measured,
            must: goal.must,
            stretch: goal.stretch,
            verdict: verdict(goal, measured),
            at_least: goal.bound == Bound::AtLeast,
        })
    };
    GOALS.iter().filter_map(judged).collect()
}

fn verdict(goal: &Goal, measured: f64) -> &'static str {
    let meets = |value: f64| match goal.bound {
        Bound::AtLeast => measured >= value,
        Bound::AtMost => measured <= value,
    };
    match (meets(goal.must), meets(goal.stretch)) {
        (_, true) => "stretch reached",
        (true, false) => "reached",
        (false, false) => "missed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goal_is_judged_by_the_median_and_in_its_own_direction() {
        let mut figures = Figures::default();
        for (rate, cpu) in [(0.7, 20.0), (0.9, 14.0), (0.1, 2.0)] {
            figures.add("encrypt/http/hsms-to-seal", "ratio", rate);
            figures.add("encrypt/http/hsms/gateway-cpu", "µs/op", cpu);
        }
        let verdicts: Vec<_> = judge(&figures).iter().map(|judged| (judged.number, judged.verdict)).collect();
        assert_eq!(verdicts, [("G1", "reached"), ("G3", "reached")]);
    }

    #[test]
    fn beyond_the_must_is_missed_and_beyond_the_stretch_is_said() {
        for (measured, expected) in [(0.64, "missed"), (0.65, "reached"), (0.85, "stretch reached")] {
            assert_eq!(verdict(&GOALS[0], measured), expected);
        }
        for (measured, expected) in [(18.1, "missed"), (18.0, "reached"), (13.0, "stretch reached")] {
            assert_eq!(verdict(&GOALS[2], measured), expected);
        }
    }
}
