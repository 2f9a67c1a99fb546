//! Any sequence of commands on one session: what it may do follows from what it has proved, step by step (INV-65,
//! INV-68, D12), and no answer carries what must not leave.

use std::sync::Arc;

use bytes::BytesMut;
use hsm_protocol::frame::take_frame;
use hsm_protocol::labels::KMS_USER;
use hsm_protocol::{ClientRole, Command, Frame, FrameHeader, FrameKind, Request, ReturnCode, message as m};
use prost::Message;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

use super::{example, folder};
use crate::dispatch::ClientPort;
use crate::hsm::Hsm;
use crate::session::Serve;
use crate::sessions::{ClientProof, Session};

/// Sequences after which the HSM is made anew, so that its volume stays small.
const SEQUENCES: u32 = 2_000;
const STEPS: usize = 64;
const EXPORTER: [u8; 32] = [2; 32];

/// An HSM that any sequence can be tried on.
pub struct SessionSequence {
    runtime: Runtime,
    hsm: Arc<Hsm>,
    tried: u32,
    _folder: TempDir,
}

impl Default for SessionSequence {
    fn default() -> Self {
        Self::new()
    }
}

impl SessionSequence {
    /// An active HSM with one user, one key and one live delegation.
    ///
    /// # Panics
    /// When it cannot be made.
    #[must_use]
    pub fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("starts");
        let folder = folder();
        let hsm = runtime.block_on(example::active(folder.path()));
        Self { runtime, hsm, tried: 0, _folder: folder }
    }

    /// Plays one sequence. The first byte chooses the role; then each step is a byte: below 0x80 a command with the body
    /// that follows (one byte of length), above it one of [`prepared`] requests.
    ///
    /// # Panics
    /// When an answer is not what the steps before it allow.
    pub fn check(&mut self, data: &[u8]) {
        self.tried += 1;
        if self.tried > SEQUENCES {
            *self = Self::new();
        }
        let Some((role, mut rest)) = data.split_first() else { return };
        let roles = [ClientRole::Controllers, ClientRole::Gateway, ClientRole::Owner];
        let role = roles.into_iter().cycle().nth(usize::from(*role)).unwrap_or(ClientRole::Gateway);
        let (client, closed) = (proof(role), CancellationToken::new());
        let session = self.hsm.sessions.open(client, closed.clone());
        let mut play = Play { role, greeted: false, acting: false, blob: Vec::new() };
        for number in 0..STEPS {
            let Some((step, following)) = rest.split_first() else { break };
            let (command, body, after) =
                if *step < 0x80 { raw(*step, following) } else { (prepared(*step, &play.blob)).with(following) };
            rest = after;
            let answer = self.answer(&session, command, &body, number as u64);
            play.judge(command, &answer);
            if closed.is_cancelled() {
                break;
            }
        }
        self.hsm.sessions.close(&session);
    }

    fn answer(&self, session: &Arc<Session>, command: Command, body: &[u8], request_id: u64) -> Frame {
        let body_length = u32::try_from(body.len()).expect("short");
        let header =
            FrameHeader { body_length, kind: FrameKind::Request, command: command as u16, request_id, word: 0 };
        let mut bytes = BytesMut::from(&[&header.encode()[..], body].concat()[..]);
        let frame = take_frame(&mut bytes).ok().flatten().expect("a frame");
        let port = Arc::new(ClientPort::new(Arc::clone(&self.hsm), Arc::clone(session)));
        let mut answer = BytesMut::new();
        if !port.answer_now(&frame.header, &frame.body, &mut answer) {
            answer = self.runtime.block_on(port.answer(frame, None));
        }
        let frame = take_frame(&mut answer).ok().flatten().expect("an answer is a frame");
        assert!(answer.is_empty() && frame.header.kind == FrameKind::Response);
        assert_eq!((frame.header.command, frame.header.request_id), (command as u16, request_id));
        frame
    }
}

fn proof(role: ClientRole) -> ClientProof {
    let address = std::net::SocketAddr::from((std::net::Ipv4Addr::LOCALHOST, 1));
    ClientProof { address, role, spki_sha256: example::CLIENT, hello_exporter: [1; 32], outer_exporter: EXPORTER }
}

/// What the steps so far have proved.
struct Play {
    role: ClientRole,
    greeted: bool,
    /// Logged in, or with an open delegation.
    acting: bool,
    /// The last ciphertext.
    blob: Vec<u8>,
}

impl Play {
    fn judge(&mut self, command: Command, answer: &Frame) {
        let code = ReturnCode::from_u32(answer.header.word).expect("a known code");
        assert!(!matches!(code, ReturnCode::Internal | ReturnCode::StorageFailed), "{command:?}: {code:?}");
        assert!(!answer.body.windows(example::MATERIAL.len()).any(|bytes| bytes == example::MATERIAL), "{command:?}");
        if code != ReturnCode::Success {
            return;
        }
        assert_eq!(self.greeted, command != Command::Hello, "{command:?} out of turn");
        assert!(self.role != ClientRole::Gateway || is_for_gateways(command), "{command:?} by a gateway");
        assert!(self.acting || !needs_a_login(command), "{command:?} without a login");
        match command {
            Command::Hello => self.greeted = true,
            Command::Login | Command::OpenDelegation => self.acting = true,
            Command::Logout => self.acting = false,
            Command::Encrypt => {
                self.blob = m::EncryptReply::decode(answer.body.clone()).expect("a reply").blob;
            }
            _ => {}
        }
    }
}

