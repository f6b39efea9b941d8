//! The method `private_key_jwt`: the client signs an assertion with a key of its record (RFC 7523, rfc7523bis).

use super::assertion::{Assertion, Expected, found};
use crate::{
    jose::{KeySet, KeyUse},
    jwks::ClientKeys,
    protocol::{ClientId, Detail, NumericDate, Reason, Rejection, refuse},
    records::{ClientRecord, Registry},
    replay::{Replays, UseKey, UseKind},
};
use std::sync::Arc;

/// Finds the client that an assertion names, and checks that the client signed the assertion for this server.
///
/// Everything that needs no key is checked first, and only a client with a record causes a fetch of keys.
pub(super) async fn check(
    assertion: &Assertion<'_>,
    client_id: Option<&str>,
    registry: &Registry,
    keys: &ClientKeys,
    replays: &Replays,
    expected: &Expected<'_>,
) -> Result<ClientId, Rejection> {
    let (issuer, subject) = (assertion.text("iss")?, assertion.text("sub")?);
    if issuer != subject || client_id.is_some_and(|claimed| claimed != subject) {
        let detail = Detail::from("iss ").unverified(issuer).words(", sub ").unverified(subject);
        return Err(refuse(Reason::ClientAssertionOfAnother).with_detail(detail));
    }
    let client = registry.client(subject).filter(|client| client.methods.keys.is_some());
    let client: &Arc<ClientRecord> = client.ok_or_else(|| refuse(Reason::ClientRejected))?;
    let methods = &client.methods;
    assertion.check_header(methods)?;
    assertion.check_audience(methods, expected)?;
    assertion.check_times(expected)?;
    assertion.check_lifetime(methods.assertion_lifetime(), expected)?;
    let key = UseKey::new(UseKind::ClientAssertion, &client.id, assertion.id()?);
    let header = &assertion.header;
    let verify = |set: &KeySet| set.verify(header, &assertion.jws, KeyUse::Signature, expected.cryptography);
    found(keys.find(client, header.kid.is_some(), verify).await?, assertion)?;
    // Only an assertion that is right in every other way is used up.
    replays.use_once(key, &client.id, NumericDate::from_seconds(assertion.expires()?)).await?;
    Ok(client.id.clone())
}
