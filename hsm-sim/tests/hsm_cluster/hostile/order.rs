//! Commands out of turn, over good layers: before Hello, before Login, by the wrong role, after the end of what they
//! need (INV-65, INV-68, D12, P5).

use super::Target;
use super::intruder::{Forge, Raw, nested};
use crate::harness::Cluster;
use crate::harness::cluster::DIAL;
use crate::harness::keys::{kmsusers, make_everywhere};
use hsm_client::pki::ClientRole;
use hsm_client::{ClientIdentity, KMS_USER, KeyId, Session};
use hsm_protocol::message as m;
use hsm_protocol::{Command, FrameHeader, FrameKind, ReturnCode};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

type Wire = Raw<TlsStream<TlsStream<TcpStream>>>;

const STORE: &str = "cks-1234567890abcdef0";

/// A good connection in this role that has not said anything.
async fn silent(cluster: &Cluster, role: ClientRole) -> Wire {
    let papers = Forge::customer(cluster).role(role);
    nested(cluster.pods[0].files.client(), Some(&papers)).await.expect("both layers")
}

/// The same after Hello.
async fn greeted(cluster: &Cluster, role: ClientRole) -> Wire {
    let mut wire = silent(cluster, role).await;
    assert_eq!(wire.hello().await.expect("answers"), ReturnCode::Success);
    wire
}

async fn log_in(cluster: &Cluster, wire: &mut Wire) {
    let login = m::LoginRequest {
        user: KMS_USER.into(),
        password: cluster.kmsuser_password().to_string(),
        outer_exporter: wire.outer_exporter.to_vec(),
    };
    assert_eq!(wire.call(&login).await.expect("answers"), ReturnCode::Success);
}

fn is_client_command(command: Command) -> bool {
    (command as u16) < Command::ProvisioningHello as u16
}

/// One request that uses a key.
fn encrypt(key: KeyId) -> m::EncryptRequest {
    m::EncryptRequest { key_id: key.0.to_vec(), plaintext: b"x".to_vec(), encryption_context: vec![] }
}

pub(super) async fn nothing_is_answered_before_hello_and_a_second_hello_is_refused(target: &Target) {
    let cluster = &target.cluster;
    let (before, mut count) = (target.counted("command").await, 0);
    for role in [ClientRole::Controllers, ClientRole::Gateway, ClientRole::Owner] {
        let mut wire = silent(cluster, role).await;
        for command in Command::ALL.iter().filter(|command| **command != Command::Hello) {
            let code = wire.send(*command, &()).await.expect("answers");
            assert!(matches!(code, ReturnCode::WrongState | ReturnCode::RoleDenied), "{role:?} {command:?}: {code:?}");
            count += 1;
        }
        assert_eq!(
            wire.call(&m::HelloRequest { client_nonce: vec![7; 15] }).await.expect("answers"),
            ReturnCode::InvalidArgument
        );
        let told = wire.call(&m::HsmInfoRequest {}).await.expect("answers");
        assert_ne!(told, ReturnCode::Success, "a failed Hello is none");
        assert_eq!(wire.hello().await.expect("answers"), ReturnCode::Success);
        for _ in 0..2 {
            assert_eq!(wire.hello().await.expect("answers"), ReturnCode::WrongState, "{role:?}");
        }
    }
    assert!(count >= 50, "{count}");
    assert!(target.counted("command").await - before >= count, "each is counted as a refusal");
    target.still_serves("commands before Hello").await;
}

