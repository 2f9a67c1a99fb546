//! Volumes that must not be served from: damaged, foreign, or in use (INV-09, INV-10, INV-58, INV-73).

use crate::harness::Cluster;
use crate::harness::keys::{kmsusers, make_everywhere};
use crate::harness::network::three_addresses;
use std::path::{Path, PathBuf};

/// What may happen to a file, and the file afterwards; `None` = gone.
type Damage = (&'static str, fn(&[u8]) -> Option<Vec<u8>>);

const DAMAGES: [Damage; 4] = [
    ("half of it is overwritten", |sound| {
        let mut bytes = sound.to_vec();
        bytes[..sound.len() / 2].fill(0xa5);
        Some(bytes)
    }),
    ("it is cut in half", |sound| Some(sound[..sound.len() / 2].to_vec())),
    ("it is empty", |_| Some(Vec::new())),
    ("it is gone", |_| None),
];

fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).expect("lists").map(|entry| entry.expect("reads").path());
    entries.filter(|path| path.is_file()).collect()
}

/// INV-10: every file of the volume, damaged in every way, ends the process with a message that names the volume; the
/// sound file serves again, so refusing has changed nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_volume_is_refused_with_a_message_and_left_as_it_is() {
    let mut cluster = Cluster::active().await;
    let key_id = make_everywhere(&cluster, &kmsusers(&cluster).await).await;
    cluster.kill(0);
    let pod = cluster.pods[0].files.clone();
    let files = files(&pod.data().join("volume"));
    assert!(files.len() >= 3, "{files:?}");
    for path in files {
        let sound = std::fs::read(&path).expect("reads");
        for (what, damage) in DAMAGES {
            match damage(&sound) {
                Some(bytes) => std::fs::write(&path, bytes).expect("damages"),
                None => std::fs::remove_file(&path).expect("removes"),
            }
            let (status, said) = pod.start_in_vain();
            assert!(!status.success() && said.contains("volume"), "{}: {what}: {said}", path.display());
            std::fs::write(&path, &sound).expect("repairs");
        }
    }
    cluster.start(0);
    cluster.kmsuser(0).await.read_key(key_id).await.expect("is there");
}

/// INV-58: a volume is bound to the cluster's sealing share.
#[tokio::test(flavor = "multi_thread")]
async fn a_volume_does_not_open_with_another_clusters_sealing_share() {
    let mut cluster = Cluster::active().await;
    cluster.kill(0);
    let pod = cluster.pods[0].files.clone();
    let share = std::fs::read(pod.directory.join("share")).expect("reads");
    std::fs::write(pod.directory.join("share"), [7; 32]).expect("writes");
    let (status, said) = pod.start_in_vain();
    assert!(!status.success());
    assert!(!said.is_empty());
    std::fs::write(pod.directory.join("share"), share).expect("restores");
    cluster.start(0);
    cluster.kmsuser(0).await;
}

/// INV-73.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_process_on_the_same_volume_refuses_and_the_first_goes_on() {
    let cluster = Cluster::active().await;
    let mut second = cluster.pods[0].files.clone();
    // An address of its own, so that it is the volume that stops it and not the port.
    second.address = three_addresses()[0];
    let (status, said) = second.start_in_vain();
    assert!(!status.success());
    assert!(said.to_lowercase().contains("volume"), "{said}");
    cluster.kmsuser(0).await;
}

/// D18, INV-58: a volume moved to another member's pod belongs to nobody there.
#[tokio::test(flavor = "multi_thread")]
async fn a_volume_that_moved_to_another_pod_is_not_served_as_that_pod() {
    let mut cluster = Cluster::active().await;
    cluster.kill(0);
    cluster.kill(1);
    let mut moved = cluster.pods[0].files.clone();
    let destination = cluster.pods[1].files.data();
    std::fs::remove_dir_all(&destination).expect("removes");
    std::fs::rename(moved.data(), &destination).expect("moves");
    moved = cluster.pods[1].files.clone();
    let (status, said) = moved.start_in_vain();
    assert!(!status.success());
    assert!(said.contains(&cluster.pods[0].files.pod_name), "{said}");
}
