//! Ids that follow from what they name, so that a repeat after a crash makes the same ones.

/// 32 lower-case hexadecimal characters out of parts: the first 128 bits of their SHA-256, each part with its length.
pub fn derived(parts: &[&str]) -> String {
    let mut context = ring::digest::Context::new(&ring::digest::SHA256);
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part.as_bytes());
    }
    let digest = context.finish();
    let bits = digest.as_ref()[..16].iter().fold(0_u128, |bits, byte| (bits << 8) | u128::from(*byte));
    format!("{bits:032x}")
}
