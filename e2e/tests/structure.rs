//! The shape of the tree: which crate may import which, as the head of each crate says, how long a file may be, that every effect of a controller
//! has a name, and that every flag says what it is for.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

const LONGEST_FILE: usize = 300;
/// What the head of a longer file must say, followed by the reason.
const REASON: &str = "more than 300 lines";
const ALLOWED: &str = "May import of this workspace:";
const FORBIDDEN: &str = "Never imports:";

/// The controllers, whose every effect passes `effect::at`: there the tests of crashes kill the leader (INV-21).
const CONTROLLERS: &str = "operator/controllers/src/";
/// What offers the controllers effects: the commands of the HSMs, and the writes to the API server.
const OFFERED: &[&str] = &[
    "hsm-sim/client/src/command/*.rs",
    "hsm-sim/client/src/provisioning.rs",
    "operator/controllers/src/secrets.rs",
    "operator/controllers/src/write.rs",
];
/// What is offered there and changes nothing.
const QUESTIONS: &[&str] = &[
    "csr",
    "decrypt",
    "encrypt",
    "find_keys",
    "generate_data_key",
    "generate_random",
    "hello",
    "hsm_info",
    "list_users",
    "read",
    "read_key",
    "user_info",
];
/// What passes `effect::at` by itself, whoever calls it.
const NAMED_WITHIN: &[&str] = &["add_finalizer", "remove_finalizer"];
/// What the list above cannot know: writes past it, and the step of a cluster's initialisation.
const OFFERED_ELSEWHERE: &[&str] = &["delete_collection", "patch_status", "perform", "replace_status"];
/// Effects without a name, by file or folder: no plan of a crash can aim at them, for this reason.
const NAMELESS: &[(&str, &[&str], &str)] = &[
    ("write.rs", &["create", "delete", "patch", "patch_status", "replace"], "the writes themselves; callers name them"),
    ("secrets.rs", &["create", "replace"], "the writes themselves; callers name them"),
    ("leader/election.rs", &["create", "replace"], "whoever dies here does not lead, or leads no more"),
    ("certificate/", &["put_if_absent", "replace"], "what is due follows from one Secret, and is one write"),
    ("cloud_hsm_cluster/apply.rs", &["apply"], "everything is applied again by every look"),
    ("cloud_hsm_cluster/certificates.rs", &["renew_pod_certificate"], "the next look sees whether the pod has it"),
    ("cloud_hsm_cluster/custody.rs", &["create", "replace"], "within a step of the initialisation, which has a name"),
    ("cloud_hsm_cluster/mod.rs", &["apply_status"], "says what a look found, and every look writes it"),
    ("cloud_hsm_cluster/rollout.rs", &["delete"], "the next look sees which pods are outdated"),
    ("keystore_account/mod.rs", &["apply_status"], "says what a look found, and every look writes it"),
];

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

/// A file without its tests and its comments; the lines keep their numbers. Nothing of a file that is gone.
fn code(name: &str) -> String {
    let text = std::fs::read_to_string(checkout().join(name)).unwrap_or_default();
    let product = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
    let lines = product.lines().map(|line| if line.trim_start().starts_with("//") { "" } else { line });
    lines.collect::<Vec<_>>().join("\n")
}

/// The name of every effect and the beginning of its call. A method without parameters is called with `()`: `join` is one, of strings too.
fn effects() -> BTreeSet<(String, String)> {
    let arguments: Vec<_> = ["ls-files", "--"].into_iter().chain(OFFERED.iter().copied()).collect();
    let listed = output("git", &arguments);
    let texts: Vec<_> = listed.lines().map(code).collect();
    let offered = texts.iter().flat_map(|text| text.split("pub async fn ").skip(1)).filter_map(|method| {
        let name = method.split(|letter: char| !letter.is_alphanumeric() && letter != '_').next()?;
        let parameters = method.split_once('(')?.1.split_once(')')?.0.trim();
        let is_effect = parameters.starts_with("&self") && !QUESTIONS.contains(&name) && !NAMED_WITHIN.contains(&name);
        let end = if parameters == "&self" { "()" } else { "(" };
        is_effect.then(|| (name.to_owned(), format!(".{name}{end}")))
    });
    let elsewhere = OFFERED_ELSEWHERE.iter().map(|name| ((*name).to_owned(), format!(".{name}(")));
    offered.chain(elsewhere).collect()
}

/// Whether the argument list or the expression that begins before `between` still goes on after it.
fn goes_on(between: &str) -> bool {
    let mut depth = 0_usize;
    for letter in between.chars() {
        match letter {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' | ';' if depth == 0 => return false,
            ')' | ']' | '}' => depth -= 1,
            _ => {}
        }
    }
    true
}

