//! Looks for a secret wherever it must not be: in the memory of processes and in files, in every form in which bytes get about.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use memchr::memmem;

/// How much is read at once.
const CHUNK: usize = 4 << 20;

/// A secret in its forms. Security: holds it; no `Debug`.
pub struct Needles(Vec<(&'static str, Vec<u8>)>);

impl Needles {
    /// The forms of 32 secret bytes: raw (whole, and each half, which are searched for by themselves), hexadecimal in both cases, and base64
    /// in the three positions that it can have within a longer text.
    #[must_use]
    pub fn of(secret: &[u8]) -> Self {
        let (first, second) = secret.split_at(secret.len() / 2);
        let mut forms = vec![
            ("raw, first half", first.to_vec()),
            ("raw, second half", second.to_vec()),
            ("hex", hex::encode(secret).into_bytes()),
            ("HEX", hex::encode_upper(secret).into_bytes()),
        ];
        for (name, before) in [("base64", 0), ("base64 + 1", 1), ("base64 + 2", 2)] {
            let text = STANDARD.encode([&vec![0; before], secret].concat()).into_bytes();
            // Characters that also depend on what stands before or after are left out.
            let from = (before * 8).div_ceil(6);
            let to = (before + secret.len()) * 8 / 6;
            forms.push((name, text[from..to].to_vec()));
        }
        Self(forms)
    }

    /// The forms that `text` contains.
    #[must_use]
    pub fn found_in(&self, text: &[u8]) -> Vec<&'static str> {
        let found = self.0.iter().filter(|(_, form)| memmem::find(text, form).is_some());
        found.map(|(name, _)| *name).collect()
    }

    fn longest(&self) -> usize {
        self.0.iter().map(|(_, form)| form.len()).max().unwrap_or(1)
    }
}

/// What a search went through and found.
#[derive(Debug, Default)]
pub struct Found {
    /// Bytes that were looked at.
    pub bytes: u64,
    /// Where, and in which form.
    pub places: Vec<String>,
}

impl Found {
    fn look(&mut self, needles: &Needles, text: &[u8], place: &str) {
        self.bytes += text.len() as u64;
        self.places.extend(needles.found_in(text).into_iter().map(|form| format!("{place}: {form}")));
    }
}

/// Searches everything in a process's memory that it could have written.
///
/// # Errors
/// When this process may not look: another user's, or one that protects itself.
pub fn memory(process: u32, needles: &Needles) -> Result<Found> {
    let maps = std::fs::read_to_string(format!("/proc/{process}/maps")).context("failed to read the memory map")?;
    let memory = File::open(format!("/proc/{process}/mem")).context("failed to open the memory")?;
    let mut found = Found::default();
    let mut buffer = vec![0; CHUNK];
    for line in maps.lines() {
        let Some((from, to)) = readable(line) else { continue };
        let mut at = from;
        while at < to {
            let wanted = usize::try_from(to - at).unwrap_or(CHUNK).min(CHUNK);
            // Pages of devices and of the kernel cannot be read.
            let Ok(length @ 1..) = memory.read_at(&mut buffer[..wanted], at) else { break };
            found.look(needles, &buffer[..length], &format!("memory of {process}, {line}"));
            // The end is looked at again with what follows it.
            let step = if length == wanted && at + (length as u64) < to { length - needles.longest() } else { length };
            at += step as u64;
        }
    }
    // What this search itself holds is not a finding of the next one.
    buffer.fill(0);
    Ok(found)
}

fn readable(line: &str) -> Option<(u64, u64)> {
    let (range, rest) = line.split_once(' ')?;
    let (from, to) = range.split_once('-')?;
    let range = (u64::from_str_radix(from, 16).ok()?, u64::from_str_radix(to, 16).ok()?);
    // What is mapped read-only from a file holds what the file does.
    let of_its_own = rest.starts_with("rw") || !rest.contains('/');
    (rest.starts_with('r') && of_its_own && !rest.contains("[v")).then_some(range)
}

/// Searches every file below a folder.
///
/// # Errors
/// When one of them cannot be read; one that has gone meanwhile is no error.
pub fn files(folder: &Path, needles: &Needles) -> Result<Found> {
    let mut found = Found::default();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(text) = std::fs::read(&path) {
                found.look(needles, &text, &path.display().to_string());
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: [u8; 32] = *b"\x00\x91secret bytes for a test, 32!\x01\xff";

    #[test]
    fn every_form_is_found_within_longer_text_and_nothing_in_other_text() {
        let needles = Needles::of(&SECRET);
        for before in 0..3 {
            let text = [&b"xyz"[..before], &SECRET, b"tail"].concat();
            assert!(!needles.found_in(&text).is_empty());
            assert!(!needles.found_in(STANDARD.encode(&text).as_bytes()).is_empty(), "{before}");
            assert_eq!(needles.found_in(hex::encode(&text).as_bytes()), ["hex"]);
            assert_eq!(needles.found_in(hex::encode_upper(&text).as_bytes()), ["HEX"]);
        }
        assert!(needles.found_in(&SECRET[16..]).contains(&"raw, second half"));
        assert!(needles.found_in(&[7; 4096]).is_empty());
    }

    #[test]
    fn a_process_finds_what_it_holds_itself() {
        let held = Box::new(SECRET);
        let found = memory(std::process::id(), &Needles::of(&*held)).unwrap();
        assert!(found.bytes > 100_000 && !found.places.is_empty());
    }
}
