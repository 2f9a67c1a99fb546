//! The driver with a handler that echoes: order, limits, bad frames, endings.

use super::*;
use hsm_protocol::Command;
use hsm_protocol::frame::take_frame;
use hsm_protocol::message as m;
use std::sync::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

/// Answers GenerateRandom at once and anything else after its deadline word in milliseconds; keeps why it got no request.
#[derive(Default)]
struct Echo {
    no_requests: Mutex<Vec<String>>,
}

impl Serve for Echo {
    fn answer_now(&self, header: &FrameHeader, _: &[u8], answers: &mut BytesMut) -> bool {
        let quick = header.command == Command::GenerateRandom as u16;
        if quick {
            refuse(header, ReturnCode::Success, answers);
        }
        quick
    }

    async fn answer(self: Arc<Self>, frame: Frame, deadline: Option<Instant>) -> BytesMut {
        tokio::time::sleep_until(deadline.expect("the test sets one")).await;
        refusal(&frame, ReturnCode::Success)
    }

    fn not_a_request(&self, why: Arguments<'_>) {
        self.no_requests.lock().unwrap().push(why.to_string());
    }
}

fn serve() -> (DuplexStream, Ending, tokio::task::JoinHandle<()>) {
    serve_by(Arc::default())
}

fn serve_by(echo: Arc<Echo>) -> (DuplexStream, Ending, tokio::task::JoinHandle<()>) {
    let (client, server) = duplex(1 << 20);
    let ending = Ending { closed: CancellationToken::new(), shutdown: CancellationToken::new() };
    let task = tokio::spawn(drive(server, echo, ending.clone(), Handle::current()));
    (client, ending, task)
}

fn request(buffer: &mut BytesMut, command: Command, id: u64, word: u32) {
    frame::put_request(buffer, command, id, word, &m::LogoutRequest {}).expect("fits");
}

async fn answers(client: &mut DuplexStream, count: usize) -> Vec<(u64, u32)> {
    let mut buffer = BytesMut::new();
    let mut seen = Vec::new();
    while seen.len() < count {
        while let Some(frame) = take_frame(&mut buffer).expect("a frame") {
            seen.push((frame.header.request_id, frame.header.word));
        }
        if seen.len() < count && client.read_buf(&mut buffer).await.expect("reads") == 0 {
            break;
        }
    }
    seen
}

#[tokio::test]
async fn a_slow_request_does_not_hold_up_the_ones_behind_it() {
    let (mut client, ..) = serve();
    let mut bytes = BytesMut::new();
    request(&mut bytes, Command::Login, 1, 100);
    request(&mut bytes, Command::Login, 2, 20);
    request(&mut bytes, Command::GenerateRandom, 3, 0);
    client.write_all(&bytes).await.unwrap();
    let order: Vec<u64> = answers(&mut client, 3).await.into_iter().map(|(id, _)| id).collect();
    assert_eq!(order, [3, 2, 1]);
}

#[tokio::test]
async fn requests_over_the_limit_are_answered_busy_and_every_request_is_answered_once() {
    let (mut client, ..) = serve();
    let mut bytes = BytesMut::new();
    for id in 0..300 {
        request(&mut bytes, Command::Login, id, 300);
    }
    client.write_all(&bytes).await.unwrap();
    let mut seen = answers(&mut client, 300).await;
    let busy = seen.iter().filter(|(_, word)| *word == ReturnCode::Busy as u32).count();
    assert_eq!(busy, 300 - MAX_IN_FLIGHT);
    seen.sort_unstable();
    seen.dedup_by_key(|(id, _)| *id);
    assert_eq!(seen.len(), 300);
}

#[tokio::test]
async fn bytes_that_are_no_request_end_the_session_and_the_handler_is_told_why() {
    let response =
        hsm_protocol::FrameHeader { body_length: 0, kind: FrameKind::Response, command: 1, request_id: 1, word: 0 };
    for (bytes, expected) in [(vec![0xff; 64], "over the limit"), (response.encode().to_vec(), "an answer stands")] {
        let echo = Arc::<Echo>::default();
        let (mut client, _, task) = serve_by(Arc::clone(&echo));
        client.write_all(&bytes).await.unwrap();
        task.await.unwrap();
        assert!(answers(&mut client, 1).await.is_empty());
        let told = echo.no_requests.lock().unwrap().clone();
        assert!(matches!(&told[..], [why] if why.contains(expected)), "{told:?}");
    }
}

#[tokio::test]
async fn a_client_that_leaves_in_the_middle_of_a_frame_has_sent_nothing_wrong() {
    let echo = Arc::<Echo>::default();
    let (mut client, _, task) = serve_by(Arc::clone(&echo));
    let mut bytes = BytesMut::new();
    request(&mut bytes, Command::Login, 1, 0);
    client.write_all(&bytes[..bytes.len() - 1]).await.unwrap();
    drop(client);
    task.await.unwrap();
    assert!(echo.no_requests.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_closed_session_ends_at_once_and_a_shutdown_answers_what_is_in_flight() {
    let (mut client, ending, task) = serve();
    let mut bytes = BytesMut::new();
    request(&mut bytes, Command::Login, 1, 200);
    client.write_all(&bytes).await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    ending.shutdown.cancel();
    assert_eq!(answers(&mut client, 1).await, [(1, 0)]);
    task.await.unwrap();

    let (mut client, ending, task) = serve();
    let mut bytes = BytesMut::new();
    request(&mut bytes, Command::Login, 1, 60_000);
    client.write_all(&bytes).await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    ending.closed.cancel();
    task.await.unwrap();
    assert!(answers(&mut client, 1).await.is_empty());
}
