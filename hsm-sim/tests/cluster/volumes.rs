//! Volumes as a pod finds them: foreign, damaged, in use, rolled back.

use hsm_client::ReturnCode;

use crate::harness::{Cluster, code, new_key};

/// Starts a pod that must refuse, and returns what it says.
fn refusal(cluster: &mut Cluster, number: usize) -> String {
    let pod = &mut cluster.pods[number];
    let before = pod.log().len();
    pod.spawn();
    assert!(!pod.wait().success());
    pod.log()[before..].to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_with_the_wrong_share_the_wrong_volume_or_a_damaged_one_refuses_and_says_what_to_do() {
    let mut cluster = Cluster::active().await;
    cluster.kms_user(0).await.generate_key(&new_key(1)).await.unwrap();
    cluster.pods[0].kill();
    cluster.pods[1].kill();

    cluster.pods[0].write("share", &[1; 32]);
    assert!(refusal(&mut cluster, 0).contains("the sealing share is not the one it was made with"));
    cluster.pods[0].write("share", &[1; 7]);
    assert!(refusal(&mut cluster, 0).contains("it has 7 bytes and must have 32"));
    cluster.pods[0].write("share", &[42; 32]);

    let (own, aside) = (cluster.pods[0].data().join("volume"), cluster.pods[0].directory.join("aside"));
    std::fs::rename(&own, &aside).unwrap();
    std::fs::rename(cluster.pods[1].data().join("volume"), &own).unwrap();
    assert!(refusal(&mut cluster, 0).contains("it belongs to pod cluster-aaaaaaaaaaaaaaaa-1"));
    std::fs::remove_dir_all(&own).unwrap();
    std::fs::rename(&aside, &own).unwrap();

    let path = own.join("header");
    let header = std::fs::read(&path).unwrap();
    std::fs::write(&path, &header[1..]).unwrap();
    assert!(refusal(&mut cluster, 0).contains("delete this pod's volume claim"));
    std::fs::write(&path, &header).unwrap();

    cluster.pods[0].start();
    let user = cluster.kms_user(0).await;
    assert!(user.read_key(new_key(1).key_id).await.is_ok(), "nothing was changed by the refusals");
}

/// INV-73.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_process_on_a_volume_is_refused_while_the_first_runs() {
    let mut cluster = Cluster::blank();
    let mut second = crate::pod::Pod::new(&cluster.pods[0].directory, "second", [127, 0, 0, 1]);
    second.name.clone_from(&cluster.pods[0].name);
    second.directory.clone_from(&cluster.pods[0].directory);
    second.spawn();
    assert!(!second.wait().success());
    assert!(second.log().contains("another process uses it"));
    cluster.pods[0].kill();
    cluster.pods[0].start();
}

/// INV-59.
#[tokio::test(flavor = "multi_thread")]
async fn a_volume_that_went_back_in_time_is_noticed_before_it_serves() {
    let mut cluster = Cluster::active().await;
    cluster.pods[0].kill();
    let (volume, copy) = (cluster.pods[0].data().join("volume"), cluster.pods[0].directory.join("copy"));
    copy_directory(&volume, &copy);
    cluster.pods[0].start();
    cluster.kms_user(0).await.generate_key(&new_key(1)).await.unwrap();
    // The peers are told the sequence in the next rounds.
    tokio::time::sleep(std::time::Duration::from_secs(5)).await;
    cluster.pods[0].kill();
    std::fs::remove_dir_all(&volume).unwrap();
    copy_directory(&copy, &volume);
    assert!(refusal(&mut cluster, 0).contains("this volume went back in time"));
}

fn copy_directory(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir(to).expect("creates");
    for entry in std::fs::read_dir(from).expect("lists") {
        let entry = entry.expect("lists");
        std::fs::copy(entry.path(), to.join(entry.file_name())).expect("copies");
    }
}

/// INV-54, INV-56: neither a key nor a password is in the clear on the volume or in the log.
#[tokio::test(flavor = "multi_thread")]
async fn no_password_is_found_on_the_volume_or_in_the_log() {
    let mut cluster = Cluster::active().await;
    let user = cluster.kms_user(0).await;
    assert_eq!(code(user.login("kmsuser", "Canarypassword1").await), Some(ReturnCode::LoginFailure));
    cluster.pods[0].kill();
    let mut seen = cluster.pods[0].log().into_bytes();
    for file in ["header", "store.redb", "counters"] {
        seen.extend(std::fs::read(cluster.pods[0].data().join("volume").join(file)).unwrap());
    }
    let contains = |needle: &[u8]| seen.windows(needle.len()).any(|window| window == needle);
    for secret in ["Canarypassword1", crate::harness::KMS_PASSWORD, crate::harness::OFFICER_PASSWORD] {
        assert!(!contains(secret.as_bytes()), "{secret}");
    }
    assert!(contains(b"logged in"), "the search finds what is there");
}
