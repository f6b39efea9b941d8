use crate::protocol::named_values;

/// A method of client authentication, by its registered name (RFC 7591 section 2, RFC 8705 section 2). A method without a
/// registered name has a name of this crate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AuthenticationMethod {
    /// The client sends its id and its secret in the `Authorization` header.
    ClientSecretBasic,
    /// The client sends its id and its secret in the form.
    ClientSecretPost,
    /// The client signs an assertion with its private key (RFC 7523 section 2.2).
    PrivateKeyJwt,
    /// The client has a certificate from an authority, and its record has a name in the certificate (RFC 8705 section 2.1).
    TlsClientAuth,
    /// The client has a certificate whose key or thumbprint is in its record (RFC 8705 section 2.2).
    SelfSignedTlsClientAuth,
    /// The assertion is a token that another issuer, such as a Kubernetes cluster, issued to the workload.
    FederatedJwt,
    /// The assertion is a JWT-SVID of a SPIFFE trust domain.
    SpiffeJwt,
    /// The certificate is an X.509-SVID of a SPIFFE trust domain.
    SpiffeX509,
    /// A method of the application: of its [`ClientAuthenticator`](super::ClientAuthenticator), or of an outer layer.
    Other,
    /// No authentication: the client sends only its id. Such a client is a public client (RFC 6749 section 2.1).
    None,
}

impl AuthenticationMethod {
    /// Every method.
    pub const ALL: &'static [Self] = &[
        Self::ClientSecretBasic,
        Self::ClientSecretPost,
        Self::PrivateKeyJwt,
        Self::TlsClientAuth,
        Self::SelfSignedTlsClientAuth,
        Self::FederatedJwt,
        Self::SpiffeJwt,
        Self::SpiffeX509,
        Self::Other,
        Self::None,
    ];

    /// The methods with a secret (RFC 6749 section 2.3.1).
    pub const WITH_SECRET: &'static [Self] = &[Self::ClientSecretBasic, Self::ClientSecretPost];

    /// The name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ClientSecretBasic => "client_secret_basic",
            Self::ClientSecretPost => "client_secret_post",
            Self::PrivateKeyJwt => "private_key_jwt",
            Self::TlsClientAuth => "tls_client_auth",
            Self::SelfSignedTlsClientAuth => "self_signed_tls_client_auth",
            Self::FederatedJwt => "federated_jwt",
            Self::SpiffeJwt => "spiffe_jwt",
            Self::SpiffeX509 => "spiffe_x509",
            Self::Other => "other",
            Self::None => "none",
        }
    }

    /// Whether the client proves that it has a private key of its own, as FAPI 2.0 requires.
    ///
    /// ```
    /// use tower_token_exchange::client_auth::AuthenticationMethod;
    ///
    /// assert!(AuthenticationMethod::PrivateKeyJwt.proves_a_key());
    /// assert!(!AuthenticationMethod::ClientSecretBasic.proves_a_key());
    /// ```
    pub const fn proves_a_key(self) -> bool {
        matches!(self, Self::PrivateKeyJwt | Self::TlsClientAuth | Self::SelfSignedTlsClientAuth | Self::SpiffeX509)
    }
}

named_values!(AuthenticationMethod, as_str, "a client authentication method");
