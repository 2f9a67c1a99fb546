//! The shape of the tree: which crate may import which, as the head of each crate says, and how long a file may be.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

const LONGEST_FILE: usize = 300;
/// What the head of a longer file must say, followed by the reason.
const REASON: &str = "more than 300 lines";
const ALLOWED: &str = "May import of this workspace:";
const FORBIDDEN: &str = "Never imports:";

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    dependencies: Vec<Dependency>,
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    kind: Option<String>,
    path: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Target {
    kind: Vec<String>,
    src_path: PathBuf,
}

impl Package {
    /// The library's root; of a crate without one, the program's.
    fn root(&self) -> &Path {
        let of = |wanted: &str| self.targets.iter().find(|target| target.kind.iter().any(|kind| kind == wanted));
        &of("lib").or_else(|| of("bin")).expect("a crate has a library or a program").src_path
    }

    /// What the crate's own code can name, tests and build scripts aside.
    fn imports(&self) -> impl Iterator<Item = &Dependency> {
        self.dependencies.iter().filter(|dependency| dependency.kind.is_none())
    }
}

fn checkout() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

fn output(program: &str, arguments: &[&str]) -> String {
    let ran = Command::new(program).args(arguments).current_dir(checkout()).output().expect("the program starts");
    assert!(ran.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8(ran.stdout).expect("the output is text")
}

fn packages() -> Vec<Package> {
    let arguments = ["metadata", "--no-deps", "--offline", "--locked", "--format-version=1"];
    serde_json::from_str::<Metadata>(&output("cargo", &arguments)).expect("cargo prints its metadata as JSON").packages
}

/// The `//!` lines at the top of a file, joined.
fn head(file: &Path) -> String {
    let text = std::fs::read_to_string(file).expect("a listed file can be read");
    text.lines().map_while(|line| line.strip_prefix("//!")).map(str::trim).collect::<Vec<_>>().join(" ")
}

/// The names in backticks between `label` and the next full stop.
fn named(head: &str, label: &str) -> Option<BTreeSet<String>> {
    let (_, rest) = head.split_once(label)?;
    let sentence = rest.split_once('.').map_or(rest, |(sentence, _)| sentence);
    Some(sentence.split('`').skip(1).step_by(2).map(str::to_owned).collect())
}

#[test]
fn every_crate_imports_exactly_the_crates_of_this_workspace_that_its_head_names() {
    for package in packages() {
        let head = head(package.root());
        let allowed =
            named(&head, ALLOWED).unwrap_or_else(|| panic!("{} has no \"{ALLOWED}\"", package.root().display()));
        let imported: BTreeSet<String> =
            package.imports().filter(|each| each.path.is_some()).map(|each| each.name.clone()).collect();
        assert_eq!(
            imported,
            allowed,
            "imports of {}, and what the head of {} allows",
            package.name,
            package.root().display()
        );
    }
}

#[test]
fn no_crate_imports_what_its_head_rules_out() {
    for package in packages() {
        let head = head(package.root());
        let forbidden =
            named(&head, FORBIDDEN).unwrap_or_else(|| panic!("{} has no \"{FORBIDDEN}\"", package.root().display()));
        let broken: Vec<_> =
            package.imports().map(|each| &each.name).filter(|name| forbidden.contains(*name)).collect();
        assert!(broken.is_empty(), "{} imports {broken:?}, which its head rules out", package.name);
    }
}

#[test]
fn a_file_of_more_than_300_lines_says_why_in_its_head() {
    let listed = output("git", &["ls-files", "--", "*.rs", "*.sh", "*.py", "*.proto"]);
    let long = listed.lines().filter_map(|name| {
        let text = std::fs::read_to_string(checkout().join(name)).ok()?;
        let lines = text.lines().count();
        let head: Vec<_> = text.lines().take(15).collect();
        (lines > LONGEST_FILE && !head.join(" ").contains(REASON)).then(|| format!("{name} ({lines})"))
    });
    let long: Vec<_> = long.collect();
    assert!(long.is_empty(), "split these, or say in the head why they have {REASON}: {long:?}");
}

#[test]
fn a_head_is_read_up_to_the_full_stop() {
    let head = "The core. May import of this workspace: `a`, `b-c`. Never imports: none. `d`";
    assert_eq!(named(head, ALLOWED), Some(["a", "b-c"].map(str::to_owned).into()));
    assert_eq!(named(head, FORBIDDEN), Some(BTreeSet::new()));
    assert_eq!(named("The core.", ALLOWED), None);
}
