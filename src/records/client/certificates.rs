//! The methods of a client that presents a certificate (RFC 8705 section 2).

use super::{Client, distinguished_name::DistinguishedName};
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
    names: Vec<CertificateName>,
    /// Whether the keys of the client may be in a certificate.
    pub(crate) of_keys: bool,
    /// The SHA-256 hashes of certificates.
    thumbprints: Vec<[u8; 32]>,
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

/// How the client authenticates with a certificate.
impl Client {
    /// Accepts a certificate with this name, if its chain is valid (`tls_client_auth`, RFC 8705 section 2.1).
    ///
    /// The TLS acceptor says whether the chain is valid
    /// ([`PeerCertificates::with_valid_chain`](crate::client_auth::PeerCertificates::with_valid_chain)). A record has at most one
    /// name.
    ///
    /// ```
    /// use tower_token_exchange::{Client, records::CertificateName};
    ///
    /// let orders = Client::new("orders").tls_client_auth(CertificateName::SanDns("orders.example".into()));
    /// # let _ = orders;
    /// ```
    #[cfg_attr(docsrs, doc(cfg(feature = "client-certificates")))]
    pub fn tls_client_auth(mut self, name: CertificateName) -> Self {
        self.methods.certificates.names.push(name);
        self
    }

    /// Accepts every certificate with a key of the client (`self_signed_tls_client_auth`, RFC 8705 section 2.2): of its
    /// [`keys`](Self::keys) or its [`jwks_uri`](Self::jwks_uri). Who issued the certificate does not matter.
    #[cfg_attr(docsrs, doc(cfg(feature = "client-certificates")))]
    pub fn self_signed_tls_client_auth(mut self) -> Self {
        self.methods.certificates.of_keys = true;
        self
    }

    /// Accepts the certificate with this SHA-256 hash, as 64 hexadecimal digits with or without colons
    /// (`self_signed_tls_client_auth`). Each call adds a certificate, so that a client can have two while one replaces the
    /// other.
    ///
    /// The command `openssl x509 -noout -fingerprint -sha256` prints the hash.
    #[cfg_attr(docsrs, doc(cfg(feature = "client-certificates")))]
    pub fn certificate_sha256(mut self, hex: impl AsRef<str>) -> Self {
        let hex = hex.as_ref().replace(':', "");
        let bytes = data_encoding::HEXLOWER_PERMISSIVE.decode(hex.as_bytes()).ok();
        match bytes.and_then(|bytes| bytes.try_into().ok()) {
            Some(hash) => self.methods.certificates.thumbprints.push(hash),
            None => {
                let help = "not 64 hexadecimal digits: give the SHA-256 hash of the certificate in DER";
                self.mistakes.push(("certificate_sha256", help));
            }
        }
        self
    }
}
