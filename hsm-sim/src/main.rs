//! hsm-sim
mod seal;
mod store;
fn main() {}
