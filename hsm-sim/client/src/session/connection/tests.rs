//! Tests of multiplexing against a scripted peer on an in-memory stream.

use super::*;
use hsm_protocol::frame::{put_response, take_frame};
use hsm_protocol::message::{GenerateRandomReply, GenerateRandomRequest, LogoutRequest};
use hsm_protocol::{Command, Frame};
use tokio::io::DuplexStream;

const SOON: Duration = Duration::from_secs(60);

/// The peer's side: reads whole frames, writes answers.
struct Peer {
    stream: DuplexStream,
    buffer: BytesMut,
}

impl Peer {
    async fn request(&mut self) -> Frame {
        loop {
            if let Some(frame) = take_frame(&mut self.buffer).expect("the client sends frames") {
                return frame;
            }
            assert_ne!(self.stream.read_buf(&mut self.buffer).await.expect("reads"), 0, "the client hung up");
        }
    }

    async fn answer(&mut self, request: &Frame, code: ReturnCode, random: &[u8]) {
        let mut bytes = BytesMut::new();
        let reply = GenerateRandomReply { random: random.to_vec() };
        put_response(&mut bytes, request.header.command, request.header.request_id, code, &reply).expect("fits");
        self.stream.write_all(&bytes).await.expect("writes");
    }
}

fn pair() -> (Arc<Connection>, Peer) {
    let (client, stream) = tokio::io::duplex(1 << 16);
    (Arc::new(Connection::start(client)), Peer { stream, buffer: BytesMut::new() })
}

fn ask(connection: &Arc<Connection>, length: u32) -> tokio::task::JoinHandle<Result<Vec<u8>, HsmError>> {
    ask_within(connection, length, SOON)
}

fn ask_within(
    connection: &Arc<Connection>,
    length: u32,
    deadline: Duration,
) -> tokio::task::JoinHandle<Result<Vec<u8>, HsmError>> {
    let connection = connection.clone();
    tokio::spawn(async move {
        connection
            .call(&GenerateRandomRequest { length }, deadline)
            .await
            .map(|mut reply| std::mem::take(&mut reply.random))
    })
}

#[tokio::test]
async fn answers_in_the_opposite_order_reach_the_right_callers() {
    let (connection, mut peer) = pair();
    let calls: Vec<_> = (0..50).map(|length| ask(&connection, length)).collect();
    let mut requests = Vec::new();
    for _ in 0..50 {
        requests.push(peer.request().await);
    }
    for request in requests.iter().rev() {
        let length = GenerateRandomRequest::decode(request.body.clone()).expect("decodes").length;
        peer.answer(request, ReturnCode::Success, &length.to_be_bytes()).await;
    }
    for (length, call) in (0u32..).zip(calls) {
        assert_eq!(call.await.expect("runs"), Ok(length.to_be_bytes().to_vec()));
    }
    assert_eq!(connection.in_flight(), 0);
}

#[tokio::test]
async fn when_the_peer_hangs_up_every_waiting_caller_hears_it_and_later_ones_at_once() {
    let (connection, mut peer) = pair();
    let calls: Vec<_> = (0..5).map(|length| ask(&connection, length)).collect();
    peer.request().await;
    drop(peer);
    for call in calls {
        assert_eq!(call.await.expect("runs"), Err(HsmError::Disconnected));
    }
    assert!(!connection.is_open());
    assert_eq!(ask(&connection, 1).await.expect("runs"), Err(HsmError::Disconnected));
}

#[tokio::test]
async fn a_caller_waits_no_longer_than_its_deadline_and_leaves_nothing_behind() {
    let (connection, mut peer) = pair();
    let call = ask_within(&connection, 1, Duration::from_millis(200));
    let request = peer.request().await;
    assert_eq!(request.header.word, 200, "the HSM is told the deadline");
    assert_eq!(call.await.expect("runs"), Err(HsmError::Timeout));
    assert_eq!(connection.in_flight(), 0);
    peer.answer(&request, ReturnCode::Success, b"late").await;
    let next = ask(&connection, 2);
    let request = peer.request().await;
    peer.answer(&request, ReturnCode::Success, b"in time").await;
    assert_eq!(next.await.expect("runs"), Ok(b"in time".to_vec()));
}

