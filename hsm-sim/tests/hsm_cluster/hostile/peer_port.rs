//! Port 2224: two protocols behind one listener, each with its own idea of who may speak it (D7, T-15).

use super::Target;
use super::intruder::{Forge, Papers, Raw, layer, wrap};
use crate::harness::cluster::PATIENCE;
use hsm_client::pki::ClientRole;
use hsm_initialization::{RosterDue, Step};
use hsm_protocol::labels::{ALPN_PEER, ALPN_PROVISIONING};
use hsm_protocol::message::{PeerHelloRequest, ProvisioningHelloRequest};
use hsm_protocol::{Command, FrameHeader, FrameKind, ReturnCode};
use rcgen::KeyPair;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;

/// What the HSM says to the first command of either protocol.
async fn answers(address: SocketAddr, papers: Option<&Papers>, protocols: &[&[u8]]) -> [io::Result<ReturnCode>; 2] {
    let connect = || async {
        Ok::<_, io::Error>(Raw::over(wrap(TcpStream::connect(address).await?, layer(papers, protocols)).await?))
    };
    let provisioning = async { connect().await?.call(&ProvisioningHelloRequest::default()).await };
    let peer = async { connect().await?.call(&PeerHelloRequest::default()).await };
    [provisioning.await, peer.await]
}

pub(super) async fn it_speaks_to_the_operator_and_to_signed_members_only(target: &Target) {
    let cluster = &target.cluster;
    let address = cluster.pods[0].files.peer();
    let (customer, operator) = (Forge::customer(cluster), Forge::operator(cluster));
    let good = operator.role(ClientRole::Provisioning);
    let control = answers(address, Some(&good), &[ALPN_PROVISIONING]).await;
    assert!(matches!(control[0], Ok(ReturnCode::Success)), "the control: {control:?}");
    let stranger = KeyPair::generate().expect("key");
    let self_signed = super::intruder::good().self_signed(&stranger).expect("signs").der().clone();
    let self_signed = Papers::new(vec![self_signed], &stranger);
    let table: Vec<(&str, Option<Papers>)> = vec![
        ("no certificate", None),
        ("self-signed", Some(self_signed)),
        ("the controllers' of the customer CA", Some(customer.role(ClientRole::Controllers))),
        ("a gateway's of the customer CA", Some(customer.role(ClientRole::Gateway))),
        ("the provisioning role of the customer CA", Some(customer.role(ClientRole::Provisioning))),
        ("the controllers' role of the operator CA", Some(operator.role(ClientRole::Controllers))),
        ("the operator CA itself", Some(operator.itself())),
        ("a pod's", Some(Forge::pod(cluster).itself())),
    ];
    let protocols: [&[&[u8]]; 5] = [&[ALPN_PROVISIONING], &[ALPN_PEER], &[ALPN_PEER, ALPN_PROVISIONING], &[b"h2"], &[]];
    for (what, papers) in &table {
        for offered in protocols {
            for answer in answers(address, papers.as_ref(), offered).await {
                assert!(answer.is_err(), "{what}, offering {offered:?}: {answer:?}");
            }
        }
        target.still_serves(what).await;
    }
    // The right certificate for the wrong protocol, for an unknown one, and for none.
    for offered in &protocols[1..] {
        for answer in answers(address, Some(&good), offered).await {
            assert!(answer.is_err(), "the operator, offering {offered:?}: {answer:?}");
        }
    }
}

/// D7: the provisioning listener knows nothing about keys, users or peers.
pub(super) async fn the_provisioning_protocol_reaches_no_key_user_or_peer(target: &Target) {
    let cluster = &target.cluster;
    let good = Forge::operator(cluster).role(ClientRole::Provisioning);
    let stream = TcpStream::connect(cluster.pods[0].files.peer()).await.expect("connects");
    let mut raw = Raw::over(wrap(stream, layer(Some(&good), &[ALPN_PROVISIONING])).await.expect("one layer"));
    let foreign: Vec<_> = Command::ALL.iter().filter(|command| (**command as u16) & 0xff00 != 0x0600).collect();
    let (commands, frames) = (target.counted("command").await, target.counted("frame").await);
    for command in &foreign {
        assert_eq!(raw.send(**command, &()).await.expect("answers"), ReturnCode::UnknownCommand, "{command:?}");
    }
    let unknown =
        FrameHeader { body_length: 0, kind: FrameKind::Request, command: 0x0608, request_id: 1, word: 0 }.encode();
    raw.write(&unknown).await.expect("writes");
    assert_eq!(raw.answer().await.expect("answers"), ReturnCode::UnknownCommand);
    assert_eq!(target.counted("command").await - commands, foreign.len() + 1, "each is counted as a refusal");
    for command in [Command::Csr, Command::Initialize, Command::Assign, Command::SetRoster] {
        let code = raw.send(command, &()).await.expect("answers");
        assert_ne!(code, ReturnCode::Success, "{command:?} on an active HSM, without a signed statement");
    }
    raw.write(b"GET / HTTP/1.1\r\nHost: hsm\r\n\r\n").await.expect("writes");
    assert!(raw.answer().await.is_err(), "it hangs up");
    assert_eq!(target.counted("frame").await - frames, 1, "it is counted as a refusal");
    target.still_serves("the provisioning protocol").await;
}

/// P7: an HSM's session outlives its place on the roster, its say does not. It keeps one open session to each of its peers.
pub(super) async fn a_peer_that_was_struck_off_the_roster_is_refused_what_it_asks(target: &Target) {
    let cluster = &target.cluster;
    cluster.settled().await;
    let observed = cluster.observe().await;
    let (asked, struck) = (&observed.hsms[0], observed.hsms[1].endpoint().expect("is a member").hsm_id);
    let version = asked.volume.as_ref().expect("answers").roster_version + 1;
    let members = observed.members().into_iter().filter(|member| member.hsm_id != struck).collect();
    let roster = RosterDue { version, members, pods: vec![asked.pod.pod_name.clone()] };
    cluster.procedure().perform(&observed, &Step::SendRoster(roster)).await.expect("takes the roster");
    let files = &cluster.pods[0].files;
    let deadline = Instant::now() + PATIENCE;
    let line = loop {
        let log = files.log_text();
        if let Some(line) = log.lines().find(|line| line.contains("the roster does not list the peer")) {
            break line.to_owned();
        }
        assert!(Instant::now() < deadline, "it was not told of: {log}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert!(line.contains(r#""refused":"command""#) && line.contains(r#""peer":""#), "{line}");
    target.still_serves("a struck-off peer").await;
}
