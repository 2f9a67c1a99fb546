//! Clients that are not ours: wrong certificates, broken handshakes, layers in the wrong order, commands out of turn
//! (T-09, INV-65). None of them is answered, after each of them a good client is served, and the HSM tells of them all.

mod certificates;
mod handshakes;
mod intruder;
mod order;
mod peer_port;

use crate::harness::Cluster;
use crate::harness::cluster::DIAL;
use hsm_client::pki::ClientRole;
use hsm_client::{ClientIdentity, HsmEndpoint, KMS_USER, Session, TrustAnchor};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Port of the metrics.
const ADMIN_PORT: u16 = 9090;

/// A cluster under attack, and the good client that must not suffer from it.
struct Target {
    cluster: Cluster,
    endpoint: HsmEndpoint,
    identity: ClientIdentity,
    anchor: TrustAnchor,
}

impl Target {
    async fn new() -> Self {
        let cluster = Cluster::active().await;
        let (endpoint, anchor) = (cluster.endpoint(0).await, cluster.anchor());
        Self { identity: cluster.identity(ClientRole::Controllers), endpoint, anchor, cluster }
    }

    /// The good client is served, and nobody has spent a login attempt of `kmsuser`.
    async fn still_serves(&self, after: &str) {
        let session = Session::connect(&self.endpoint, &self.identity, &self.anchor, DIAL).await;
        let session = session.unwrap_or_else(|error| panic!("after {after}: {error}"));
        let user = session.user_info(KMS_USER).await.unwrap_or_else(|error| panic!("after {after}: {error}"));
        assert_eq!(user.expect("exists").failures, 0, "after {after}");
    }

    /// How many refusals of this kind the HSM has counted.
    async fn counted(&self, kind: &str) -> usize {
        let mut stream = TcpStream::connect((self.cluster.pods[0].files.address, ADMIN_PORT)).await.expect("connects");
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: hsm\r\nConnection: close\r\n\r\n").await.expect("asks");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("answers");
        let series = format!(r#"hsm_refusals_total{{refused="{kind}"}} "#);
        let count = answer.lines().find_map(|line| line.strip_prefix(&series)?.trim().parse::<usize>().ok());
        count.unwrap_or_else(|| panic!("no {series}in {answer}"))
    }

    /// Of each of these kinds there is a line in the log, and none without a reason; the counter knows of more, because the log is bounded.
    async fn has_told_of(&self, kinds: &[&str]) {
        let log = self.cluster.pods[0].files.log_text();
        for kind in kinds {
            let field = format!(r#""refused":"{kind}""#);
            let lines: Vec<&str> = log.lines().filter(|line| line.contains(&field)).collect();
            for line in &lines {
                let why = line.split(r#""why":""#).nth(1).and_then(|rest| rest.split('"').next());
                assert!(why.is_some_and(|why| !why.is_empty()), "without a reason: {line}");
            }
            let counted = self.counted(kind).await;
            assert!((1..=counted).contains(&lines.len()), "{kind}: {} lines of {counted}", lines.len());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_without_the_right_certificate_in_the_right_layer_gets_an_answer() {
    let target = Target::new().await;
    certificates::only_a_certificate_of_the_customer_ca_with_a_role_is_answered(&target).await;
    handshakes::what_is_no_handshake_of_tls_1_3_is_not_answered_in_either_layer(&target).await;
    handshakes::a_handshake_that_is_changed_on_its_way_is_not_finished(&target).await;
    handshakes::a_missing_doubled_or_swapped_layer_is_not_answered(&target).await;
    peer_port::it_speaks_to_the_operator_and_to_signed_members_only(&target).await;
    target.has_told_of(&["handshake"]).await;
    // More than there are of any one sort above.
    assert!(target.counted("handshake").await >= 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gets_more_than_its_turn_its_role_and_its_login_allow() {
    let target = Target::new().await;
    handshakes::a_login_relayed_from_another_outer_session_is_refused_and_costs_no_attempt(&target).await;
    order::nothing_is_answered_before_hello_and_a_second_hello_is_refused(&target).await;
    order::keys_and_users_are_out_of_reach_before_login_and_after_logout(&target).await;
    order::commands_of_the_other_port_and_unknown_ones_do_nothing_on_this_one(&target).await;
    order::a_gateway_uses_no_key_without_a_live_delegation_and_commands_nothing(&target).await;
    order::frames_that_are_no_requests_end_the_session(&target).await;
    peer_port::the_provisioning_protocol_reaches_no_key_user_or_peer(&target).await;
    // Last, because it takes the fence from everybody else.
    order::a_fence_that_is_not_the_last_one_changes_nothing(&target).await;
    target.has_told_of(&["command", "delegation", "signature", "frame"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gets_an_answer_who_was_a_peer_and_is_none_any_more() {
    let target = Target::new().await;
    peer_port::a_peer_that_was_struck_off_the_roster_is_refused_what_it_asks(&target).await;
    target.has_told_of(&["command"]).await;
}
