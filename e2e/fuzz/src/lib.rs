//! What every fuzz target begins with.

/// Writes the seeds of the target into the folder `FUZZ_SEEDS`, from where the fuzzer reads them.
///
/// Also keeps panics that redb raises on bytes it never wrote from ending the process: they are caught where it is called,
/// and libFuzzer would otherwise take each for a finding. Whatever is not caught still ends the process.
///
/// # Panics
/// When the seeds cannot be written.
pub fn begin(seeds: &[Vec<u8>]) {
    let finding = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !panic.location().is_some_and(|location| location.file().contains("/redb-")) {
            finding(panic);
        }
    }));
    let Some(folder) = std::env::var_os("FUZZ_SEEDS") else { return };
    std::fs::create_dir_all(&folder).expect("makes the folder of seeds");
    for (number, seed) in seeds.iter().enumerate() {
        let path = std::path::Path::new(&folder).join(format!("seed-{number}"));
        std::fs::write(path, seed).expect("writes a seed");
    }
}
