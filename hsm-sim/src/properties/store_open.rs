//! A volume whose files were changed by somebody else: it opens as one of the states that were committed, or not at all
//! (INV-10, INV-58).

use std::collections::BTreeMap;

use tempfile::TempDir;
use zeroize::Zeroizing;

use super::{example, folder};
use crate::store::committer::Change;
use crate::store::record::{Place, RecordKind, RecordName};
use crate::store::volume::Volume;

const FILES: [&str; 3] = ["header", "store.redb", "counters"];
/// A change that cuts the file instead of writing into it.
const CUT: u8 = 0xff;

type State = BTreeMap<RecordName, Vec<u8>>;

/// A volume with a history.
pub struct StoreOpen {
    files: Vec<Vec<u8>>,
    /// Every state that was ever committed.
    states: Vec<State>,
    folder: TempDir,
}

impl Default for StoreOpen {
    fn default() -> Self {
        Self::new()
    }
}

impl StoreOpen {
    /// Makes the volume.
    ///
    /// # Panics
    /// When it cannot be made.
    #[must_use]
    pub fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("starts");
        let folder = folder();
        let states = runtime.block_on(write(&folder));
        let files = FILES.iter().map(|name| std::fs::read(folder.path().join("volume").join(name)).expect("reads"));
        Self { files: files.collect(), states, folder }
    }

    /// Changes the files as `data` says, opens the volume, and compares what it holds with what was committed. A change
    /// is: file, three bytes of offset, number of bytes, the bytes.
    ///
    /// # Panics
    /// When it opens with anything else.
    pub fn check(&self, data: &[u8]) {
        let mut files = self.files.clone();
        let mut rest = data;
        while let Some(([file, offset @ .., length], following)) = rest.split_first_chunk::<5>() {
            let bytes = following.get(..usize::from(*length)).unwrap_or(following);
            rest = following.get(bytes.len()..).unwrap_or_default();
            let Some(content) = files.get_mut(usize::from(*file) % FILES.len()) else { continue };
            change(content, offset, *length, bytes);
        }
        let volume = self.folder.path().join("volume");
        for (name, content) in FILES.iter().zip(&files) {
            std::fs::write(volume.join(name), content).expect("writes");
        }
        // A panic is a finding too; only redb's own are caught where it is called.
        if let Ok(volume) = Volume::open(&example::options(self.folder.path())) {
            let found = contents(&volume);
            assert!(found.is_none_or(|found| self.states.contains(&found)), "a state that was never committed");
        }
    }
}

fn change(content: &mut Vec<u8>, offset: &[u8; 3], length: u8, bytes: &[u8]) {
    let [high, middle, low] = *offset;
    let offset = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
    let Some(offset) = offset.checked_rem(content.len()) else { return };
    if length == CUT {
        content.truncate(offset);
    } else {
        content.iter_mut().skip(offset).zip(bytes).for_each(|(there, byte)| *there ^= byte);
    }
}

/// All records, or nothing if one of them does not open.
fn contents(volume: &Volume) -> Option<State> {
    let place = Place { volume_id: volume.volume_id, ..Place::default() };
    let mut found = State::new();
    for id in 0..8 {
        for kind in [RecordKind::Key, RecordKind::User] {
            let name = RecordName::new(kind, [id; 16]);
            if let Some(content) = volume.read(&place, &name).ok()? {
                found.insert(name, content.to_vec());
            }
        }
    }
    let count =
        volume.read_kind(&place, RecordKind::Key).ok()?.len() + volume.read_kind(&place, RecordKind::User).ok()?.len();
    assert_eq!(count, found.len(), "a record that was never committed");
    Some(found)
}

async fn write(folder: &TempDir) -> Vec<State> {
    let volume = Volume::open(&example::options(folder.path())).expect("opens");
    let place = Place { volume_id: volume.volume_id, ..Place::default() };
    let (store, lock) = volume.into_store(place).expect("starts");
    let mut states = vec![State::new()];
    for step in 0..12_u8 {
        let kind = if step % 2 == 0 { RecordKind::Key } else { RecordKind::User };
        let name = RecordName::new(kind, [step % 5; 16]);
        let mut state = states.last().cloned().unwrap_or_default();
        let change = if step == 10 {
            state.remove(&name);
            Change::Delete(name)
        } else {
            let content = vec![step; 40 + usize::from(step) * 30];
            state.insert(name.clone(), content.clone());
            Change::Put(name, Zeroizing::new(content))
        };
        store.commit(vec![change]).await.expect("commits");
        states.push(state);
    }
    drop((store, lock));
    drop(example::reopened(folder.path()).await);
    states
}

/// Changes to begin with: none, one in each file, a cut.
#[must_use]
pub fn store_open_seeds() -> Vec<Vec<u8>> {
    let one = |file: u8, offset: u16, bytes: &[u8]| {
        let [high, low] = offset.to_be_bytes();
        [&[file, 0, high, low, u8::try_from(bytes.len()).unwrap_or(CUT)], bytes].concat()
    };
    vec![
        vec![],
        one(0, 20, &[1]),
        one(1, 0, &[1]),
        one(1, 9, &[1]),
        one(1, 64, &[0xff; 8]),
        one(1, 4_096, &[0x80; 16]),
        one(1, 8_192, &[1]),
        one(2, 0, &[1]),
        one(2, 512, &[0xff; 64]),
        vec![1, 0, 16, 0, CUT],
        [one(0, 8, &[2]), one(1, 200, &[3])].concat(),
    ]
}
