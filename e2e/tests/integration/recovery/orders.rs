//! Objects, namespace, definitions and release are lost in each of the 24 orders there are: on two installations, with one cluster and one key each.
//!
//! Finalizers are the fifth thing to lose. In every other order they are taken off by hand before each of the four steps; in the rest after all
//! of them, from whatever hangs by then because the release is gone and with it who would let go. Other places in between are not played.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use e2e::installation::Installation;
use e2e::recovery::{
    KINDS, delete_definitions, delete_namespace, finalize_namespace, mark_definitions, mark_objects,
    restore_definitions, start_controllers, stop_controllers, strip_finalizers, wait_gone,
};

use crate::recovery::Bench;

/// What is taken away. Where an earlier step took it along, the later one finds nothing to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Objects,
    Namespace,
    Definitions,
    Release,
}

const STEPS: [Step; 4] = [Step::Objects, Step::Namespace, Step::Definitions, Step::Release];

/// When finalizers are taken off by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stripped {
    /// Before each step. Controllers that still run put them back, or are too late.
    First,
    /// After the last step.
    Last,
}

/// Every order of these steps.
fn orders(steps: &[Step]) -> Vec<Vec<Step>> {
    if steps.is_empty() {
        return vec![Vec::new()];
    }
    let beginning_with = |first: &Step| {
        let rest: Vec<_> = steps.iter().copied().filter(|step| step != first).collect();
        orders(&rest).into_iter().map(|rest| [vec![*first], rest].concat()).collect::<Vec<_>>()
    };
    steps.iter().flat_map(beginning_with).collect()
}

/// Takes one thing away, and waits for nothing.
async fn begin(installation: &mut Installation, step: Step) -> Result<()> {
    match step {
        Step::Objects => {
            let mut kinds = KINDS;
            kinds.reverse();
            mark_objects(installation, &kinds).await
        }
        Step::Namespace => delete_namespace(installation).await,
        Step::Definitions => mark_definitions(installation),
        Step::Release => {
            stop_controllers(installation);
            installation.gateway()?.kill();
            Ok(())
        }
    }
}

/// Waits until what was begun is over.
async fn end(installation: &Installation, step: Step) -> Result<()> {
    match step {
        Step::Objects => wait_gone(installation, &KINDS).await,
        Step::Namespace => finalize_namespace(installation).await,
        Step::Definitions => delete_definitions(installation),
        Step::Release => Ok(()),
    }
}

/// Loses everything. Returns how many objects hung on their finalizers after the last step.
async fn lose(installation: &mut Installation, order: &[Step], stripped: Stripped) -> Result<usize> {
    let mut open = Vec::new();
    for step in order.iter().copied() {
        if stripped == Stripped::First {
            strip_finalizers(installation, &KINDS).await?;
        }
        begin(installation, step).await?;
        // Without controllers an object with finalizers would be waited for until the time is over.
        if stripped == Stripped::Last && installation.controllers.is_empty() {
            open.push(step);
        } else {
            end(installation, step).await?;
        }
    }
    let hung = if open.is_empty() { 0 } else { strip_finalizers(installation, &KINDS).await? };
    for step in open {
        end(installation, step).await?;
    }
    Ok(hung)
}

/// The release under its old name, with its definitions. Its processes are new, so no watch is older than the definition that it watches.
async fn install(installation: &mut Installation) -> Result<()> {
    restore_definitions(installation).await?;
    start_controllers(installation).await?;
    installation.start_gateway().await
}

async fn play(bench: &mut Bench, number: usize, order: &[Step], stripped: Stripped) -> Result<usize> {
    let hung = lose(&mut bench.installation, order, stripped).await?;
    install(&mut bench.installation).await?;
    // Objects that went before what they were in did not go along with it.
    bench.recover(order.iter().find(|step| **step != Step::Release) == Some(&Step::Objects))?;
    bench.is_back(&format!("order {number}")).await?;
    bench.one_key_on_every_hsm().await?;
    Ok(hung)
}

/// Plays the orders that begin with one of these, on an installation of their own. Returns how many objects hung in all.
async fn play_those_that_begin_with(first: [Step; 2]) -> Result<usize> {
    let orders = orders(&STEPS);
    assert_eq!(orders.len(), 24);
    let mut bench = Bench::unprotected().await?;
    let mut hung = 0;
    for (number, order) in orders.iter().enumerate().filter(|(_, order)| first.contains(&order[0])) {
        let stripped = if number % 2 == 0 { Stripped::First } else { Stripped::Last };
        let (began, name) = (Instant::now(), format!("order {number}, {order:?}, finalizers {stripped:?}"));
        hung += play(&mut bench, number, order, stripped).await.with_context(|| name.clone())?;
        println!("{name}: back after {} s", began.elapsed().as_secs());
    }
    Ok(hung)
}

/// D5, INV-12, INV-13, INV-19, T-04. Half of the orders; the other half runs beside it.
#[tokio::test]
async fn everything_is_lost_objects_or_namespace_first_and_comes_back_with_the_key_it_had() -> Result<()> {
    play_those_that_begin_with([Step::Objects, Step::Namespace]).await.map(|_| ())
}

/// The other half.
#[tokio::test]
async fn everything_is_lost_definitions_or_release_first_and_comes_back_with_the_key_it_had() -> Result<()> {
    let hung = play_those_that_begin_with([Step::Definitions, Step::Release]).await?;
    ensure!(hung > 0, "no order left an object hanging: to take finalizers off last was not played");
    Ok(())
}
