//! Port 2223: from a frame to the command it names, if role and state allow it.
//!
//! Security: role, order and state are checked by `admission` before the body is parsed.

use std::fmt::Arguments;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::BytesMut;
use hsm_protocol::{Command, Frame, FrameHeader, Request, ReturnCode, in_place, message as m};
use prost::Message;
use tokio::time::Instant;

use crate::admission::{check_order, check_role, check_state};
use crate::command;
use crate::hsm::Hsm;
use crate::refusals::{Refused, command_name, refused};
use crate::session::{Serve, encode, refusal, refuse};
use crate::sessions::Session;
use crate::vault::Outcome;

/// A refusal, with the body that a few return codes carry.
pub(crate) struct Refusal {
    code: ReturnCode,
    body: Option<Vec<u8>>,
}

impl From<ReturnCode> for Refusal {
    fn from(code: ReturnCode) -> Self {
        Self { code, body: None }
    }
}

impl Refusal {
    /// `KeyExists` with the existing record.
    pub(crate) fn with_body(code: ReturnCode, body: &impl Message) -> Self {
        Self { code, body: Some(body.encode_to_vec()) }
    }
}

/// Serves one client session.
pub(crate) struct ClientPort {
    hsm: Arc<Hsm>,
    session: Arc<Session>,
}

impl ClientPort {
    /// A handler for this session.
    pub(crate) fn new(hsm: Arc<Hsm>, session: Arc<Session>) -> Self {
        Self { hsm, session }
    }

    fn admit(&self, header: &FrameHeader) -> Outcome<Command> {
        let command = Command::from_u16(header.command).ok_or(ReturnCode::UnknownCommand)?;
        check_role(command, self.session.client.role)?;
        check_order(command, self.session.has_greeted())?;
        check_state(command, self.hsm.state(), self.hsm.compared.load(Ordering::Acquire))?;
        Ok(command)
    }

    /// Appends the answer if the command is a quick one.
    fn quick(&self, command: Command, header: &FrameHeader, body: &[u8], answers: &mut BytesMut) -> bool {
        let (hsm, session) = (&*self.hsm, &*self.session);
        match command {
            Command::Encrypt => self.encrypt(header, body, answers),
            Command::Decrypt => self.decrypt(header, body, answers),
            Command::GenerateDataKey => {
                append(header, body, answers, |r| command::generate_data_key::run(hsm, session, &r));
            }
            Command::GenerateRandom => append(header, body, answers, |r| command::generate_random::run(&r)),
            Command::ReadKey => append(header, body, answers, |r| command::read_key::run(hsm, session, &r)),
            _ => return false,
        }
        true
    }

    fn encrypt(&self, header: &FrameHeader, body: &[u8], answers: &mut BytesMut) {
        let request = in_place::EncryptRequest::decode(body).map_err(|_| ReturnCode::InvalidArgument);
        match request.and_then(|request| command::encrypt::run(&self.hsm, &self.session, request)) {
            Ok(blob) => encode(header, ReturnCode::Success, &in_place::EncryptReply { blob: &blob }, answers),
            Err(code) => refuse(header, code, answers),
        }
    }

    fn decrypt(&self, header: &FrameHeader, body: &[u8], answers: &mut BytesMut) {
        let request = in_place::DecryptRequest::decode(body).map_err(|_| ReturnCode::InvalidArgument);
        match request.and_then(|request| command::decrypt::run(&self.hsm, &self.session, request)) {
            Ok((plaintext, key_id)) => {
                let reply = in_place::DecryptReply { plaintext: &plaintext, key_id: key_id.as_bytes() };
                encode(header, ReturnCode::Success, &reply, answers);
            }
            Err(code) => refuse(header, code, answers),
        }
    }

    async fn slow(&self, command: Command, frame: &Frame, deadline: Option<Instant>) -> BytesMut {
        let (hsm, session) = (&*self.hsm, &*self.session);
        match command {
            Command::Hello => reply(frame, |r| command::hello::run(hsm, session, &r)),
            Command::HsmInfo => reply(frame, |_: m::HsmInfoRequest| command::hsm_info::run(hsm)),
            Command::Logout => reply(frame, |_: m::LogoutRequest| command::login::logout(session)),
            Command::UserInfo => reply(frame, |r| command::user_info::run(hsm, session, &r)),
            Command::ListUsers => reply(frame, |_: m::ListUsersRequest| command::list_users::run(hsm)),
            Command::FindKeys => reply(frame, |r| command::find_keys::run(hsm, session, &r)),
            Command::ExtractMaskedKey => reply(frame, |r| command::masked_key::extract(hsm, session, &r)),
            Command::OpenDelegation => reply(frame, |r| command::open_delegation::run(hsm, session, &r)),
            Command::Login => change(frame, async |r| command::login::run(hsm, session, r, deadline).await).await,
            Command::CreateUser => change(frame, async |r| command::create_user::run(hsm, session, r).await).await,
            Command::DeleteUser => change(frame, async |r| command::delete_user::run(hsm, session, &r).await).await,
            Command::ChangePassword => {
                change(frame, async |r| command::change_password::run(hsm, session, r).await).await
            }
            Command::AcquireFence => change(frame, async |r| command::acquire_fence::run(hsm, session, &r).await).await,
            Command::ClaimCluster => change(frame, async |r| command::claim::claim(hsm, session, &r).await).await,
            Command::ReleaseClaim => change(frame, async |r| command::claim::release(hsm, session, &r).await).await,
            Command::RegisterDelegates => {
                change(frame, async |r| command::register_delegates::run(hsm, session, &r).await).await
            }
            Command::DropGeneration => {
                change(frame, async |r| command::drop_generation::run(hsm, session, &r).await).await
            }
            Command::GenerateKey => change(frame, async |r| command::generate_key::run(hsm, session, &r).await).await,
            Command::InsertMaskedKey => {
                change(frame, async |r| command::masked_key::insert(hsm, session, &r).await).await
            }
            Command::SetKeyState => change(frame, async |r| command::set_key_state::run(hsm, session, &r).await).await,
            // The quick ones never come here; the others belong to port 2224.
            _ => refusal(frame, ReturnCode::UnknownCommand),
        }
    }
}

