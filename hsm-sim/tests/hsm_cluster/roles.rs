//! What each client certificate may do, and who gets in at all (D7, architecture "Roles of client certificates", T-09).

use crate::harness::Cluster;
use crate::harness::cluster::DIAL;
use crate::harness::keys::new_key;
use hsm_client::command::{KeySearch, NewUser, UserType};
use hsm_client::pki::{CertificateAuthority, ClientRole};
use hsm_client::{ClientIdentity, ConnectError, HsmError, KMS_USER, ReturnCode, Session};
use std::time::SystemTime;

/// A gateway certificate can neither log in, nor fence, nor manage, whatever it knows.
#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_certificate_can_neither_log_in_nor_fence_nor_manage() {
    let cluster = Cluster::active().await;
    let identity = cluster.identity(ClientRole::Gateway);
    let session = Session::connect(&cluster.endpoint(0).await, &identity, &cluster.anchor(), DIAL).await;
    let session = session.expect("may connect");
    let password = cluster.kmsuser_password();
    let user = NewUser {
        user: "intruder",
        user_type: UserType::Cu,
        password: "Password123",
        epoch: 1,
        op_id: [1; 16],
        fence: 0,
    };
    let search = KeySearch { limit: 1, ..KeySearch::default() };
    let outcomes = [
        session.login(KMS_USER, &password).await.map(drop),
        session.acquire_fence("gateway").await.map(drop),
        session.create_user(user).await,
        session.delete_user(KMS_USER, 0).await,
        session.user_info(KMS_USER).await.map(drop),
        session.list_users().await.map(drop),
        session.claim_cluster("cks-x", 0).await,
        session.register_delegates("cks-x", 1, &[[0; 32]], 0).await,
        session.drop_generation("cks-x", 1, 0).await.map(drop),
        session.generate_key(&new_key(0)).await.map(drop),
        session.find_keys(&search).await.map(drop),
        session.hsm_info().await.map(drop),
    ];
    for (number, outcome) in outcomes.into_iter().enumerate() {
        assert_eq!(outcome, Err(HsmError::Refused(ReturnCode::RoleDenied)), "command {number}");
    }
    let info = cluster.session(0).await.user_info(KMS_USER).await.expect("reads").expect("exists");
    assert_eq!(info.failures, 0, "a refused certificate spends no login attempt");
}

/// INV-68: an officer manages users and cannot use keys.
#[tokio::test(flavor = "multi_thread")]
async fn an_officer_cannot_use_keys_and_a_crypto_user_cannot_manage() {
    let cluster = Cluster::active().await;
    let (officer, user) = (cluster.officer(0).await, cluster.kmsuser(0).await);
    let fence = cluster.fence(&user).await;
    let key = new_key(fence);
    user.generate_key(&key).await.expect("generates");
    assert!(officer.generate_key(&new_key(fence)).await.is_err());
    assert!(officer.encrypt(key.key_id, b"x", b"").await.is_err());
    let denied = Err(HsmError::Refused(ReturnCode::RoleDenied));
    assert_eq!(user.delete_user("admin", fence).await, denied);
}

/// HSM-11: a certificate of another customer CA does not pass the outer layer.
#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_another_customer_ca_is_refused_in_the_outer_layer() {
    let cluster = Cluster::active().await;
    let now = SystemTime::now();
    let stranger = CertificateAuthority::generate_customer("cluster-other", now).expect("generates");
    let stranger = CertificateAuthority::load(&stranger.certificate, &stranger.key).expect("loads");
    let issued = stranger.issue_client(ClientRole::Controllers, "stranger", now).expect("issues");
    let identity = ClientIdentity::from_pem(&issued.certificate, &issued.key).expect("reads");
    let refused = Session::connect(&cluster.endpoint(0).await, &identity, &cluster.anchor(), DIAL).await;
    assert!(matches!(refused, Err(ConnectError::OuterTls(_))), "{:?}", refused.err());
}

/// HSM-10, HSM-13, T-12: each layer refuses what only it can see.
#[tokio::test(flavor = "multi_thread")]
async fn the_client_says_in_which_layer_it_did_not_recognise_the_hsm() {
    let cluster = Cluster::active().await;
    let identity = cluster.identity(ClientRole::Controllers);
    let (endpoint, anchor) = (cluster.endpoint(0).await, cluster.anchor());

    let mut unpinned = endpoint.clone();
    unpinned.host_certificate_fingerprint = [0; 32];
    let outer = Session::connect(&unpinned, &identity, &anchor, DIAL).await;
    assert!(matches!(outer, Err(ConnectError::OuterTls(_))), "{:?}", outer.err());

    let other = CertificateAuthority::generate_customer("cluster-other", SystemTime::now()).expect("generates");
    let other = hsm_client::TrustAnchor::parse(&other.certificate).expect("parses");
    let inner = Session::connect(&endpoint, &identity, &other, DIAL).await;
    assert!(matches!(inner, Err(ConnectError::InnerTls(_))), "{:?}", inner.err());

    // DNAT (T-12): another member of the same cluster answers at this address.
    let mut redirected = endpoint.clone();
    let actual = cluster.endpoint(1).await;
    redirected.address = actual.address;
    redirected.host_certificate_fingerprint = actual.host_certificate_fingerprint;
    let identity_mismatch = Session::connect(&redirected, &identity, &anchor, DIAL).await;
    assert!(matches!(identity_mismatch, Err(ConnectError::IdentityMismatch(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_hsm_that_is_down_is_a_tcp_failure() {
    let mut cluster = Cluster::active().await;
    let endpoint = cluster.endpoint(0).await;
    cluster.kill(0);
    let identity = cluster.identity(ClientRole::Controllers);
    let down = Session::connect(&endpoint, &identity, &cluster.anchor(), DIAL).await;
    assert!(matches!(down, Err(ConnectError::Tcp(_))));
}

/// D7: what is not a certificate of the operator CA with the provisioning role has no business on port 2224.
#[tokio::test(flavor = "multi_thread")]
async fn the_provisioning_listener_refuses_client_certificates_of_the_key_port() {
    let cluster = Cluster::active().await;
    let identity = cluster.identity(ClientRole::Controllers);
    let files = &cluster.pods[0].files;
    let operator_ca =
        cluster.custody.text(hsm_initialization::SecretName::Pods, hsm_initialization::custody::entry::OPERATOR_CA);
    let session =
        hsm_client::ProvisioningSession::connect(files.peer(), &files.pod_name, &operator_ca, &identity, DIAL).await;
    // In TLS 1.3 the refusal arrives after our side of the handshake is done.
    let refused = match session {
        Ok(session) => session.hello().await.is_err(),
        Err(_) => true,
    };
    assert!(refused);
}
