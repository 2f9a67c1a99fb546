//! The program `keystore-operator`.

/// A request makes some hundred small allocations; the C library's allocator spends a tenth of the gateway's time on them.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    operator::main()
}