pub(super) async fn keys_and_users_are_out_of_reach_before_login_and_after_logout(target: &Target) {
    let cluster = &target.cluster;
    let key = make_everywhere(cluster, &kmsusers(cluster).await).await;
    let mut wire = greeted(cluster, ClientRole::Controllers).await;
    for round in ["before Login", "after Logout"] {
        let (id, before) = (|| key.0.to_vec(), target.counted("command").await);
        let codes = [
            wire.call(&encrypt(key)).await,
            wire.call(&m::DecryptRequest { blob: blob_of(key), encryption_context: vec![] }).await,
            wire.call(&m::GenerateDataKeyRequest { key_id: id(), length: 32, ..Default::default() }).await,
            wire.call(&m::ReadKeyRequest { key_id: id() }).await,
            wire.call(&m::FindKeysRequest { limit: 1, ..Default::default() }).await,
            wire.call(&m::GenerateKeyRequest { key_id: vec![9; 16], op_id: vec![9; 16], ..Default::default() }).await,
            wire.call(&m::ExtractMaskedKeyRequest { key_id: id() }).await,
            wire.call(&m::InsertMaskedKeyRequest { masked: vec![1; 200], fence: 1 }).await,
            wire.call(&m::SetKeyStateRequest { key_id: id(), enabled: false, version: 2, fence: 1 }).await,
            wire.call(&m::CreateUserRequest {
                user: "x".into(),
                password: "Password123".into(),
                epoch: 1,
                op_id: vec![1; 16],
                ..Default::default()
            })
            .await,
            wire.call(&m::DeleteUserRequest { user: KMS_USER.into(), fence: 1 }).await,
            wire.call(&m::RegisterDelegatesRequest {
                store_id: STORE.into(),
                generation: 1,
                client_spki_sha256: vec![vec![1; 32]],
                fence: 1,
            })
            .await,
        ];
        let asked = codes.len();
        for (number, code) in codes.into_iter().enumerate() {
            assert_eq!(code.expect("answers"), ReturnCode::NotLoggedIn, "{round}: command {number}");
        }
        assert_eq!(target.counted("command").await - before, asked, "{round}: each is counted as a refusal");
        log_in(cluster, &mut wire).await;
        assert_eq!(wire.call(&encrypt(key)).await.expect("answers"), ReturnCode::Success, "the control");
        assert_eq!(wire.call(&m::LogoutRequest {}).await.expect("answers"), ReturnCode::Success);
    }
    target.still_serves("commands without a login").await;
}

/// A blob that names the key; whether it opens does not matter here.
fn blob_of(key: KeyId) -> Vec<u8> {
    let header = hsm_protocol::BlobHeader::new(key, [1; 16], [2; 16]);
    [&header.encode()[..], &[0; 40]].concat()
}

pub(super) async fn commands_of_the_other_port_and_unknown_ones_do_nothing_on_this_one(target: &Target) {
    let cluster = &target.cluster;
    let (before, mut count) = (target.counted("command").await, 0);
    for (role, expected) in
        [(ClientRole::Controllers, ReturnCode::UnknownCommand), (ClientRole::Gateway, ReturnCode::RoleDenied)]
    {
        let mut wire = greeted(cluster, role).await;
        for command in Command::ALL.iter().filter(|command| !is_client_command(**command)) {
            assert_eq!(wire.send(*command, &()).await.expect("answers"), expected, "{role:?} {command:?}");
            count += 1;
        }
        for number in [0, 1, 0x0100, 0x0208, 0x0505, 0x0608, 0xffff] {
            let header =
                FrameHeader { body_length: 0, kind: FrameKind::Request, command: number, request_id: 1, word: 0 };
            wire.write(&header.encode()).await.expect("writes");
            assert_eq!(wire.answer().await.expect("answers"), ReturnCode::UnknownCommand, "{number:#x}");
            count += 1;
        }
    }
    assert_eq!(target.counted("command").await - before, count, "each is counted as a refusal");
    target.still_serves("foreign commands").await;
}

pub(super) async fn a_gateway_uses_no_key_without_a_live_delegation_and_commands_nothing(target: &Target) {
    let cluster = &target.cluster;
    let sessions = kmsusers(cluster).await;
    let key = make_everywhere(cluster, &sessions).await;
    let gateway = cluster.identity(ClientRole::Gateway);
    register(cluster, &sessions[0], 1, &gateway).await;
    register(cluster, &sessions[0], 2, &gateway).await;
    let fence = cluster.fence(&sessions[0]).await;
    sessions[0].drop_generation(STORE, 1, fence).await.expect("drops");

    let mut wire = greeted(cluster, ClientRole::Gateway).await;
    let open = |store: &str, generation| m::OpenDelegationRequest { store_id: store.into(), generation };
    assert_eq!(wire.call(&encrypt(key)).await.expect("answers"), ReturnCode::NotLoggedIn, "before OpenDelegation");
    // Its certificate's key is in no generation; the dropped, the future and the foreign ones look the same.
    for (store, generation) in
        [(STORE, 0), (STORE, 1), (STORE, 2), (STORE, 3), (STORE, u64::MAX), ("cks-other", 2), ("", 2)]
    {
        let code = wire.call(&open(store, generation)).await.expect("answers");
        assert_eq!(code, ReturnCode::DelegationNotLive, "{store} {generation}");
        assert_eq!(wire.call(&encrypt(key)).await.expect("answers"), ReturnCode::NotLoggedIn);
    }
    let commanded = Command::ALL.iter().filter(|command| is_client_command(**command) && (**command as u16) < 0x0500);
    for command in
        commanded.filter(|command| !matches!(command, Command::Hello | Command::OpenDelegation | Command::ReadKey))
    {
        assert_eq!(wire.send(*command, &()).await.expect("answers"), ReturnCode::RoleDenied, "{command:?}");
    }
    let live = Session::connect(&target.endpoint, &gateway, &target.anchor, DIAL).await;
    let live = live.expect("connects");
    assert!(live.open_delegation(STORE, 1).await.is_err(), "a dropped generation");
    live.open_delegation(STORE, 2).await.expect("the control");
    live.encrypt(key, b"x", b"").await.expect("the control");
    target.still_serves("an eager gateway").await;
}