#[tokio::test]
async fn whoever_has_less_time_is_told_first_and_those_who_have_more_still_get_their_answer() {
    let (connection, mut peer) = pair();
    let patient = ask(&connection, 1);
    let request = peer.request().await;
    for _ in 0..2 {
        let hasty = ask_within(&connection, 2, Duration::from_millis(100));
        assert_eq!(hasty.await.expect("runs"), Err(HsmError::Timeout));
    }
    peer.answer(&request, ReturnCode::Success, b"in time").await;
    assert_eq!(patient.await.expect("runs"), Ok(b"in time".to_vec()));
    let hasty = ask_within(&connection, 3, Duration::from_millis(100));
    assert_eq!(hasty.await.expect("runs"), Err(HsmError::Timeout), "after a time without callers");
}

#[test]
fn when_the_runtime_of_a_connection_ends_callers_of_another_runtime_hear_it() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let (ending, other) = (runtime(), runtime());
    let (connection, _peer) = ending.block_on(async { pair() });
    other.block_on(async {
        let call = ask(&connection, 1);
        tokio::task::yield_now().await;
        ending.shutdown_background();
        assert_eq!(call.await.expect("runs"), Err(HsmError::Disconnected));
    });
}

#[tokio::test]
async fn dropping_the_last_handle_closes_the_connection() {
    let (connection, mut peer) = pair();
    drop(connection);
    assert_eq!(peer.stream.read_buf(&mut peer.buffer).await.expect("reads"), 0);
}

#[tokio::test]
async fn a_refusal_is_the_return_code_and_only_some_of_them_are_indefinite() {
    let (connection, mut peer) = pair();
    for (code, indefinite) in [(ReturnCode::LoginFailure, false), (ReturnCode::StorageFailed, true)] {
        let call = ask(&connection, 1);
        let request = peer.request().await;
        peer.answer(&request, code, b"").await;
        let error = call.await.expect("runs").expect_err("is refused");
        assert_eq!(error, HsmError::Refused(code));
        assert_eq!(error.is_indefinite(), indefinite);
    }
}

#[tokio::test]
async fn an_answer_to_another_command_is_a_protocol_error() {
    let (connection, mut peer) = pair();
    let call = ask(&connection, 1);
    let mut request = peer.request().await;
    request.header.command = Command::Logout as u16;
    peer.answer(&request, ReturnCode::Success, b"").await;
    assert!(matches!(call.await.expect("runs"), Err(HsmError::Protocol(_))));
}

#[tokio::test]
async fn bytes_that_are_no_frame_end_the_connection() {
    let huge = [0xff; HEADER_LENGTH];
    let mut request = [0; HEADER_LENGTH];
    request[4] = 1;
    for bytes in [huge, request] {
        let (connection, mut peer) = pair();
        let call = ask(&connection, 1);
        peer.request().await;
        peer.stream.write_all(&bytes).await.expect("writes");
        assert_eq!(call.await.expect("runs"), Err(HsmError::Disconnected));
    }
}

#[tokio::test]
async fn a_peer_that_stops_reading_makes_the_connection_busy_instead_of_growing() {
    let (connection, _peer) = pair();
    let body = hsm_protocol::message::InsertMaskedKeyRequest { masked: vec![0; 1 << 19], fence: 0 };
    let mut refused = false;
    for _ in 0..20 {
        let answer = connection.enqueue(Command::InsertMaskedKey, &body, SOON);
        refused |= matches!(answer, Err(HsmError::Refused(ReturnCode::Busy)));
    }
    assert!(refused);
    assert!(connection.enqueue(Command::Logout, &LogoutRequest {}, SOON).is_err());
}