/// Whether the call at `place` is an argument of `effect::at`, or in a closure over the fence that `commanded` gets, which passes it on to there.
fn has_a_name(text: &str, place: usize) -> bool {
    let (before, after) = text.split_at(place);
    if before.rsplit_once("effect::at(").is_some_and(|(_, between)| goes_on(between)) {
        return true;
    }
    let Some((head, between)) = before.rsplit_once("async |fence|") else { return false };
    let closure = head.rsplit_once("let ").and_then(|(_, name)| name.strip_suffix(" = "));
    let arguments = after.split_once("commanded(").and_then(|(_, rest)| rest.split_once(')'));
    let is_handed_on = |(closure, (arguments, _)): (&str, (&str, &str))| arguments.ends_with(&format!(", {closure}"));
    goes_on(between) && closure.zip(arguments).is_some_and(is_handed_on)
}

#[test]
fn every_effect_of_a_controller_has_a_name_or_a_reason_to_have_none() {
    let effects = effects();
    let excuses = || NAMELESS.iter().flat_map(|(place, names, _)| names.iter().map(move |name| (*place, *name)));
    let (mut unnamed, mut used) = (Vec::new(), BTreeSet::new());
    let listed = output("git", &["ls-files", "--", &format!("{CONTROLLERS}*.rs")]);
    for file in listed.lines().filter(|file| !file.ends_with("tests.rs")) {
        let (place, text) = (file.trim_start_matches(CONTROLLERS), code(file));
        for (name, call) in &effects {
            for (at, _) in text.match_indices(call.as_str()).filter(|(at, _)| !has_a_name(&text, *at)) {
                match excuses().find(|(excused, what)| place.starts_with(*excused) && name == what) {
                    Some(excuse) => {
                        used.insert(excuse);
                    }
                    None => unnamed.push(format!("{file}:{} {call}", text[..at].matches('\n').count() + 1)),
                }
            }
        }
    }
    assert!(unnamed.is_empty(), "these pass no `effect::at`, so no plan of a crash can aim at them: {unnamed:#?}");
    let idle: Vec<_> = excuses().filter(|excuse| !used.contains(excuse)).collect();
    assert!(idle.is_empty(), "reasons for what is not there: {idle:?}");
}

#[test]
fn a_call_has_a_name_inside_effect_at_or_in_what_commanded_gets() {
    let has_one = |text: &str| has_a_name(text, text.find(".logout()").expect("a call"));
    assert!(has_one("effect::at(Site::Logout, session.logout()).await?;"));
    assert!(!has_one("effect::at(Site::Login, session.login()).await?;\nsession.logout().await?;"));
    assert!(!has_one("session.logout().await?;\neffect::at(Site::Login, session.login()).await?;"));
    let closure = "let bye = async |fence| { let a = fence; session.logout().await };\n";
    assert!(has_one(&format!("{closure}commanded(context, session, Site::Logout, bye).await?;")));
    assert!(!has_one(&format!("{closure}commanded(context, session, Site::Login, other).await?;")));
    assert!(!has_one("let bye = async |fence| 1;\nsession.logout().await;\ncommanded(context, site, bye).await?;"));
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

/// What stands above a flag is what `--help` prints.
#[test]
fn every_flag_says_what_it_is_for() {
    let (mut flags, mut mute) = (0, Vec::new());
    for file in output("git", &["ls-files", "--", "*.rs"]).lines() {
        let text = std::fs::read_to_string(checkout().join(file)).unwrap_or_default();
        let lines: Vec<_> = text.lines().map(str::trim_start).collect();
        for (above, pair) in (1..).zip(lines.windows(2)).filter(|(_, pair)| pair[1].starts_with("#[arg(")) {
            flags += 1;
            if !pair[0].starts_with("/// ") {
                mute.push(format!("{file}:{}", above + 1));
            }
        }
    }
    assert!(flags > 0, "no flags were found, so this has shown nothing");
    assert!(mute.is_empty(), "flags that say nothing: {mute:?}");
}

#[test]
fn a_head_is_read_up_to_the_full_stop() {
    let head = "The core. May import of this workspace: `a`, `b-c`. Never imports: none. `d`";
    assert_eq!(named(head, ALLOWED), Some(["a", "b-c"].map(str::to_owned).into()));
    assert_eq!(named(head, FORBIDDEN), Some(BTreeSet::new()));
    assert_eq!(named("The core.", ALLOWED), None);
}
