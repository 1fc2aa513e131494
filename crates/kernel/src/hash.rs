//! Converts finished SHA-256 hashes to arrays. Hashes nothing itself.

/// Finishes a SHA-256 hash. Returns it as the array that is compared and stored.
pub(crate) fn sha256(hash: ring::digest::Context) -> [u8; 32] {
    let mut sum = [0; 32];
    sum.copy_from_slice(hash.finish().as_ref());
    sum
}
