use crate::{
    plug::{BoxHttpService, HttpService, boxed},
    protocol::basic_authorization,
    records::collected,
};
use http::{HeaderValue, header::InvalidHeaderValue};
use serde::Deserialize;
#[cfg(feature = "introspection-cache")]
use std::time::Duration;
use std::{
    fmt, io,
    path::{Path, PathBuf},
};

/// The introspection endpoint of an issuer (RFC 7662), for tokens that the layer cannot verify itself.
///
/// The layer asks the endpoint about two groups of tokens:
///
/// - a token that is not a signed JWT. The token does not name its issuer, so only one issuer record with introspection
///   can accept each declared type;
/// - every token of an issuer whose record has no keys.
///
/// [`introspect`](Self::introspect) adds further tokens. Tokens that the layer issued are never introspected.
///
/// The response has status 200 and JSON with `"active": true`. Its claims then pass the same checks as the claims of a
/// JWT of this issuer: `exp` is required, and times, `aud`, presenter and tenant are checked. If the endpoint does not
/// answer, or the answer cannot be read, the exchange is refused with 503.
///
/// ```
/// use tower_token_exchange::{Issuer, records::Introspection};
///
/// let legacy = Issuer::new("https://as.example")
///     .introspection(Introspection::basic("https://as.example/introspect", "exchange", "rT4wK8sB3nH6jD1pX7mQ2vL9"));
/// # let _ = legacy;
/// ```
#[derive(Clone)]
#[must_use]
pub struct Introspection {
    pub(crate) endpoint: String,
    pub(crate) authorization: Option<HeaderValue>,
    /// The file with the secret, until the file is read.
    pub(super) file: Option<CredentialFile>,
    pub(crate) http: Option<BoxHttpService>,
    pub(crate) tokens: IntrospectedTokens,
    pub(crate) untyped_answers: bool,
    /// The values of `token_type` that mean an access token, in addition to `Bearer`.
    pub(crate) token_types: Vec<String>,
    #[cfg(feature = "introspection-cache")]
    pub(crate) cache: Option<(u64, Duration)>,
}

/// The tokens of an issuer about which the introspection endpoint is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(inline))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum IntrospectedTokens {
    /// Tokens that are not signed JWTs, and every token of an issuer whose record has no keys.
    #[default]
    Opaque,
    /// Also JWTs that no published key of the issuer verifies, such as JWTs with HS256.
    ///
    /// A JWT without `iss` belongs to the issuer that is asked about opaque tokens of the declared type.
    Unverifiable,
    /// Every token, also after its signature was verified. A token that was revoked at the issuer is then refused.
    Every,
}

/// A file with a secret of the layer, and what the secret is for.
#[derive(Clone, Debug)]
pub(crate) struct CredentialFile {
    /// The client id of a client secret. A bearer token has none.
    pub(super) client_id: Option<String>,
    pub(super) path: PathBuf,
}

impl Introspection {
    /// An endpoint that the layer calls with a client id and a secret (`client_secret_basic`, RFC 6749 section 2.3.1).
    pub fn basic(endpoint: impl Into<String>, client_id: impl AsRef<str>, secret: impl AsRef<str>) -> Self {
        Self::with_authorization(endpoint, basic_authorization(client_id.as_ref(), secret.as_ref()))
    }

    /// An endpoint that the layer calls with a bearer token (RFC 6750 section 2.1).
    pub fn bearer(endpoint: impl Into<String>, token: impl AsRef<str>) -> Self {
        Self::with_authorization(endpoint, HeaderValue::try_from(format!("Bearer {}", token.as_ref())))
    }

    fn with_authorization(endpoint: impl Into<String>, authorization: Result<HeaderValue, InvalidHeaderValue>) -> Self {
        Self {
            endpoint: endpoint.into(),
            authorization: sensitive(authorization),
            file: None,
            http: None,
            tokens: IntrospectedTokens::Opaque,
            untyped_answers: false,
            token_types: Vec::new(),
            #[cfg(feature = "introspection-cache")]
            cache: None,
        }
    }

    /// An endpoint whose credentials are read from a file later.
    pub(super) fn with_file(endpoint: String, file: CredentialFile) -> Self {
        Self { authorization: None, file: Some(file), ..Self::bearer(endpoint, "") }
    }

    /// The file with the secret, until the file is read.
    pub(super) fn file(&self) -> Option<&Path> {
        self.file.as_ref().map(|file| file.path.as_path())
    }

    /// Takes the secret out of the file, if the credentials are in a file. White space around the secret does not count.
    pub(super) fn read_file(&mut self, read: impl FnOnce(&Path) -> io::Result<String>) -> Result<(), CredentialError> {
        let Some(CredentialFile { client_id, path }) = &self.file else { return Ok(()) };
        let key = if client_id.is_some() { "client_secret_file" } else { "bearer_token_file" };
        let text = read(path).map_err(|error| CredentialError { key, problem: error.to_string() })?;
        let secret = text.trim();
        if secret.is_empty() {
            return Err(CredentialError { key, problem: "the file is empty: write the secret into the file".into() });
        }
        self.authorization = sensitive(match client_id {
            Some(id) => basic_authorization(id, secret),
            None => HeaderValue::try_from(format!("Bearer {secret}")),
        });
        self.file = None;
        Ok(())
    }

    /// Sets the HTTP service for this endpoint. Default: the layer's [`http`](crate::TokenExchangeBuilder::http).
    ///
    /// [`fetch::in_process`](crate::fetch::in_process) turns the wrapped service itself into an HTTP service.
    pub fn http(mut self, service: impl HttpService) -> Self {
        self.http = Some(boxed(service));
        self
    }

    /// Sets the tokens about which the endpoint is asked. Default: [`IntrospectedTokens::Opaque`].
    ///
    /// In a document, the values are `opaque`, `unverifiable` and `every`.
    pub fn introspect(mut self, tokens: IntrospectedTokens) -> Self {
        self.tokens = tokens;
        self
    }

    /// Accepts answers without `token_type`.
    ///
    /// Many servers also answer for refresh tokens, which only a missing `token_type` shows. Use this setting only if the
    /// endpoint answers for access tokens alone.
    pub fn allow_missing_token_type(mut self) -> Self {
        self.untyped_answers = true;
        self
    }

    /// Accepts answers with one of these values of `token_type`, in addition to `Bearer` (RFC 6750). Upper and lower case
    /// make no difference.
    ///
    /// For servers that write another word for a bearer token, such as `access_token`.
    pub fn token_types<T: Into<String>>(mut self, types: impl IntoIterator<Item = T>) -> Self {
        self.token_types = collected(types);
        self
    }

    /// Keeps answers about active tokens, at most `entries`, and for `time_to_live`, which is at most one day.
    ///
    /// No answer is kept longer than its token is valid. A revocation goes unnoticed for up to `time_to_live`.
    ///
    /// Default: every exchange asks the endpoint.
    #[cfg(feature = "introspection-cache")]
    pub fn cache(mut self, entries: u64, time_to_live: Duration) -> Self {
        self.cache = Some((entries, time_to_live));
        self
    }
}

/// A file with credentials that cannot be used.
pub(super) struct CredentialError {
    pub(super) key: &'static str,
    pub(super) problem: String,
}

fn sensitive(authorization: Result<HeaderValue, InvalidHeaderValue>) -> Option<HeaderValue> {
    authorization.ok().filter(|value| value.to_str().is_ok()).map(|mut value| {
        value.set_sensitive(true);
        value
    })
}

// The credentials stay secret.
impl fmt::Debug for Introspection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Introspection").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}
