//! The verifier against an independent signer (the AWS SDK's own), and every clause of INV-66 broken on purpose.

mod must_reject;
mod mutants;
mod time_window;
mod vectors;
