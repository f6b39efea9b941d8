//! The methods of a client that presents a certificate (RFC 8705 section 2).

use super::distinguished_name::DistinguishedName;
use crate::records::{ConfigErrorKind, Place, Problems};
use ring::digest::{SHA256, digest};
use std::net::IpAddr;

/// The name in a certificate by which a client is known (RFC 8705 section 2.1.2). Names are compared exactly, with their case.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CertificateName {
    /// The subject, in the text form of RFC 4514, such as `CN=orders,O=Example`. The command
    /// `openssl x509 -noout -subject -nameopt RFC2253` prints the subject in this form.
    SubjectDn(String),
    /// A DNS name among the alternative names.
    SanDns(String),
    /// A URI among the alternative names.
    SanUri(String),
    /// An IP address among the alternative names.
    SanIp(IpAddr),
    /// An email address among the alternative names.
    SanEmail(String),
}

impl CertificateName {
    /// The name of the client metadata (RFC 8705 section 2.1.2), which is the key of a document.
    pub(super) fn key(&self) -> &'static str {
        match self {
            Self::SubjectDn(_) => "tls_client_auth_subject_dn",
            Self::SanDns(_) => "tls_client_auth_san_dns",
            Self::SanUri(_) => "tls_client_auth_san_uri",
            Self::SanIp(_) => "tls_client_auth_san_ip",
            Self::SanEmail(_) => "tls_client_auth_san_email",
        }
    }
}

/// The certificates that a client may present.
#[derive(Clone, Debug, Default)]
pub(crate) struct ClientCertificates {
    pub(super) names: Vec<CertificateName>,
    /// Whether the keys of the client may be in a certificate.
    pub(crate) of_keys: bool,
    /// The SHA-256 hashes of certificates.
    pub(super) thumbprints: Vec<[u8; 32]>,
}

impl ClientCertificates {
    pub(super) fn are_some(&self) -> bool {
        !self.names.is_empty() || self.of_keys || !self.thumbprints.is_empty()
    }

    /// Whether a certificate is known by its key or its hash.
    pub(super) fn are_of_keys(&self) -> bool {
        self.of_keys || !self.thumbprints.is_empty()
    }

    /// The name by which the client is known. The records allow one.
    pub(crate) fn name(&self) -> Option<&CertificateName> {
        self.names.first()
    }

    /// The subject by which the client is known.
    pub(crate) fn subject(name: &str) -> Option<DistinguishedName> {
        DistinguishedName::parse(name)
    }

    /// Whether the record has the hash of a certificate.
    pub(crate) fn have(&self, der: &[u8]) -> bool {
        self.thumbprints.iter().any(|known| known == digest(&SHA256, der).as_ref())
    }

    pub(super) fn check(&self, has_keys: bool, place: &Place<'_>, problems: &mut Problems) {
        if let [_, second, ..] = self.names.as_slice() {
            let help = "a second name: give exactly one name of a certificate (RFC 8705 section 2.1.2)";
            problems.add(place.wrong(second.key(), help).of_kind(ConfigErrorKind::Conflict));
        }
        for name in &self.names {
            let is_right = match name {
                CertificateName::SubjectDn(subject) => DistinguishedName::parse(subject).is_some(),
                CertificateName::SanDns(text) | CertificateName::SanUri(text) | CertificateName::SanEmail(text) => {
                    !text.is_empty()
                }
                CertificateName::SanIp(_) => true,
            };
            if !is_right {
                let help = "not a name: give the exact name; a subject has the form `CN=orders,O=Example` (RFC 4514)";
                problems.add(place.wrong(name.key(), help));
            }
        }
        if self.of_keys && !has_keys {
            let help =
                "the certificate has a key of the client: give `jwks` or `jwks_uri`, or give `certificate_sha256`";
            problems.add(place.wrong("self_signed_tls_client_auth", help).of_kind(ConfigErrorKind::Missing));
        }
    }
}
