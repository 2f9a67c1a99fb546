//! Any change to any signed byte is refused: random requests, random positions, random bits.

use http::HeaderValue;
use proptest::prelude::*;

use super::super::oracle::{Plan, Sent};

/// Headers whose value is signed.
const SIGNED: [&str; 4] = ["host", "content-type", "x-amz-target", "x-amz-date"];

/// Flips bits of one byte; `None` when the result is not a header value at all.
fn flip(value: &[u8], position: usize, bits: u8) -> Option<Vec<u8>> {
    let mut bytes = value.to_vec();
    let position = position % bytes.len();
    *bytes.get_mut(position)? ^= bits;
    Some(bytes)
}

fn mutate_header(sent: &mut Sent, name: &'static str, position: usize, bits: u8) -> bool {
    let mutated = flip(sent.headers.get(name).unwrap().as_bytes(), position, bits).unwrap();
    match HeaderValue::from_bytes(&mutated) {
        Ok(value) => {
            sent.headers.insert(name, value);
            true
        }
        Err(_) => false,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_024))]

    #[test]
    fn any_body_that_the_sdk_signs_is_accepted_and_any_flip_in_it_is_refused(
        body in proptest::collection::vec(any::<u8>(), 1..600), position in any::<usize>(), bits in 1u8..
    ) {
        let mut sent = Plan { body: &body, ..Plan::default() }.sign();
        prop_assert_eq!(sent.verify(), Ok(()));
        sent.body = flip(&sent.body, position, bits).unwrap();
        prop_assert!(sent.verify().is_err());
    }

    #[test]
    fn any_flip_in_a_signed_header_is_refused(which in 0..SIGNED.len(), position in any::<usize>(), bits in 1u8..) {
        let mut sent = Plan::default().sign();
        if mutate_header(&mut sent, SIGNED[which], position, bits) {
            prop_assert!(sent.verify().is_err());
        }
    }

    #[test]
    fn any_flip_in_the_authorization_header_is_refused(position in any::<usize>(), bits in 1u8..) {
        let mut sent = Plan::default().sign();
        if mutate_header(&mut sent, "authorization", position, bits) {
            prop_assert!(sent.verify().is_err());
        }
    }

    #[test]
    fn no_header_text_makes_the_verifier_panic(header in "\\PC{0,200}") {
        let mut sent = Plan::default().sign();
        if let Ok(value) = HeaderValue::try_from(header) {
            sent.headers.insert("authorization", value);
            prop_assert!(sent.verify().is_err());
        }
    }
}
