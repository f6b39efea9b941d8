use crate::protocol::{NumericDate, Scope, Sensitive, TokenType};
use http::{HeaderValue, header::InvalidHeaderValue};
use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use zeroize::Zeroizing;

/// A token that the authorization server issued. A clone shares the token, so a clone is cheap.
///
/// `Debug` does not show the token.
#[derive(Clone)]
pub struct ExchangedToken(Arc<Issued>);

struct Issued {
    token: Sensitive,
    authorization: HeaderValue,
    binding: Binding,
    token_type: TokenType,
    expires_at: Option<NumericDate>,
    scope: Option<Scope>,
}

/// Whether a token works with a DPoP proof only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Binding {
    Bearer,
    Dpop,
}

impl Binding {
    /// The `token_type` of an answer, and the scheme of `Authorization` (RFC 6750 section 2.1, RFC 9449 section 7.1).
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Bearer => "Bearer",
            Self::Dpop => "DPoP",
        }
    }
}

impl ExchangedToken {
    pub(super) fn new(
        token: Sensitive,
        binding: Binding,
        token_type: TokenType,
        expires_at: Option<NumericDate>,
        scope: Option<Scope>,
    ) -> Result<Self, InvalidHeaderValue> {
        let header = Zeroizing::new(format!("{} {}", binding.as_str(), token.expose()));
        let mut authorization = HeaderValue::from_str(&header)?;
        authorization.set_sensitive(true);
        Ok(Self(Arc::new(Issued { token, authorization, binding, token_type, expires_at, scope })))
    }

    /// The text of the token. The text is a secret.
    pub fn expose(&self) -> &str {
        self.0.token.expose()
    }

    /// The value of the header `Authorization` with the token: `Bearer` (RFC 6750 section 2.1), or `DPoP` for a token that is
    /// bound to the DPoP key of the client (RFC 9449 section 7.1). The value is marked as sensitive.
    pub fn authorization(&self) -> HeaderValue {
        self.0.authorization.clone()
    }

    /// Whether the token is bound to the DPoP key of the client. Each request with such a token needs a proof
    /// ([`ExchangeClient::proof`](super::ExchangeClient::proof)).
    pub fn is_dpop_bound(&self) -> bool {
        self.0.binding == Binding::Dpop
    }

    /// The type of the token (`issued_token_type`, RFC 8693 section 2.2.1).
    pub fn token_type(&self) -> &TokenType {
        &self.0.token_type
    }

    /// The time at which the token expires, counted from the time of the request. `None` if the server did not say.
    pub fn expires_at(&self) -> Option<SystemTime> {
        self.expiry().map(|at| UNIX_EPOCH + Duration::from_secs(at.seconds()))
    }

    pub(super) fn expiry(&self) -> Option<NumericDate> {
        self.0.expires_at
    }

    /// The scope of the token. `None` if the server did not say, because the scope is the requested one (RFC 6749 section 5.1).
    pub fn scope(&self) -> Option<&Scope> {
        self.0.scope.as_ref()
    }
}

// The token stays secret.
impl fmt::Debug for ExchangedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExchangedToken")
            .field("token_type", self.token_type())
            .field("is_dpop_bound", &self.is_dpop_bound())
            .field("expires_at", &self.0.expires_at)
            .field("scope", &self.0.scope)
            .finish_non_exhaustive()
    }
}
