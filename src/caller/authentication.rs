use super::{ExchangeError, form::Form, jwt};
use crate::{
    clock::Clock,
    protocol::{ClientId, Sensitive, basic_authorization},
    random,
    signing::Signer,
};
use http::HeaderValue;
use serde_json::json;
use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

/// The `client_assertion_type` of a JWT (RFC 7523 section 2.2).
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// The `client_assertion_type` of a JWT-SVID (draft-ietf-oauth-spiffe-client-auth).
const JWT_SPIFFE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-spiffe";
/// The seconds for which an assertion is valid.
const ASSERTION_LIFETIME: u64 = 60;

/// How the client authenticates at the token endpoint.
///
/// The page [`clients`](crate::manual::clients) describes the same methods from the side of the authorization server. `Debug`
/// shows the client id and the method only.
///
/// ```
/// use tower_token_exchange::{
///     caller::ClientAuthentication,
///     signing::{Algorithm, LocalSigner},
/// };
///
/// let with_secret = ClientAuthentication::secret_basic("orders", "6c1f7a0f5d9b4e2a8f3c");
/// let key = LocalSigner::generate(Algorithm::ES256)?;
/// let with_key = ClientAuthentication::private_key_jwt("orders", "https://as.example", key);
/// let token = "/var/run/secrets/tokens/as";
/// let of_kubernetes = ClientAuthentication::workload_token_file("orders", token);
/// # let _ = (with_secret, with_key, of_kubernetes);
/// # Ok::<(), tower_token_exchange::signing::KeyError>(())
/// ```
#[derive(Clone)]
pub struct ClientAuthentication {
    client_id: ClientId,
    method: Method,
}

#[derive(Clone)]
enum Method {
    /// `None` if the secret fits in no header.
    Basic(Option<HeaderValue>),
    Post(Sensitive),
    PrivateKeyJwt {
        audience: Arc<str>,
        signer: Box<Signer>,
        header: Arc<str>,
    },
    Certificate,
    TokenFile {
        path: PathBuf,
        assertion_type: &'static str,
    },
    Public,
}

impl ClientAuthentication {
    /// A secret in the header `Authorization` (`client_secret_basic`). The id and the secret are form-encoded (RFC 6749 section
    /// 2.3.1).
    pub fn secret_basic(client_id: impl Into<ClientId>, secret: impl AsRef<str>) -> Self {
        let client_id = client_id.into();
        let header = basic_authorization(client_id.as_str(), secret.as_ref()).ok();
        Self { client_id, method: Method::Basic(header) }
    }

    /// A secret in the form (`client_secret_post`).
    pub fn secret_post(client_id: impl Into<ClientId>, secret: impl Into<String>) -> Self {
        Self { client_id: client_id.into(), method: Method::Post(Sensitive::new(secret.into())) }
    }

    /// A key (`private_key_jwt`, RFC 7523). Each request gets an assertion of its own, which is valid for 60 s.
    ///
    /// The `audience` is the issuer identifier of the authorization server (draft-ietf-oauth-rfc7523bis). For an older server,
    /// give the URL of the token endpoint.
    pub fn private_key_jwt(
        client_id: impl Into<ClientId>,
        audience: impl Into<Arc<str>>,
        key: impl Into<Signer>,
    ) -> Self {
        let signer = Box::new(key.into());
        let header = json!({
            "alg": signer.algorithm().as_str(), "kid": signer.key_id(), "typ": "client-authentication+jwt",
        });
        let method = Method::PrivateKeyJwt { audience: audience.into(), signer, header: jwt::header(&header).into() };
        Self { client_id: client_id.into(), method }
    }

    /// A certificate (`tls_client_auth` or `self_signed_tls_client_auth`, RFC 8705 section 2). The HTTP service of the client
    /// presents the certificate, and the form has the client id.
    ///
    /// With the feature `fetch`, the method `client_certificate_pem` of `HttpFetchBuilder` sets the certificate.
    pub fn certificate(client_id: impl Into<ClientId>) -> Self {
        Self { client_id: client_id.into(), method: Method::Certificate }
    }

    /// The token of a workload in a file, such as the token of a Kubernetes service account. The token is sent as the client
    /// assertion (RFC 7523 section 2.2), and its audience is the issuer identifier of the authorization server.
    ///
    /// The file is read for each request to the token endpoint, because the platform replaces the token before the token
    /// expires.
    pub fn workload_token_file(client_id: impl Into<ClientId>, path: impl Into<PathBuf>) -> Self {
        let method = Method::TokenFile { path: path.into(), assertion_type: JWT_BEARER };
        Self { client_id: client_id.into(), method }
    }

