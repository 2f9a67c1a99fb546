//! What a volume went through: a clean stop, a copy put back, and what an attacker finds on it.

use crate::harness::Cluster;
use crate::harness::keys::{kmsusers, make_everywhere, new_key};
use hsm_client::KMS_USER;
use std::path::Path;
use std::time::Duration;

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
    // The peers hear of it in the next rounds.
    tokio::time::sleep(Duration::from_secs(6)).await;
    cluster.kill(0);
    std::fs::remove_dir_all(&volume).expect("removes");
    copy_directory(&copy, &volume);
    let (status, said) = cluster.pods[0].files.start_in_vain();
    assert!(!status.success());
    assert!(said.contains("this volume went back in time"), "{said}");
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
