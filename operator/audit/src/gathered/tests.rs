//! Gathering keeps the writer's guarantees: acknowledged means written, a failure is told to everybody it concerns.

use std::sync::atomic::Ordering;
use std::task::{Context, Waker};

use super::*;
use crate::writer::tests::{Output, event};

fn gathered(output: &Output) -> Gathered {
    Gathered::new(Arc::new(LineWriter::start(output.clone()).unwrap()))
}

#[tokio::test]
async fn a_thousand_records_at_once_are_a_thousand_whole_lines_and_each_is_written_when_it_is_acknowledged() {
    let output = Output::default();
    let gathered = Arc::new(gathered(&output));
    let tasks: Vec<_> = (0..1_000)
        .map(|_| {
            let (gathered, output) = (Arc::clone(&gathered), output.clone());
            tokio::spawn(async move {
                gathered.record(&event("Decrypt")).await.unwrap();
                assert!(!output.bytes.lock().unwrap().is_empty());
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let bytes = output.bytes.lock().unwrap().clone();
    assert_eq!(bytes, event("Decrypt").to_line().unwrap().repeat(1_000));
}

/// INV-69.
#[tokio::test]
async fn every_request_of_a_batch_that_was_not_written_is_told_so_and_the_next_batch_is_written() {
    let output = Output::default();
    let gathered = gathered(&output);
    output.failing.store(true, Ordering::SeqCst);
    let (first, second) = tokio::join!(gathered.record(&event("Encrypt")), gathered.record(&event("Encrypt")));
    assert_eq!((first, second), (Err(AuditError::Output), Err(AuditError::Output)));
    assert!(!gathered.is_writable());
    output.failing.store(false, Ordering::SeqCst);
    assert_eq!(gathered.record(&event("Encrypt")).await, Ok(()));
    assert!(gathered.is_writable());
}

#[tokio::test]
async fn a_request_that_goes_away_takes_neither_its_own_record_nor_another_with_it() {
    let output = Output::default();
    let gathered = gathered(&output);
    let mut gone = gathered.record(&event("CreateKey"));
    assert!(gone.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    drop(gone);
    gathered.record(&event("Encrypt")).await.unwrap();
    let bytes = output.bytes.lock().unwrap().clone();
    assert_eq!(bytes, [event("CreateKey").to_line().unwrap(), event("Encrypt").to_line().unwrap()].concat());
}

#[tokio::test]
async fn records_beyond_the_limit_are_refused_and_not_kept() {
    let gathered = gathered(&Output::default());
    let waiting: Vec<_> = (0..MOST_WAITING).map(|_| gathered.record(&event("Encrypt"))).collect();
    assert_eq!(gathered.record(&event("Encrypt")).await, Err(AuditError::QueueFull));
    drop(waiting);
}
