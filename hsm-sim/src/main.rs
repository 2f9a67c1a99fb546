//! hsm-sim
mod seal;
mod store;
mod vault;
fn main() {}
