use super::remote::RemoteKeys;
use crate::{
    jose::{KeyMatch, KeySet},
    protocol::Rejection,
};
use std::sync::Arc;

/// Looks for a key in a fetched key set, after the fixed keys gave the result `in_fixed`.
///
/// If no key fits, the key set is fetched again, unless the last such fetch was too recent. If what is checked does not
/// name a key (`has_kid`), the key set is also fetched again if a key fits and is not the right one.
pub(super) async fn find(
    in_fixed: KeyMatch,
    remote: Option<&Arc<RemoteKeys>>,
    has_kid: bool,
    check: impl Fn(&KeySet) -> KeyMatch,
) -> Result<KeyMatch, Rejection> {
    let Some(remote) = remote.filter(|_| in_fixed != KeyMatch::Verified) else { return Ok(in_fixed) };
    let mut snapshot = remote.current().await?;
    let mut found = check(&snapshot.keys);
    // Each round looks into a newer key set. A second round is needed only if the fetch that was under way began
    // before the key was published.
    while found == KeyMatch::NoKey || found == KeyMatch::Mismatch && !has_kid {
        snapshot = match remote.newer_than(&snapshot).await {
            Ok(Some(newer)) => newer,
            Ok(None) => break,
            Err(_) if found == KeyMatch::Mismatch => break,
            Err(rejection) => return Err(rejection),
        };
        found = found.max(check(&snapshot.keys));
    }
    Ok(found.max(in_fixed))
}
