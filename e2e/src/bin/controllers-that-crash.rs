//! `keystore-operator` with a witness: one that ends the process at the effect that `KEYSTORE_CRASH_AT` names, or one that writes the effects
//! down in the file that `KEYSTORE_TRACE_TO` names.

use std::process::ExitCode;

use e2e::crash::{Plan, Trace};
use operator_controllers::effect::install_witness;

fn main() -> anyhow::Result<ExitCode> {
    match std::env::var(e2e::crash::TRACE) {
        Ok(file) => install_witness(Box::new(Trace::to(file.as_ref())?)),
        Err(_) => {
            let plan: Plan = std::env::var(e2e::crash::VARIABLE)?.parse().map_err(anyhow::Error::msg)?;
            install_witness(Box::new(plan));
        }
    }
    Ok(operator::main())
}