async fn register(cluster: &Cluster, session: &Session, generation: u64, gateway: &ClientIdentity) {
    let fence = cluster.fence(session).await;
    let delegates = [gateway.public_key_fingerprint()];
    session.register_delegates(STORE, generation, &delegates, fence).await.expect("registers");
}

/// P5: the fence of a deposed leader, none, and one that nobody has.
pub(super) async fn a_fence_that_is_not_the_last_one_changes_nothing(target: &Target) {
    let cluster = &target.cluster;
    let mut wire = greeted(cluster, ClientRole::Controllers).await;
    log_in(cluster, &mut wire).await;
    let own = m::AcquireFenceRequest { holder: "test".into() };
    assert_eq!(wire.call(&own).await.expect("answers"), ReturnCode::Success);
    assert_eq!(wire.call(&own).await.expect("answers"), ReturnCode::Success);
    let session = cluster.session(0).await;
    let last = session.acquire_fence("test").await.expect("a fence");
    for fence in [0, 1, last - 1, last + 1, u64::MAX] {
        let claim = m::ClaimClusterRequest { holder: STORE.into(), fence };
        assert_eq!(wire.call(&claim).await.expect("answers"), ReturnCode::FenceTooLow, "{fence}");
        let drop = m::DropGenerationRequest { store_id: STORE.into(), generation: 1, fence };
        assert_eq!(wire.call(&drop).await.expect("answers"), ReturnCode::FenceTooLow, "{fence}");
        let state = m::RegisterDelegatesRequest {
            store_id: STORE.into(),
            generation: 1,
            client_spki_sha256: vec![vec![1; 32]],
            fence,
        };
        assert_eq!(wire.call(&state).await.expect("answers"), ReturnCode::FenceTooLow, "{fence}");
    }
    let claim = m::ClaimClusterRequest { holder: STORE.into(), fence: last };
    assert_eq!(wire.call(&claim).await.expect("answers"), ReturnCode::Success, "the control");
    target.still_serves("old fences").await;
}

/// What is no request ends the session at once, and that session only.
pub(super) async fn frames_that_are_no_requests_end_the_session(target: &Target) {
    let cluster = &target.cluster;
    let header = |kind| FrameHeader { body_length: 0, kind, command: 0x0102, request_id: 1, word: 0 }.encode();
    let mut version = header(FrameKind::Request);
    version[4] = 2;
    let mut kind = header(FrameKind::Request);
    kind[5] = 7;
    let mut length = header(FrameKind::Request);
    length[..4].copy_from_slice(&u32::MAX.to_be_bytes());
    let before = target.counted("frame").await;
    for (number, (what, bytes)) in (1..).zip([
        ("an answer", header(FrameKind::Response)),
        ("another version", version),
        ("an unknown kind", kind),
        ("a length beyond the limit", length),
        ("HTTP", *b"GET / HTTP/1.1\r\nHost"),
    ]) {
        let mut wire = greeted(cluster, ClientRole::Controllers).await;
        wire.write(&bytes).await.expect("writes");
        assert!(wire.answer().await.is_err(), "{what}");
        assert_eq!(target.counted("frame").await - before, number, "{what}: it is counted as a refusal");
        target.still_serves(what).await;
    }
    let mut wire = greeted(cluster, ClientRole::Controllers).await;
    for command in Command::ALL.iter().filter(|command| is_client_command(**command) && **command != Command::Hello) {
        let body = m::ReadKeyRequest { key_id: vec![0xff; 40] };
        let code = wire.send(*command, &body).await.expect("answers");
        assert_ne!(code, ReturnCode::Internal, "{command:?}");
    }
}