fn is_for_gateways(command: Command) -> bool {
    use Command::{Decrypt, Encrypt, GenerateDataKey, GenerateRandom, Hello, OpenDelegation, ReadKey};
    matches!(command, Hello | OpenDelegation | Encrypt | Decrypt | GenerateDataKey | GenerateRandom | ReadKey)
}

fn needs_a_login(command: Command) -> bool {
    use Command as C;
    matches!(
        command,
        C::CreateUser
            | C::DeleteUser
            | C::ChangePassword
            | C::RegisterDelegates
            | C::GenerateKey
            | C::ExtractMaskedKey
            | C::InsertMaskedKey
            | C::ReadKey
            | C::FindKeys
            | C::SetKeyState
            | C::Encrypt
            | C::Decrypt
            | C::GenerateDataKey
    )
}

/// A command with a body out of the input.
fn raw(step: u8, following: &[u8]) -> (Command, Vec<u8>, &[u8]) {
    let command = Command::ALL.iter().cycle().nth(usize::from(step)).copied().unwrap_or(Command::Hello);
    let Some((length, rest)) = following.split_first() else { return (command, Vec::new(), following) };
    let (body, rest) = rest.split_at(usize::from(*length).min(rest.len()));
    (command, body.to_vec(), rest)
}

/// A request that random bytes would hardly make.
struct Prepared(Command, Vec<u8>);

impl Prepared {
    fn of<R: Request>(request: &R) -> Self {
        Self(R::COMMAND, request.encode_to_vec())
    }

    fn with(self, following: &[u8]) -> (Command, Vec<u8>, &[u8]) {
        (self.0, self.1, following)
    }
}

fn prepared(step: u8, blob: &[u8]) -> Prepared {
    let key_id = || example::key_id().0.to_vec();
    let login = |password: &str, exporter: [u8; 32]| {
        Prepared::of(&m::LoginRequest {
            user: KMS_USER.into(),
            password: password.into(),
            outer_exporter: exporter.to_vec(),
        })
    };
    let open = |generation| Prepared::of(&m::OpenDelegationRequest { store_id: example::STORE.into(), generation });
    match step & 0x0f {
        0 => Prepared::of(&m::HelloRequest { client_nonce: vec![7; 32] }),
        1 => login(example::PASSWORD, EXPORTER),
        2 => login(example::PASSWORD, [0; 32]),
        3 => Prepared::of(&m::LogoutRequest {}),
        4 => open(example::LIVE),
        5 => open(example::LIVE - 1),
        6 => Prepared::of(&m::EncryptRequest {
            key_id: key_id(),
            plaintext: vec![5; 33],
            encryption_context: vec![0; 4],
        }),
        7 => Prepared::of(&m::DecryptRequest { blob: blob.to_vec(), encryption_context: vec![0; 4] }),
        8 => Prepared::of(&m::ReadKeyRequest { key_id: key_id() }),
        9 => Prepared::of(&m::GenerateDataKeyRequest {
            key_id: key_id(),
            length: 32,
            with_plaintext: true,
            ..Default::default()
        }),
        10 => Prepared::of(&m::AcquireFenceRequest { holder: "a".into() }),
        11 => Prepared::of(&m::FindKeysRequest { limit: 10, ..Default::default() }),
        12 => Prepared::of(&m::ExtractMaskedKeyRequest { key_id: key_id() }),
        13 => Prepared::of(&m::UserInfoRequest { user: KMS_USER.into() }),
        14 => Prepared::of(&m::GenerateRandomRequest { length: 16 }),
        _ => Prepared::of(&m::ClaimClusterRequest { holder: example::STORE.into(), fence: 1 }),
    }
}

/// Sequences to begin with: a good client of each kind, and some out of turn.
#[must_use]
pub fn session_sequence_seeds() -> Vec<Vec<u8>> {
    let play = |role: u8, steps: &[u8]| [&[role], steps].concat();
    vec![
        play(0, &[0x80, 0x81, 0x86, 0x87, 0x88, 0x89, 0x8b, 0x8c, 0x8d, 0x83, 0x86]),
        play(1, &[0x80, 0x84, 0x86, 0x87, 0x88, 0x89, 0x8e]),
        play(1, &[0x80, 0x85, 0x86, 0x81, 0x8a, 0x8b]),
        play(2, &[0x80, 0x82, 0x81, 0x8a, 0x8f, 0x84, 0x83]),
        play(0, &[0x86, 0x81, 0x80, 0x80, 0x86]),
        play(0, &[0x80, 5, 3, 10, 1, b'x', 9, 0, 21, 4, 1, 2, 3, 4]),
    ]
}
