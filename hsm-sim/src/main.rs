//! The program `hsm-sim`.

/// Each use of a key makes about a dozen small allocations; the gateway has the same allocator for the same reason.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    hsm_sim::main()
}
