//! `keystore-operator` with a witness that ends the process at the effect that `KEYSTORE_CRASH_AT` names.

use e2e::crash::{Plan, VARIABLE};

fn main() -> anyhow::Result<()> {
    let plan: Plan = std::env::var(VARIABLE)?.parse().map_err(anyhow::Error::msg)?;
    operator_controllers::effect::install_witness(Box::new(plan));
    operator::main()
}
