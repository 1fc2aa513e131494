//! Finishes hashes.

/// Finishes a hash, in the form in which it is compared and stored.
pub(crate) fn sha256(hash: ring::digest::Context) -> [u8; 32] {
    let mut sum = [0; 32];
    sum.copy_from_slice(hash.finish().as_ref());
    sum
}
