//! Volumes: damaged, foreign, cut, full; never opened when something is wrong, never changed then.

use std::sync::atomic::{AtomicBool, Ordering};

use super::super::committer::{Change, RECORDS};
use super::*;

fn options(dir: &Path) -> VolumeOptions {
    VolumeOptions {
        data_dir: dir.to_owned(),
        pod_name: "cluster-0".into(),
        secret_share: Zeroizing::new(vec![1; 32]),
        on_failure: Arc::new(|_| ()),
    }
}

fn put(id: u8, content: &[u8]) -> Change {
    Change::Put(RecordName::new(RecordKind::Key, [id; 16]), Zeroizing::new(content.to_vec()))
}

async fn volume_with_three_records(dir: &Path) {
    let volume = Volume::open(&options(dir)).expect("opens");
    let place = Place { volume_id: volume.volume_id, ..Place::default() };
    let (store, lock) = volume.into_store(place).expect("starts");
    for id in 1..=3 {
        store.commit(vec![put(id, &[id; 100])]).await.expect("commits");
    }
    store.commit(vec![put(3, &[33; 100])]).await.expect("commits");
    drop((store, lock));
    // The committer closes the database after the last handle is gone.
    while Volume::open(&options(dir)).is_err() {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

fn contents(dir: &Path) -> Vec<u8> {
    let volume = Volume::open(&options(dir)).expect("opens");
    let place = Place { volume_id: volume.volume_id, ..Place::default() };
    let records = volume.read_kind(&place, RecordKind::Key).expect("authentic");
    records.iter().map(|content| content[0]).collect()
}

#[tokio::test]
async fn committed_records_are_read_back_after_reopening_and_starts_are_counted() {
    let dir = tempfile::tempdir().unwrap();
    volume_with_three_records(dir.path()).await;
    assert_eq!(contents(dir.path()), [1, 2, 33]);
    let first = Volume::open(&options(dir.path())).unwrap().incarnation;
    assert_eq!(Volume::open(&options(dir.path())).unwrap().incarnation, first + 1);
}

#[tokio::test]
async fn a_volume_of_another_pod_or_share_is_refused_and_says_which() {
    let dir = tempfile::tempdir().unwrap();
    volume_with_three_records(dir.path()).await;
    let pod = VolumeOptions { pod_name: "cluster-1".into(), ..options(dir.path()) };
    let share = VolumeOptions { secret_share: Zeroizing::new(vec![2; 32]), ..options(dir.path()) };
    for (other, word) in [(pod, "pod cluster-0"), (share, "sealing share")] {
        let Err(error @ StoreError::Foreign { .. }) = Volume::open(&other) else { panic!("must be foreign") };
        assert!(error.to_string().contains(word), "{error}");
    }
    assert_eq!(contents(dir.path()), [1, 2, 33]);
}

#[tokio::test]
async fn a_missing_or_cut_file_is_damage_and_nothing_is_made_anew() {
    for file in ["header", "store.redb", "counters"] {
        let dir = tempfile::tempdir().unwrap();
        volume_with_three_records(dir.path()).await;
        let path = dir.path().join("volume").join(file);
        let bytes = std::fs::read(&path).unwrap();
        for length in [0, 1, bytes.len() / 2, bytes.len() - 1] {
            std::fs::write(&path, &bytes[..length]).unwrap();
            assert!(Volume::open(&options(dir.path())).is_err(), "{file} cut to {length}");
        }
        std::fs::remove_file(&path).unwrap();
        assert!(Volume::open(&options(dir.path())).is_err(), "{file} removed");
        assert!(!path.exists(), "{file} must not be made anew");
    }
}

#[test]
fn remains_of_something_else_are_never_taken_for_an_empty_volume() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("store.redb"), b"keys of somebody").unwrap();
    assert!(matches!(Volume::open(&options(dir.path())), Err(StoreError::Foreign { .. })));
    assert!(!dir.path().join("volume").exists());
}

#[test]
fn an_unfinished_volume_is_made_again() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("volume.new")).unwrap();
    std::fs::write(dir.path().join("volume.new/header"), b"half").unwrap();
    assert_eq!(Volume::open(&options(dir.path())).unwrap().incarnation, 1);
}

