//! What a volume went through: a clean stop, a copy put back, and what an attacker finds on it.

use crate::harness::Cluster;
use crate::harness::cluster::PATIENCE;
use crate::harness::keys::{kmsusers, make_everywhere, new_key};
use crate::harness::process::PodFiles;
use hsm_client::{KMS_USER, Session};
use hsm_initialization::Step;
use std::path::Path;
use std::time::{Duration, Instant};

/// So long an HSM waits at its start for a peer's answer; then it serves without, or a peer that is down would keep it from serving.
const PEERS_ARE_AWAITED: Duration = Duration::from_secs(3);

/// What an HSM says that does not serve because its volume is an older copy.
const WENT_BACK: &str = "this volume went back in time";

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_ends_a_pod_cleanly_and_it_comes_back_with_its_keys_and_a_new_incarnation() {
    let mut cluster = Cluster::active().await;
    let sessions = kmsusers(&cluster).await;
    let key_id = make_everywhere(&cluster, &sessions).await;
    cluster.kill(0);
    let process = cluster.pods[0].files.start();
    let before = cluster.pods[0].files.log_text();
    assert!(process.terminate().success());
    assert!(cluster.pods[0].files.log_text().len() > before.len(), "it says that it stops");
    cluster.start(0);
    let session = cluster.kmsuser(0).await;
    assert!(session.read_key(key_id).await.is_ok());
    assert_eq!(session.hsm_info().await.expect("reads").incarnation, 3);
}

/// INV-59.
#[tokio::test(flavor = "multi_thread")]
async fn a_volume_that_went_back_in_time_is_noticed_before_it_serves() {
    let mut cluster = Cluster::active().await;
    cluster.kill(0);
    let volume = cluster.pods[0].files.data().join("volume");
    let copy = cluster.pods[0].files.directory.join("copy");
    copy_directory(&volume, &copy);
    cluster.start(0);
    let user = cluster.kmsuser(0).await;
    let key = new_key(cluster.fence(&user).await);
    user.generate_key(&key).await.expect("generates");
    peers_learn_how_far_it_is(&user).await;
    cluster.kill(0);
    for _ in 0..5 {
        std::fs::remove_dir_all(&volume).expect("removes");
        copy_directory(&copy, &volume);
        match cluster.pods[0].files.start_against_peers() {
            Ok((status, said)) => {
                assert!(!status.success());
                assert!(said.contains(WENT_BACK), "{said}");
                return;
            }
            // On a busy machine both peers may be too slow. Before that, only their answers could let it serve.
            Err(served) => assert!(served >= PEERS_ARE_AWAITED, "it served after {served:?}"),
        }
    }
    panic!("the peers never answered in time");
}

/// INV-59: at its start the HSM asks where its peers were when the copy was made, and nobody is there. More is written on the copy than was
/// written after it, so that neither its peers' questions nor the next start may take it for the later one.
#[tokio::test(flavor = "multi_thread")]
async fn a_volume_that_went_back_stops_serving_once_its_peers_are_found_where_they_moved_to() {
    let mut cluster = Cluster::active().await;
    let fence = cluster.fence(&cluster.session(0).await).await;
    cluster.kill(0);
    let pod = cluster.pods[0].files.clone();
    let (volume, copy) = (pod.data().join("volume"), pod.directory.join("copy"));
    copy_directory(&volume, &copy);
    cluster.start(0);
    // Once both have answered it, it tells them all about itself, wherever they are.
    cluster.settled().await;
    cluster.relocate(1);
    cluster.relocate(2);
    cluster.drive().await;
    let user = cluster.kmsuser(0).await;
    user.generate_key(&new_key(fence)).await.expect("generates");
    peers_learn_how_far_it_is(&user).await;
    cluster.kill(0);
    std::fs::remove_dir_all(&volume).expect("removes");
    copy_directory(&copy, &volume);
    cluster.start(0);
    let user = cluster.kmsuser(0).await;
    for _ in 0..10 {
        user.generate_key(&new_key(fence)).await.expect("serves, for nobody who remembers can be asked");
    }
    peers_learn_how_far_it_is(&user).await;
    let (step, observed) = cluster.step().await;
    assert!(matches!(step, Step::SendRoster(_)), "{step:?}: {observed:#?}");
    ends(&pod).await;
    assert!(pod.log_text().contains(WENT_BACK), "{}", pod.log_text());
    cluster.kill(0);
    let (status, said) = pod.start_in_vain();
    assert!(!status.success() && said.contains(WENT_BACK), "it forgot: {said}");
    // What the message says to do.
    cluster.lose_volume(0);
    cluster.drive().await;
    cluster.kmsuser(0).await;
}

/// Waits until the process has ended by itself.
async fn ends(pod: &PodFiles) {
    let deadline = Instant::now() + PATIENCE;
    while tokio::net::TcpStream::connect(pod.client()).await.is_ok() {
        assert!(Instant::now() < deadline, "it goes on serving: {}", pod.log_text());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// In every round both peers ask this HSM how far it is and then greet it. Of three greetings one peer sent two, and before the second it
/// asked anew; the fourth is for the other peer, which usually takes its turn.
async fn peers_learn_how_far_it_is(session: &Session) {
    let wanted = greetings(session).await + 4;
    let deadline = Instant::now() + PATIENCE;
    while greetings(session).await < wanted {
        assert!(Instant::now() < deadline, "the peers do not greet");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn greetings(session: &Session) -> u64 {
    let commands = session.hsm_info().await.expect("reads").commands;
    let greetings = commands.iter().filter(|count| count.command == hsm_protocol::Command::PeerHello as u32);
    greetings.map(|count| count.succeeded).sum()
}

fn copy_directory(from: &Path, to: &Path) {
    std::fs::create_dir(to).expect("creates");
    for entry in std::fs::read_dir(from).expect("lists") {
        let entry = entry.expect("lists");
        std::fs::copy(entry.path(), to.join(entry.file_name())).expect("copies");
    }
}

/// INV-54, INV-55: no password, right or wrong, is on the volume or in the log.
#[tokio::test(flavor = "multi_thread")]
async fn no_password_is_found_on_the_volume_or_in_the_log() {
    const CANARY: &str = "CanaryPassword1";
    let mut cluster = Cluster::active().await;
    let user = cluster.kmsuser(0).await;
    assert!(user.login(KMS_USER, CANARY).await.is_err());
    cluster.kill(0);
    let mut seen = cluster.pods[0].files.log_text().into_bytes();
    let volume = cluster.pods[0].files.data().join("volume");
    for file in ["header", "store.redb", "counters"] {
        seen.extend(std::fs::read(volume.join(file)).expect("reads"));
    }
    let contains = |needle: &[u8]| seen.windows(needle.len()).any(|window| window == needle);
    assert!(!contains(CANARY.as_bytes()));
    assert!(!contains(cluster.kmsuser_password().as_bytes()));
    assert!(contains(b"logged in"), "the search finds what is there");
}
