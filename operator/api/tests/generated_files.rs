//! The files in `crds/` are what the types say, no more and no fewer.

use operator_api::{custom_resource_definitions, to_yaml};
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../crds")
}

#[test]
fn every_file_in_crds_is_what_the_types_generate() {
    for (file, definition) in custom_resource_definitions() {
        let written = fs::read_to_string(folder().join(file)).unwrap_or_default();
        let generated = to_yaml(&definition).expect("a definition is plain data");
        assert!(written == generated, "crds/{file} is out of date: run `make generate`");
    }
}

#[test]
fn crds_holds_one_file_per_kind_and_nothing_else() {
    let generated: BTreeSet<String> =
        custom_resource_definitions().iter().map(|(file, _)| (*file).to_owned()).collect();
    let written: BTreeSet<String> = fs::read_dir(folder())
        .expect("crds/ exists")
        .map(|entry| entry.expect("readable").file_name().to_string_lossy().into_owned())
        .filter(|name| name.ends_with(".yaml"))
        .collect();
    assert_eq!(written, generated);
}
