//! What a run shows: a table for people and a file for comparing runs.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Serialize;

use crate::figure::{Figure, Figures};
use crate::goals::{Judged, judge};
use crate::machine::Machine;

#[derive(Serialize)]
struct Document<'a> {
    measured_at: String,
    machine: &'a Machine,
    rounds: u16,
    seconds: u16,
    connections: u16,
    goals: &'a [Judged],
    figures: &'a [Figure],
}

/// How the run was made.
pub(crate) struct Conditions {
    pub(crate) machine: Machine,
    pub(crate) rounds: u16,
    pub(crate) seconds: u16,
    pub(crate) connections: u16,
}

/// Prints the table and writes `bench.json` into `folder`.
///
/// # Errors
/// When the file cannot be written.
pub(crate) fn show(figures: &Figures, conditions: &Conditions, folder: &Path) -> Result<()> {
    let goals = judge(figures);
    print_table(figures, conditions, &goals);
    let Conditions { machine, rounds, seconds, connections } = conditions;
    let document = Document {
        measured_at: jiff::Timestamp::now().to_string(),
        machine,
        rounds: *rounds,
        seconds: *seconds,
        connections: *connections,
        goals: &goals,
        figures: figures.all(),
    };
    fs::create_dir_all(folder).with_context(|| format!("failed to make {}", folder.display()))?;
    let file = folder.join("bench.json");
    fs::write(&file, serde_json::to_vec_pretty(&document)?)
        .with_context(|| format!("failed to write {}", file.display()))?;
    println!("\nAll values: {}", file.display());
    Ok(())
}

fn print_table(figures: &Figures, conditions: &Conditions, goals: &[Judged]) {
    let Machine { processor, cores, memory_mib, kernel, virtual_machine } = &conditions.machine;
    let kind = if *virtual_machine { "virtual machine" } else { "bare metal" };
    println!(
        "\n{processor}, {cores} cores, {memory_mib} MiB, Linux {kernel}, {kind}; load and servers share the cores"
    );
    println!(
        "{} rounds of {} s, {} connections; median (smallest to largest)\n",
        conditions.rounds, conditions.seconds, conditions.connections
    );
    for Figure { name, unit, median, least, most, .. } in figures.all() {
        println!("{name:<44} {:>11} {unit:<6} ({} to {})", number(*median), number(*least), number(*most));
    }
    println!("\nGoals of the design");
    for Judged { number: goal, text, measured, must, stretch, verdict, at_least } in goals {
        let sign = if *at_least { "≥" } else { "≤" };
        let (measured, must, stretch) = (number(*measured), number(*must), number(*stretch));
        println!("{goal:<4}{text:<56} {measured:>9}   must {sign} {must}, stretch {sign} {stretch}: {verdict}");
    }
}

/// Three significant digits or whole numbers.
fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}