    /// A JWT-SVID in a file (draft-ietf-oauth-spiffe-client-auth). The file is read for each request to the token endpoint.
    pub fn jwt_svid_file(client_id: impl Into<ClientId>, path: impl Into<PathBuf>) -> Self {
        let method = Method::TokenFile { path: path.into(), assertion_type: JWT_SPIFFE };
        Self { client_id: client_id.into(), method }
    }

    /// No authentication: the form has the client id only. Use a public client for nothing but tests and native applications.
    pub fn public(client_id: impl Into<ClientId>) -> Self {
        Self { client_id: client_id.into(), method: Method::Public }
    }

    /// The client id.
    pub fn client_id(&self) -> &ClientId {
        &self.client_id
    }

    /// The name of the method, as metadata name the method (RFC 8414 section 2) where there is a name.
    pub(super) fn name(&self) -> &'static str {
        match &self.method {
            Method::Basic(_) => "client_secret_basic",
            Method::Post(_) => "client_secret_post",
            Method::PrivateKeyJwt { .. } => "private_key_jwt",
            Method::Certificate => "tls_client_auth",
            Method::TokenFile { assertion_type: JWT_SPIFFE, .. } => "spiffe_jwt",
            Method::TokenFile { .. } => "federated_jwt",
            Method::Public => "none",
        }
    }

    /// The mistake in the settings, if there is one.
    pub(super) fn problem(&self) -> Option<&'static str> {
        match &self.method {
            _ if self.client_id.is_empty() => Some("the client id is empty; give the id of the record of this client"),
            Method::Basic(None) => Some("the client secret fits in no header; use `secret_post`"),
            Method::Post(secret) if secret.expose().is_empty() => {
                Some("the client secret is empty; give the secret, or use `public`")
            }
            _ => None,
        }
    }

    /// Writes the credentials into the form. Returns the header `Authorization`, if the method has one.
    pub(super) async fn authenticate(
        &self,
        form: &mut Form,
        clock: &Clock,
    ) -> Result<Option<HeaderValue>, ExchangeError> {
        match &self.method {
            Method::Basic(header) => return Ok(header.clone()),
            Method::Post(secret) => {
                form.add("client_id", self.client_id.as_str());
                form.add_sensitive("client_secret", secret.clone());
            }
            Method::PrivateKeyJwt { audience, signer, header } => {
                let jti: String = random::unique_id().ok_or_else(jwt::no_randomness)?;
                let now = clock.seconds();
                let claims = json!({
                    "iss": self.client_id, "sub": self.client_id, "aud": audience, "jti": jti, "iat": now,
                    "exp": now.saturating_add(ASSERTION_LIFETIME),
                });
                let assertion = jwt::sign(signer, header, &claims).await?;
                self.add_assertion(form, JWT_BEARER, assertion);
            }
            Method::TokenFile { path, assertion_type } => {
                let token = read_token(path).await.map_err(|error| ExchangeError::Credentials {
                    problem: format!("the token file {} cannot be read: {error}", path.display()),
                })?;
                self.add_assertion(form, assertion_type, token);
            }
            Method::Certificate | Method::Public => form.add("client_id", self.client_id.as_str()),
        }
        Ok(None)
    }

    fn add_assertion(&self, form: &mut Form, assertion_type: &'static str, assertion: Sensitive) {
        form.add("client_id", self.client_id.as_str());
        form.add("client_assertion_type", assertion_type);
        form.add_sensitive("client_assertion", assertion);
    }
}

/// Reads a token from a file. White space around the token does not count.
pub(super) async fn read_token(path: &Path) -> io::Result<Sensitive> {
    let path = path.to_owned();
    let read = move || {
        let text = Sensitive::new(fs::read_to_string(path)?);
        let token = text.expose().trim();
        if token.is_empty() {
            return Err(io::Error::other("the file is empty"));
        }
        Ok(Sensitive::new(token.to_owned()))
    };
    tokio::task::spawn_blocking(read).await.map_err(io::Error::other)?
}

// The credentials stay secret.
impl fmt::Debug for ClientAuthentication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientAuthentication")
            .field("client_id", &self.client_id)
            .field("method", &self.name())
            .finish_non_exhaustive()
    }
}