/// Rewrites the database behind the store's back.
fn tamper(dir: &Path, change: impl FnOnce(&mut redb::Table<'_, &[u8], &[u8]>)) {
    let database = Builder::new().open(dir.join("volume/store.redb")).expect("opens");
    let transaction = database.begin_write().expect("begins");
    {
        let mut table = transaction.open_table(RECORDS).expect("opens");
        change(&mut table);
    }
    transaction.commit().expect("commits");
}

fn key(id: u8) -> Vec<u8> {
    RecordName::new(RecordKind::Key, [id; 16]).encode()
}

type Tampering = fn(&mut redb::Table<'_, &[u8], &[u8]>, Vec<u8>, Vec<u8>);

/// INV-10, INV-58: authentic records in the wrong set are damage as well.
#[tokio::test]
async fn removed_copied_swapped_rolled_back_and_flipped_records_are_all_noticed() {
    let cases: [(&str, Tampering); 5] = [
        ("removed", |table, _, _| drop(table.remove(&key(1)[..]).expect("removes"))),
        ("copied", |table, first, _| drop(table.insert(&key(9)[..], &first[..]).expect("inserts"))),
        ("swapped", |table, first, second| {
            table.insert(&key(1)[..], &second[..]).expect("inserts");
            table.insert(&key(2)[..], &first[..]).expect("inserts");
        }),
        ("flipped", |table, mut first, _| {
            *first.last_mut().expect("not empty") ^= 1;
            table.insert(&key(1)[..], &first[..]).expect("inserts");
        }),
        ("renumbered", |table, mut first, _| {
            first[7] ^= 1;
            table.insert(&key(1)[..], &first[..]).expect("inserts");
        }),
    ];
    for (name, tampering) in cases {
        let dir = tempfile::tempdir().unwrap();
        volume_with_three_records(dir.path()).await;
        tamper(dir.path(), |table| {
            use redb::ReadableTable;
            let first = table.get(&key(1)[..]).expect("reads").expect("there").value().to_vec();
            let second = table.get(&key(2)[..]).expect("reads").expect("there").value().to_vec();
            tampering(table, first, second);
        });
        let opened = Volume::open(&options(dir.path())).and_then(|volume| {
            let place = Place { volume_id: volume.volume_id, ..Place::default() };
            volume.read_kind(&place, RecordKind::Key).map(drop)
        });
        assert!(matches!(opened, Err(StoreError::Damaged { .. })), "{name}");
    }
}

/// INV-10: what was committed is there or the volume is refused. It never opens as it was before, although the database keeps its last root.
#[tokio::test]
async fn a_change_of_any_page_is_refused_or_harmless_and_never_brings_an_older_state_back() {
    const HEADER: usize = 4096;
    let dir = tempfile::tempdir().unwrap();
    volume_with_three_records(dir.path()).await;
    let path = dir.path().join("volume/store.redb");
    let whole = std::fs::read(&path).unwrap();
    // Every page that holds anything, in several places.
    let used = whole.chunks(512).enumerate().skip(HEADER / 512).filter(|(_, part)| part.iter().any(|byte| *byte != 0));
    let mut refused = 0;
    for (number, _) in used {
        for offset in [0, 7, 40, 300].map(|within| number * 512 + within) {
            let mut changed = whole.clone();
            changed[offset] ^= 0x10;
            std::fs::write(&path, &changed).unwrap();
            match Volume::open(&options(dir.path())) {
                Err(StoreError::Damaged { .. }) => refused += 1,
                Err(error) => panic!("{offset}: {error}"),
                Ok(volume) => {
                    drop(volume);
                    assert_eq!(contents(dir.path()), [1, 2, 33], "{offset}");
                }
            }
        }
    }
    assert!(refused > 0, "nothing was noticed");
}

/// A backend whose sync fails on demand, like a disk with EIO.
#[derive(Debug)]
struct FailingDisk(redb::backends::InMemoryBackend, Arc<AtomicBool>);

impl redb::StorageBackend for FailingDisk {
    fn len(&self) -> Result<u64, std::io::Error> {
        self.0.len()
    }
    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), std::io::Error> {
        self.0.read(offset, out)
    }
    fn set_len(&self, len: u64) -> Result<(), std::io::Error> {
        self.0.set_len(len)
    }
    fn sync_data(&self) -> Result<(), std::io::Error> {
        match self.1.load(Ordering::SeqCst) {
            true => Err(std::io::ErrorKind::Other.into()),
            false => self.0.sync_data(),
        }
    }
    fn write(&self, offset: u64, data: &[u8]) -> Result<(), std::io::Error> {
        self.0.write(offset, data)
    }
}

/// INV-09.
#[tokio::test]
async fn a_failed_sync_acknowledges_nothing_and_stops_the_process() {
    let (broken, stopped) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let disk = FailingDisk(redb::backends::InMemoryBackend::new(), Arc::clone(&broken));
    let hook = Arc::clone(&stopped);
    let committer = Committer {
        database: Builder::new().create_with_backend(disk).unwrap(),
        free_bytes: Box::new(|| u64::MAX),
        keys: Arc::new(VolumeKeys::derive(&[1; 32], &[2; 32]).unwrap()),
        inventory: Inventory::default(),
        sequence: 0,
        place: Place::default(),
        on_failure: Arc::new(move |_| hook.store(true, Ordering::SeqCst)),
    };
    let store = committer.start().unwrap();
    store.commit(vec![put(1, b"a")]).await.unwrap();
    assert_eq!(store.sequence(), 1);
    broken.store(true, Ordering::SeqCst);
    assert!(matches!(store.commit(vec![put(2, b"b")]).await, Err(StoreError::Failed)));
    assert!(stopped.load(Ordering::SeqCst));
    assert_eq!(store.sequence(), 1);
}

/// INV-11.
#[tokio::test]
async fn a_full_volume_refuses_changes_cleanly_and_takes_them_again_once_there_is_space() {
    let dir = tempfile::tempdir().unwrap();
    let (full, stopped) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let (space, hook) = (Arc::clone(&full), Arc::clone(&stopped));
    let committer = Committer {
        database: Builder::new().create(dir.path().join("store.redb")).unwrap(),
        free_bytes: Box::new(move || if space.load(Ordering::SeqCst) { 4096 } else { u64::MAX }),
        keys: Arc::new(VolumeKeys::derive(&[1; 32], &[2; 32]).unwrap()),
        inventory: Inventory::default(),
        sequence: 0,
        place: Place::default(),
        on_failure: Arc::new(move |_| hook.store(true, Ordering::SeqCst)),
    };
    let store = committer.start().unwrap();
    store.commit(vec![put(1, b"a")]).await.unwrap();
    full.store(true, Ordering::SeqCst);
    assert!(matches!(store.commit(vec![put(2, b"b")]).await, Err(StoreError::Full)));
    assert_eq!(store.sequence(), 1);
    full.store(false, Ordering::SeqCst);
    store.commit(vec![put(2, b"b")]).await.unwrap();
    assert_eq!((store.sequence(), stopped.load(Ordering::SeqCst)), (2, false));
}
