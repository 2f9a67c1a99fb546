//! The nested TLS client against a scripted HSM in this process: version 1 certificates, wrong inner certificates,
//! and HSMs that do not prove who they are (T-09, T-12, HSM-10, HSM-13). TLS 1.2 needs no test: it is not compiled in.

mod scripted_hsm;
mod version_1;

use hsm_client::{ConnectError, Session};
use scripted_hsm::{Lineage, Script, ScriptedHsm};
use std::time::Duration;

const DIAL: Duration = Duration::from_secs(30);

async fn connect(lineage: &Lineage, hsm: &ScriptedHsm) -> Result<Session, ConnectError> {
    Session::connect(&hsm.endpoint(), &lineage.client(), &lineage.anchor(), DIAL).await
}

#[tokio::test]
async fn a_cluster_certificate_of_version_3_or_1_is_accepted_when_the_anchor_issued_it() {
    let lineage = Lineage::new();
    for certificate in [lineage.cluster_certificate(), version_1::downgrade(&lineage.cluster_certificate(), &lineage)] {
        let hsm = ScriptedHsm::start(&lineage, Script { cluster_certificate: certificate, ..Script::honest() }).await;
        let session = connect(&lineage, &hsm).await.expect("connects");
        assert_eq!(session.identity().hsm_id, hsm.endpoint().hsm_id);
    }
}

/// The outer layer passes in each case: only the inner one can tell.
#[tokio::test]
async fn a_wrong_inner_certificate_is_refused_although_the_outer_one_passes() {
    let (lineage, other) = (Lineage::new(), Lineage::new());
    let foreign = lineage.certify_with(&other);
    for certificate in [foreign.clone(), version_1::downgrade(&foreign, &other)] {
        let hsm = ScriptedHsm::start(&lineage, Script { cluster_certificate: certificate, ..Script::honest() }).await;
        let refused = connect(&lineage, &hsm).await;
        assert!(matches!(refused, Err(ConnectError::InnerTls(_))), "{:?}", refused.err());
        assert!(!hsm.saw_a_command(), "INV-65");
    }
}

/// A version 1 certificate that names the anchor as issuer but was signed by someone else.
#[tokio::test]
async fn a_version_1_certificate_with_a_borrowed_issuer_name_is_refused() {
    let (lineage, other) = (Lineage::new(), Lineage::new());
    let certificate = version_1::downgrade(&lineage.cluster_certificate(), &other);
    let hsm = ScriptedHsm::start(&lineage, Script { cluster_certificate: certificate, ..Script::honest() }).await;
    assert!(matches!(connect(&lineage, &hsm).await, Err(ConnectError::InnerTls(_))));
}

/// The right certificate without its key: anyone may have seen it.
#[tokio::test]
async fn a_cluster_certificate_without_its_key_is_refused() {
    let lineage = Lineage::new();
    for certificate in [lineage.cluster_certificate(), version_1::downgrade(&lineage.cluster_certificate(), &lineage)] {
        let script = Script { cluster_certificate: certificate, other_inner_key: true, ..Script::honest() };
        let hsm = ScriptedHsm::start(&lineage, script).await;
        assert!(matches!(connect(&lineage, &hsm).await, Err(ConnectError::InnerTls(_))));
    }
}

/// INV-01: an HSM that does not sign for *this* session is not that HSM.
#[tokio::test]
async fn a_hello_signed_for_another_session_or_by_another_key_is_no_proof() {
    let lineage = Lineage::new();
    for script in [
        Script { sign_for_another_session: true, ..Script::for_lineage(&lineage) },
        Script { sign_with_another_key: true, ..Script::for_lineage(&lineage) },
    ] {
        let hsm = ScriptedHsm::start(&lineage, script).await;
        let refused = connect(&lineage, &hsm).await;
        assert!(matches!(refused, Err(ConnectError::Hello(_))), "{:?}", refused.err());
    }
}

/// INV-01, T-12: id, zone and identity key are all compared with what the operator recorded.
#[tokio::test]
async fn an_hsm_of_another_id_zone_or_identity_key_is_not_the_one_expected() {
    let lineage = Lineage::new();
    let hsm = ScriptedHsm::start(&lineage, Script::for_lineage(&lineage)).await;
    let mut expected = [hsm.endpoint(), hsm.endpoint(), hsm.endpoint()];
    expected[0].hsm_id = "hsm-other".into();
    expected[1].availability_zone = "local-1x".into();
    expected[2].identity_fingerprint = [0; 32];
    for endpoint in expected {
        let refused = Session::connect(&endpoint, &lineage.client(), &lineage.anchor(), DIAL).await;
        assert!(matches!(refused, Err(ConnectError::IdentityMismatch(_))), "{endpoint:?}");
    }
}

/// A peer that accepts and then says nothing costs each phase its own limit and no more.
#[tokio::test]
async fn a_silent_peer_times_out_in_the_phase_it_is_silent_in() {
    let lineage = Lineage::new();
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let hsm = ScriptedHsm::start(&lineage, Script::for_lineage(&lineage)).await;
    let mut endpoint = hsm.endpoint();
    endpoint.address = silent.local_addr().expect("has one");
    // The phase before, the TCP connection, has the same limit and must keep it also on a busy machine.
    let limit = Duration::from_secs(1);
    let begun = std::time::Instant::now();
    let refused = Session::connect(&endpoint, &lineage.client(), &lineage.anchor(), limit).await;
    let Err(ConnectError::OuterTls(error)) = refused else { panic!("{:?}", refused.err()) };
    assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
    assert!(begun.elapsed() < Duration::from_secs(20));
}
