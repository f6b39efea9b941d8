//! The methods of a client that presents a certificate (RFC 8705 section 2).

use super::{AuthenticationMethod, PeerCertificates, svid::Bundles};
use crate::{
    jose::{KeyMatch, KeySet, base64url},
    jwks::ClientKeys,
    protocol::{Reason, Rejection, refuse},
    records::{CertificateName, ClientCertificates, ClientRecord, DistinguishedName},
};
use serde_json::{Map, Value};
use std::net::IpAddr;
use x509_parser::{
    certificate::X509Certificate,
    extensions::GeneralName,
    prelude::FromDer,
    public_key::PublicKey,
    x509::{AttributeTypeAndValue, SubjectPublicKeyInfo},
};

const P256: &str = "1.2.840.10045.3.1.7";
const P384: &str = "1.3.132.0.34";
const ED25519: &str = "1.3.101.112";

/// Checks that a certificate belongs to a client, and returns the method that says so.
pub(super) async fn check(
    certificates: &PeerCertificates,
    client: &ClientRecord,
    keys: &ClientKeys,
    bundles: &Bundles<'_>,
) -> Result<AuthenticationMethod, Rejection> {
    let accepted = &client.methods.certificates;
    let der = certificates.leaf().ok_or_else(|| malformed("none was found in the header of the proxy"))?;
    if accepted.have(der) {
        return Ok(AuthenticationMethod::SelfSignedTlsClientAuth);
    }
    let certificate = match X509Certificate::from_der(der) {
        Ok(([], certificate)) => certificate,
        _ => return Err(malformed("not a certificate in DER")),
    };
    if accepted.of_keys {
        let own = jwk_of(certificate.public_key()).map(|jwk| KeySet::from_jwks(&[jwk]));
        let is_own = |set: &KeySet| match &own {
            Some(own) if own.overlaps(set) => KeyMatch::Verified,
            _ => KeyMatch::NoKey,
        };
        if keys.find(client, true, is_own).await? == KeyMatch::Verified {
            return Ok(AuthenticationMethod::SelfSignedTlsClientAuth);
        }
    }
    let has_valid_chain = certificates.has_valid_chain();
    if let Some(name) = accepted.name()
        && has_valid_chain
        && has_name(&certificate, name)?
    {
        return Ok(AuthenticationMethod::TlsClientAuth);
    }
    let workloads = &client.methods.workloads;
    if let Some(id) = spiffe_id_of(&certificate)?.filter(|id| workloads.have_spiffe_id(id)) {
        bundles.check(certificates, id).await?;
        return Ok(AuthenticationMethod::SpiffeX509);
    }
    Err(refuse(match accepted.name() {
        Some(_) if !has_valid_chain => Reason::ClientCertificateUntrusted,
        _ => Reason::ClientCertificateMismatch,
    }))
}

fn malformed(detail: &str) -> Rejection {
    refuse(Reason::ClientCertificateMalformed).with_detail(detail)
}

/// Whether a certificate has a name of exactly this kind.
fn has_name(certificate: &X509Certificate<'_>, name: &CertificateName) -> Result<bool, Rejection> {
    if let CertificateName::SubjectDn(subject) = name {
        return Ok(subject_of(certificate).is_some_and(|own| ClientCertificates::subject(subject) == Some(own)));
    }
    let names = certificate.subject_alternative_name().map_err(|_| malformed("its alternative names"))?;
    let is_name = |found: &GeneralName<'_>| match (name, found) {
        (CertificateName::SanDns(name), GeneralName::DNSName(found))
        | (CertificateName::SanUri(name), GeneralName::URI(found))
        | (CertificateName::SanEmail(name), GeneralName::RFC822Name(found)) => name == found,
        (CertificateName::SanIp(IpAddr::V4(name)), GeneralName::IPAddress(found)) => name.octets() == *found,
        (CertificateName::SanIp(IpAddr::V6(name)), GeneralName::IPAddress(found)) => name.octets() == *found,
        _ => false,
    };
    Ok(names.is_some_and(|names| names.value.general_names.iter().any(is_name)))
}

/// The SPIFFE ID of an X.509-SVID: the only URI among the alternative names (SPIFFE X509-SVID section 2). A certificate that may
/// sign other certificates or revocation lists is no X.509-SVID of a workload (section 5.2).
fn spiffe_id_of<'a>(certificate: &'a X509Certificate<'_>) -> Result<Option<&'a str>, Rejection> {
    let usage = certificate.key_usage().map_err(|_| malformed("its key usage"))?;
    if certificate.is_ca() || usage.is_some_and(|usage| usage.value.key_cert_sign() || usage.value.crl_sign()) {
        return Ok(None);
    }
    let names = certificate.subject_alternative_name().map_err(|_| malformed("its alternative names"))?;
    let names = names.map_or(&[][..], |names| &names.value.general_names);
    let mut uris = names.iter().filter_map(|name| match name {
        GeneralName::URI(uri) => Some(*uri),
        _ => None,
    });
    Ok(uris.next().filter(|_| uris.next().is_none()))
}

/// The subject of a certificate. `None` if a value is not a text.
fn subject_of(certificate: &X509Certificate<'_>) -> Option<DistinguishedName> {
    let pair = |attribute: &AttributeTypeAndValue<'_>| {
        Some((attribute.attr_type().to_id_string(), attribute.as_str().ok()?.to_owned()))
    };
    let parts: Option<Vec<_>> =
        certificate.subject().iter_rdn().map(|part| part.iter().map(pair).collect::<Option<_>>()).collect();
    Some(DistinguishedName::new(parts?))
}

/// The public key of a certificate as a JSON Web Key. `None` for a key of an unknown kind.
fn jwk_of(key: &SubjectPublicKeyInfo<'_>) -> Option<Map<String, Value>> {
    let members = match key.parsed().ok()? {
        PublicKey::RSA(rsa) => {
            let number = |bytes: &[u8]| {
                let start = bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len());
                base64url(&bytes[start..])
            };
            vec![("kty", "RSA".to_owned()), ("n", number(rsa.modulus)), ("e", number(rsa.exponent))]
        }
        PublicKey::EC(point) => {
            let curve = key.algorithm.parameters.as_ref()?.as_oid().ok()?.to_id_string();
            let (name, size) = match &*curve {
                P256 => ("P-256", 32),
                P384 => ("P-384", 48),
                _ => return None,
            };
            let [4, coordinates @ ..] = point.data() else { return None };
            let (x, y) = coordinates.split_at_checked(size)?;
            vec![("kty", "EC".to_owned()), ("crv", name.to_owned()), ("x", base64url(x)), ("y", base64url(y))]
        }
        PublicKey::Unknown(bytes) if key.algorithm.algorithm.to_id_string() == ED25519 => {
            vec![("kty", "OKP".to_owned()), ("crv", "Ed25519".to_owned()), ("x", base64url(bytes))]
        }
        _ => return None,
    };
    Some(members.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect())
}
