//! hsm-sim
fn main() {}
