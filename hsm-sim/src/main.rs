//! The program `hsm-sim`.

fn main() -> std::process::ExitCode {
    hsm_sim::main()
}
