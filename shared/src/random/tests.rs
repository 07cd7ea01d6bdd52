//! What is drawn has its shape and differs.

use super::*;

#[test]
fn a_nonce_is_32_letters_and_digits_and_never_the_same() {
    let (one, other) = (nonce(), nonce());
    assert_ne!(one, other);
    for nonce in [one, other] {
        assert_eq!(nonce.len(), 32);
        assert!(
            nonce.bytes().all(|byte| byte.is_ascii_alphanumeric()),
            "{nonce}"
        );
    }
}
