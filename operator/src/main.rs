//! The binary `keystore-operator`; everything is in the library.

fn main() -> anyhow::Result<()> {
    operator::main()
}
