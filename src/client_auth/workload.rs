//! The methods of workloads: the assertion is a token that the platform of the workload issued.

use super::{
    AuthenticationMethod,
    assertion::{Assertion, Expected, found, malformed},
    authentication::Authenticated,
};
use crate::{
    jose::{KeySet, KeyUse},
    jwks::TrustedKeys,
    protocol::{Detail, Reason, Rejection, refuse},
    records::{ClientRecord, IssuerRecord, Registry},
};

/// Checks a token of an issuer that the record of the client names.
pub(super) async fn check_federated(
    assertion: &Assertion<'_>,
    client: &ClientRecord,
    registry: &Registry,
    keys: &TrustedKeys,
    expected: &Expected<'_>,
) -> Result<Authenticated, Rejection> {
    let (issuer, subject) = (assertion.text("iss")?, assertion.text("sub")?);
    let mut named = client.methods.workloads.federated.iter();
    let named = named.find(|credential| credential.issuer == *issuer && credential.subject == subject);
    let record = named.and_then(|credential| Some((credential, registry.issuer(&credential.issuer)?)));
    let Some((credential, record)) = record else {
        let detail = Detail::from("iss ").unverified(issuer).words(", sub ").unverified(subject);
        return Err(refuse(Reason::ClientAssertionOfAnother).with_detail(detail));
    };
    assertion.check_sole_audience(credential.audience.as_deref().unwrap_or(expected.issuer.as_str()))?;
    assertion.check_typ(&["jwt"])?;
    check_genuine(assertion, record, KeyUse::Signature, keys, expected).await?;
    Ok((client.id.clone(), AuthenticationMethod::FederatedJwt))
}

/// Checks a JWT-SVID, and finds the client that the workload is. The keys are those of the trust domain, whatever `iss` says.
pub(super) async fn check_svid(
    assertion: &Assertion<'_>,
    client_id: Option<&str>,
    registry: &Registry,
    keys: &TrustedKeys,
    expected: &Expected<'_>,
) -> Result<Authenticated, Rejection> {
    let id = assertion.text("sub")?;
    let domain = registry.trust_domain_of(id).ok_or_else(|| malformed("`sub` is in no known trust domain"))?;
    let is_client = |client: &&ClientRecord| client.methods.workloads.have_spiffe_id(id);
    let client = match client_id {
        Some(client_id) => registry.client(client_id).map(|client| &**client).filter(is_client),
        None => {
            let mut clients = registry.clients().map(|client| &**client).filter(is_client);
            // Two clients cannot be told apart.
            clients.next().filter(|_| clients.next().is_none())
        }
    };
    let client = client
        .ok_or_else(|| refuse(Reason::ClientAssertionOfAnother).with_detail(Detail::from("sub ").unverified(id)))?;
    assertion.check_sole_audience(expected.issuer.as_str())?;
    assertion.check_typ(&["jwt", "jose"])?;
    check_genuine(assertion, domain, KeyUse::JwtSvid, keys, expected).await?;
    Ok((client.id.clone(), AuthenticationMethod::SpiffeJwt))
}

/// Checks the times and the signature. A platform gives out one token until it expires, so that the token can be used again.
async fn check_genuine(
    assertion: &Assertion<'_>,
    issuer: &IssuerRecord,
    key_use: KeyUse,
    keys: &TrustedKeys,
    expected: &Expected<'_>,
) -> Result<(), Rejection> {
    let header = &assertion.header;
    if !issuer.algorithms.contains(&header.algorithm) {
        let detail = format_args!("alg `{}`", header.algorithm);
        return Err(refuse(Reason::ClientAssertionAlgorithmRefused).with_detail(detail));
    }
    assertion.check_times(expected)?;
    let verify = |set: &KeySet| set.verify(header, &assertion.jws, key_use, expected.cryptography);
    found(keys.verify(issuer, header.kid.is_some(), verify).await?, assertion)
}
