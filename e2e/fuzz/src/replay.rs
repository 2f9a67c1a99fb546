//! Replays what fuzzing found, without a fuzzer: included by the tests of each crate whose properties are fuzzed.

use std::path::Path;

/// Calls `property` with every seed, with each of them cut and with one byte changed, and with every input that was kept
/// for `target` in `e2e/fuzz/regressions`; a target without a folder there would replay nothing, and fails.
pub(crate) fn replay(target: &str, seeds: &[Vec<u8>], property: impl Fn(&[u8])) {
    assert!(!seeds.is_empty(), "{target} has seeds");
    for seed in seeds {
        property(seed);
        for position in (0..seed.len()).step_by(seed.len() / 16 + 1) {
            property(&seed[..position]);
            let mut changed = seed.clone();
            changed[position] ^= 0x55;
            property(&changed);
        }
    }
    let kept = Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .map(|folder| folder.join("e2e/fuzz/regressions").join(target))
        .find(|folder| folder.is_dir())
        .unwrap_or_else(|| panic!("failed to find e2e/fuzz/regressions/{target}"));
    for input in kept.read_dir().expect("a folder") {
        let path = input.expect("an entry").path();
        eprintln!("replaying {}", path.display());
        property(&std::fs::read(&path).expect("a file"));
    }
}
