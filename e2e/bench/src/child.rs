//! This program started once more in another role: settings go in through a pipe, because they hold keys, and one line
//! of JSON says what came of it. The process ends with the value that holds it, and with its parent.

use std::io::{BufRead, BufReader, Write, stdin, stdout};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use rustix::process::{Signal, set_parent_process_death_signal};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A running child.
pub(crate) struct Child(std::process::Child);

impl Child {
    /// Starts `role` with `settings` and waits for its answer.
    ///
    /// # Errors
    /// When it cannot be started, or ends before it has answered.
    pub(crate) fn start<A: DeserializeOwned>(role: &str, settings: &impl Serialize) -> Result<(Self, A)> {
        let program = std::env::current_exe().context("failed to find this program")?;
        let mut command = Command::new(program);
        command.arg(role).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = Self(command.spawn().with_context(|| format!("failed to start {role}"))?);
        let mut input = child.0.stdin.take().context("no pipe to the child")?;
        serde_json::to_writer(&mut input, settings)?;
        input.flush()?;
        drop(input);
        let output = child.0.stdout.take().context("no pipe from the child")?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        let answer = serde_json::from_str(&line).with_context(|| format!("{role} ended before it was ready"))?;
        Ok((child, answer))
    }

    /// The process id.
    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // It holds nothing that needs a farewell; an error says that it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// In the child: reads the settings. From now on it ends when its parent does.
///
/// # Errors
/// When what arrives is not what the parent sends.
pub(crate) fn settings<S: DeserializeOwned>() -> Result<S> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    serde_json::from_reader(stdin().lock()).context("this role is for the bench itself: start it without one")
}

/// In the child: says that it is ready.
///
/// # Errors
/// When the parent has gone.
pub(crate) fn ready(answer: &impl Serialize) -> Result<()> {
    let mut output = stdout().lock();
    serde_json::to_writer(&mut output, answer)?;
    Ok(writeln!(output)?)
}
