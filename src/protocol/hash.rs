use ring::digest::{Context, SHA256};

/// The SHA-256 hash of a list of parts that are no secrets. Two lists have the same hash only if they have the same parts.
pub(crate) fn sha256_of_parts<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    for part in parts {
        // Without the length, two lists of parts could make the same text.
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    let mut hash = [0; 32];
    hash.copy_from_slice(context.finish().as_ref());
    hash
}
