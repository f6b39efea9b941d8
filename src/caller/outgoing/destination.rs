use crate::{
    caller::{ExchangeClient, ExchangeRequest, SubjectToken, builder::is_protected},
    fetch::{Origin, origin, web_uri},
};

/// A service that outgoing requests may be sent to: the origin of its URLs (RFC 6454), and the token that the service needs.
///
/// ```
/// use tower_token_exchange::caller::Destination;
///
/// let billing = Destination::new("https://billing.example").target("billing").scope("read");
/// # let _ = billing;
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Destination {
    pub(super) url: String,
    audiences: Vec<String>,
    resources: Vec<String>,
    scope: Option<String>,
    is_plain_http_allowed: bool,
}

impl Destination {
    /// A service at this origin: scheme, host, and the port if the port is not the default. Two origins are the same only if all
    /// three are the same.
    pub fn new(origin: impl Into<String>) -> Self {
        Self {
            url: origin.into(),
            audiences: Vec::new(),
            resources: Vec::new(),
            scope: None,
            is_plain_http_allowed: false,
        }
    }

    /// Adds the name of the service for the exchange ([`ExchangeRequest::target`]).
    pub fn target(mut self, name: impl Into<String>) -> Self {
        self.audiences.push(name.into());
        self
    }

    /// Adds the URI of the service for the exchange ([`ExchangeRequest::resource`]).
    pub fn resource(mut self, uri: impl Into<String>) -> Self {
        self.resources.push(uri.into());
        self
    }

    /// Sets the scope of the token ([`ExchangeRequest::scope`]). Default: the server decides.
    pub fn scope(mut self, scope: impl Into<String>) -> Self {
        self.scope = Some(scope.into());
        self
    }

    /// Permits `http` to a host that is not this machine, for a network that encrypts all connections itself, such as a service
    /// mesh. Default: whoever can read the network must not see a token, so `http` is permitted to loopback addresses only.
    pub fn allow_http(mut self) -> Self {
        self.is_plain_http_allowed = true;
        self
    }

    /// The origin, or what is wrong with the destination.
    pub(super) fn checked(&self) -> Result<Origin, String> {
        let url = &self.url;
        let uri = web_uri(url).filter(|uri| uri.path_and_query().is_none_or(|path| path == "/"));
        let uri = uri.ok_or_else(|| format!("{url:?} is no origin; give scheme and host, such as `https://host`"))?;
        if !self.is_plain_http_allowed && !is_protected(&uri) {
            return Err(format!(
                "{url:?} would get tokens over plain http; give an `https` origin, or call `allow_http`"
            ));
        }
        if self.audiences.is_empty() && self.resources.is_empty() {
            return Err(format!("{url:?} has no target; name the service with `target` or `resource`"));
        }
        origin(url).ok_or_else(|| format!("{url:?} is no origin; give scheme and host, such as `https://host`"))
    }

    /// The exchange for a request to this service.
    pub(super) fn exchange(&self, client: &ExchangeClient, subject: SubjectToken) -> ExchangeRequest {
        let request = client.exchange(subject);
        let request = self.audiences.iter().fold(request, |request, name| request.target(name));
        let request = self.resources.iter().fold(request, |request, uri| request.resource(uri));
        match &self.scope {
            Some(scope) => request.scope(scope),
            None => request,
        }
    }
}