impl Serve for ClientPort {
    fn answer_now(&self, header: &FrameHeader, body: &[u8], answers: &mut BytesMut) -> bool {
        let start = answers.len();
        let admitted = self.admit(header);
        let answered = match admitted {
            Ok(command) => self.quick(command, header, body, answers),
            Err(code) => {
                refuse(header, code, answers);
                true
            }
        };
        if answered {
            let answer = answers.get(start..).unwrap_or_default();
            count(&self.hsm, self.session.client.address, header, answer, admitted.is_ok());
        }
        answered
    }

    async fn answer(self: Arc<Self>, frame: Frame, deadline: Option<Instant>) -> BytesMut {
        let admitted = self.admit(&frame.header);
        let answer = match admitted {
            Ok(command) => self.slow(command, &frame, deadline).await,
            Err(code) => refusal(&frame, code),
        };
        count(&self.hsm, self.session.client.address, &frame.header, &answer, admitted.is_ok());
        answer
    }

    fn not_a_request(&self, why: Arguments<'_>) {
        self.hsm.refusals.note(Refused::Frame, Some(&self.session.client.address), why);
    }
}

/// Counts the answer to one command of any port, and notes it where it is a refusal. `admitted`: whether role, order and state allowed it.
pub(crate) fn count(hsm: &Hsm, peer: SocketAddr, header: &FrameHeader, answer: &[u8], admitted: bool) {
    let code = code_of(answer);
    if let Some(command) = Command::from_u16(header.command) {
        hsm.metrics.count(command, code);
    }
    if let Some(refused) = refused(header.command, code, admitted) {
        let name = command_name(header.command);
        hsm.refusals.note(refused, Some(&peer), format_args!("{name}: {}", code.name()));
    }
}

/// Decodes, runs, encodes.
pub(crate) fn reply<R, E>(frame: &Frame, run: impl FnOnce(R) -> Result<R::Reply, E>) -> BytesMut
where
    R: Request,
    E: Into<Refusal>,
{
    let mut answer = BytesMut::new();
    append(&frame.header, &frame.body, &mut answer, run);
    answer
}

/// As [`reply`], at the end of `answers`.
fn append<R, E>(header: &FrameHeader, body: &[u8], answers: &mut BytesMut, run: impl FnOnce(R) -> Result<R::Reply, E>)
where
    R: Request,
    E: Into<Refusal>,
{
    match R::decode(body) {
        Ok(request) => finish(header, run(request), answers),
        Err(_) => refuse(header, ReturnCode::InvalidArgument, answers),
    }
}

/// As [`reply`], for commands that wait.
pub(crate) async fn change<R, E>(frame: &Frame, run: impl AsyncFnOnce(R) -> Result<R::Reply, E>) -> BytesMut
where
    R: Request,
    E: Into<Refusal>,
{
    let mut answer = BytesMut::new();
    match R::decode(&frame.body[..]) {
        Ok(request) => finish(&frame.header, run(request).await, &mut answer),
        Err(_) => refuse(&frame.header, ReturnCode::InvalidArgument, &mut answer),
    }
    answer
}

fn finish<M: Message, E: Into<Refusal>>(header: &FrameHeader, outcome: Result<M, E>, answers: &mut BytesMut) {
    match outcome.map_err(Into::into) {
        Ok(body) => encode(header, ReturnCode::Success, &body, answers),
        Err(Refusal { code, body: None }) => refuse(header, code, answers),
        Err(Refusal { code, body: Some(body) }) => encode(header, code, &Encoded(body), answers),
    }
}

/// Return code inside an encoded answer.
fn code_of(answer: &[u8]) -> ReturnCode {
    let word = answer.get(16..20).and_then(|word| word.try_into().ok()).map(u32::from_be_bytes);
    word.and_then(ReturnCode::from_u32).unwrap_or(ReturnCode::Internal)
}

/// A body that is encoded already.
#[derive(Default)]
struct Encoded(Vec<u8>);

impl Message for Encoded {
    fn encode_raw(&self, buffer: &mut impl bytes::BufMut) {
        buffer.put_slice(&self.0);
    }

    fn merge_field(
        &mut self,
        tag: u32,
        wire_type: prost::encoding::WireType,
        buffer: &mut impl bytes::Buf,
        context: prost::encoding::DecodeContext,
    ) -> Result<(), prost::DecodeError> {
        prost::encoding::skip_field(wire_type, tag, buffer, context)
    }

    fn encoded_len(&self) -> usize {
        self.0.len()
    }

    fn clear(&mut self) {
        self.0.clear();
    }
}
