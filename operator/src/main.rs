//! The program `keystore-operator`.

fn main() -> anyhow::Result<()> {
    operator::main()
}
