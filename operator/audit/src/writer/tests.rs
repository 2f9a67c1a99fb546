//! The writer's guarantees: acknowledged means written, failure is told, recovery starts on a fresh line.

use std::io;
use std::os::fd::OwnedFd;
use std::task::{Context, Waker};

use jiff::Timestamp;
use rustix::io::{ReadWriteFlags, pwritev2};
use uuid::Uuid;

use super::*;
use crate::event::ApiCall;
use crate::event::tests::call;

/// The record of a successful call of the operation `name`.
pub(crate) fn event(name: &'static str) -> Event<'static> {
    Event::new(Uuid::nil(), Timestamp::UNIX_EPOCH, ApiCall { event_name: name, ..call() })
}

/// An output whose first write takes half the bytes and then fails.
#[derive(Clone, Default)]
pub(crate) struct Output {
    pub(crate) bytes: Arc<Mutex<Vec<u8>>>,
    pub(crate) failing: Arc<AtomicBool>,
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut kept = self.bytes.lock().unwrap();
        if self.failing.load(Ordering::SeqCst) {
            if kept.ends_with(b"\n") || kept.is_empty() {
                kept.extend_from_slice(&bytes[..bytes.len() / 2]);
                return Ok(bytes.len() / 2);
            }
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        kept.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn an_acknowledged_record_is_in_the_output() {
    let output = Output::default();
    let writer = LineWriter::start(output.clone()).unwrap();
    writer.record(&event("Encrypt")).await.unwrap();
    let bytes = output.bytes.lock().unwrap().clone();
    assert_eq!(bytes, event("Encrypt").to_line().unwrap());
}

#[tokio::test]
async fn a_thousand_concurrent_records_are_a_thousand_whole_lines() {
    let output = Output::default();
    let writer = Arc::new(LineWriter::start(output.clone()).unwrap());
    let tasks: Vec<_> = (0..1_000)
        .map(|_| {
            let writer = Arc::clone(&writer);
            tokio::spawn(async move { writer.record(&event("Decrypt")).await })
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    let bytes = output.bytes.lock().unwrap().clone();
    let lines: Vec<_> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
    assert_eq!(lines.len(), 1_000);
    assert!(lines.iter().all(|line| *line == event("Decrypt").to_line().unwrap()));
}

#[tokio::test]
async fn a_failed_write_is_reported_and_the_next_record_starts_a_line_of_its_own() {
    let output = Output::default();
    let writer = LineWriter::start(output.clone()).unwrap();
    output.failing.store(true, Ordering::SeqCst);
    assert_eq!(writer.record(&event("CreateKey")).await, Err(AuditError::Output));
    assert!(!writer.is_writable(), "INV-69: changes must now be refused");

    output.failing.store(false, Ordering::SeqCst);
    writer.record(&event("DescribeKey")).await.unwrap();
    assert!(writer.is_writable());
    let bytes = output.bytes.lock().unwrap().clone();
    let last = bytes.split_inclusive(|byte| *byte == b'\n').next_back().unwrap();
    assert_eq!(last, event("DescribeKey").to_line().unwrap());
}

fn on_a_pipe() -> (io::PipeReader, LineWriter) {
    let (reader, output) = io::pipe().unwrap();
    (reader, LineWriter::start_on(File::from(OwnedFd::from(output))).unwrap())
}

/// Since Linux 6.4; an older one answers that a pipe cannot be asked, and the thread writes.
fn pipes_can_be_asked() -> bool {
    let (_reader, output) = io::pipe().unwrap();
    pwritev2(&output, &[io::IoSlice::new(b"x")], u64::MAX, ReadWriteFlags::NOWAIT).is_ok()
}

#[tokio::test]
async fn a_pipe_takes_a_record_at_once_and_without_the_writers_thread() {
    let (reader, writer) = on_a_pipe();
    for name in ["Encrypt", "Decrypt"] {
        let mut recorded = writer.record(&event(name));
        let polled = recorded.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(polled.is_ready() || !pipes_can_be_asked(), "{name}: it waited for another thread");
    }
    drop(writer);
    let expected = [event("Encrypt").to_line().unwrap(), event("Decrypt").to_line().unwrap()].concat();
    assert_eq!(io::read_to_string(reader).unwrap().as_bytes(), expected);
}

/// A full pipe takes nothing at once: the rest goes to the thread, while other requests still try.
#[tokio::test]
async fn a_pipe_with_a_late_reader_gets_every_acknowledged_line_whole() {
    let (reader, writer) = on_a_pipe();
    let writer = Arc::new(writer);
    let tasks: Vec<_> = (0..1_000)
        .map(|_| {
            let writer = Arc::clone(&writer);
            tokio::spawn(async move { writer.record(&event("Decrypt")).await })
        })
        .collect();
    let late = thread::spawn(move || {
        thread::sleep(Duration::from_millis(100));
        io::read_to_string(reader)
    });
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    drop(writer);
    let text = late.join().unwrap().unwrap();
    assert_eq!(text.as_bytes(), event("Decrypt").to_line().unwrap().repeat(1_000));
}

#[tokio::test]
async fn a_pipe_without_a_reader_is_an_output_that_failed() {
    let (reader, writer) = on_a_pipe();
    drop(reader);
    assert_eq!(writer.record(&event("CreateKey")).await, Err(AuditError::Output));
    assert!(!writer.is_writable(), "INV-69: changes must now be refused");
}
