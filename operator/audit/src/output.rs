//! The output of the writer: takes whole lines, from one thread at a time, and without waiting where that can be done.
//!
//! Waking the writer's thread and being woken by it costs several times what the write itself does (performance §2.2).
//! An output that can be asked to take bytes at once, such as the pipe that a container's standard output is, is written
//! to by the thread that has the lines; the writer's thread has what the output did not take.

use std::fs::File;
use std::io::{self, IoSlice, Write};
use std::os::unix::fs::FileTypeExt;

use rustix::io::{Errno, ReadWriteFlags, pwritev2};

/// Bytes that a pipe takes as a whole or not at all (`PIPE_BUF`, pipe(7)): no part of a line is left for later.
const WHOLE: usize = 4_096;
/// "Where the last write ended", for pwritev2: a pipe has no other place.
const HERE: u64 = u64::MAX;

/// An output and how the last write to it ended.
pub(crate) struct Output {
    /// Takes any number of bytes, in its own time.
    patient: Box<dyn Write + Send>,
    /// The same output, for as long as it may be asked to take bytes at once.
    prompt: Option<File>,
    /// The last write failed and may have left half a line behind.
    torn: bool,
}

impl Output {
    /// An output of which nothing is known: a write to it may take any time.
    pub(crate) fn patient(output: impl Write + Send + 'static) -> Self {
        Self { patient: Box::new(output), prompt: None, torn: false }
    }

    /// A file, a pipe, a device. A file or a socket may take half a line at once, so these are given time from the start.
    ///
    /// # Errors
    /// When the operating system does not say what it is, or gives no second file descriptor for it.
    pub(crate) fn prompt(output: File) -> io::Result<Self> {
        let kind = output.metadata()?.file_type();
        let patient = Box::new(output.try_clone()?);
        let prompt = (kind.is_fifo() || kind.is_char_device()).then_some(output);
        Ok(Self { patient, prompt, torn: false })
    }

    /// Writes as many of these whole lines as the output takes at once; returns how many bytes they have. Whatever stands
    /// in the way, also an error, is left to [`Self::write`].
    pub(crate) fn write_at_once(&mut self, lines: &[u8]) -> usize {
        let mut taken = 0;
        while !self.torn
            && let Some(next) = lines.get(taken..).and_then(whole_lines)
            && self.takes(next)
        {
            taken += next.len();
        }
        taken
    }

    /// Whether the output took these bytes at once.
    fn takes(&mut self, bytes: &[u8]) -> bool {
        let Some(prompt) = &self.prompt else { return false };
        match pwritev2(prompt, &[IoSlice::new(bytes)], HERE, ReadWriteFlags::NOWAIT) {
            Ok(length) if length == bytes.len() => true,
            // It is full, or was interrupted: the next time may be better.
            Err(Errno::AGAIN | Errno::INTR) => false,
            // It takes parts, cannot be asked this way, or is broken: from now on it is given the time that it wants.
            Ok(length) => {
                (self.prompt, self.torn) = (None, length > 0);
                false
            }
            Err(_) => {
                self.prompt = None;
                false
            }
        }
    }

    /// Writes these whole lines, however long it takes.
    ///
    /// # Errors
    /// When the output refuses bytes; the next line is then begun anew.
    pub(crate) fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        if self.torn {
            // A failed write may have left half a line behind: the next record must not continue it.
            self.patient.write_all(b"\n")?;
        }
        let outcome = self.patient.write_all(lines).and_then(|()| self.patient.flush());
        self.torn = outcome.is_err();
        outcome
    }
}

/// The first lines that a pipe takes as a whole; none when the first one is longer, or there is none.
fn whole_lines(lines: &[u8]) -> Option<&[u8]> {
    let next = lines.get(..WHOLE).unwrap_or(lines);
    let end = next.iter().rposition(|byte| *byte == b'\n')?;
    next.get(..=end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_never_cut_and_go_together_as_far_as_a_pipe_takes_them_whole() {
        let line = |length: usize| [vec![b'x'; length - 1], vec![b'\n']].concat();
        for (lines, first) in [
            (vec![], None),
            (vec![1], Some(1)),
            (vec![1_000, 1_000], Some(2_000)),
            (vec![1_000; 5], Some(4_000)),
            (vec![WHOLE], Some(WHOLE)),
            (vec![WHOLE, 1], Some(WHOLE)),
            (vec![WHOLE + 1], None),
            (vec![10, WHOLE + 1, 10], Some(10)),
        ] {
            let bytes: Vec<u8> = lines.iter().flat_map(|length| line(*length)).collect();
            assert_eq!(whole_lines(&bytes).map(<[u8]>::len), first, "{lines:?}");
        }
    }

    #[test]
    fn only_what_takes_lines_as_a_whole_is_written_to_at_once() {
        for (path, at_once) in [("/dev/null", true), ("/proc/self/exe", false)] {
            let output = Output::prompt(File::open(path).unwrap()).unwrap();
            assert_eq!(output.prompt.is_some(), at_once, "{path}");
        }
    }

    /// A line that continued half of another one would be no record (INV-69).
    #[test]
    fn after_a_write_that_left_half_a_line_nothing_is_written_at_once_until_that_line_has_ended() {
        let (reader, writer) = io::pipe().unwrap();
        let mut output = Output::prompt(File::from(std::os::fd::OwnedFd::from(writer))).unwrap();
        output.patient.write_all(b"hal").unwrap();
        output.torn = true;
        assert_eq!(output.write_at_once(b"a\n"), 0);
        output.write(b"a\n").unwrap();
        assert!(!output.torn);
        drop(output);
        assert_eq!(io::read_to_string(reader).unwrap(), "hal\na\n");
    }
}
