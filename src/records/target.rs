use super::names;
use std::time::Duration;

/// A target service: the names that clients ask for, the one `aud` that they become, and who may call it.
///
/// A fresh record can be called by nobody and has no scopes.
///
/// ```
/// use tower_token_exchange::Target;
///
/// let billing = Target::new("billing")
///     .resource("https://billing.example/api")
///     .audience_claim("https://billing.example")
///     .served_by("billing")
///     .allow_clients(["orders"])
///     .scopes(["invoices:read", "invoices:write"])
///     .translate("orders:read", ["invoices:read"]);
/// # let _ = billing;
/// ```
#[derive(Clone, Debug)]
pub struct Target {
    pub(crate) id: String,
    pub(crate) resources: Vec<String>,
    pub(crate) audiences: Vec<String>,
    pub(crate) aud: String,
    pub(crate) owner: Option<String>,
    pub(crate) callers: Vec<String>,
    pub(crate) scopes: Vec<String>,
    pub(crate) translation: Option<Vec<(String, Vec<String>)>>,
    pub(crate) claims: Vec<String>,
    pub(crate) max_lifetime: Option<Duration>,
}

impl Target {
    /// A target by its id, which is its logical name too: `audience=<id>` finds it. Its `aud` is the id until
    /// [`Target::audience_claim`] says otherwise.
    pub fn new(id: impl Into<String>) -> Self {
        let id = id.into();
        Self {
            audiences: vec![id.clone()],
            aud: id.clone(),
            id,
            resources: Vec::new(),
            owner: None,
            callers: Vec::new(),
            scopes: Vec::new(),
            translation: None,
            claims: Vec::new(),
            max_lifetime: None,
        }
    }

    /// One more URI under which `resource` finds the target (RFC 8707 section 2).
    #[must_use]
    pub fn resource(mut self, uri: impl Into<String>) -> Self {
        self.resources.push(uri.into());
        self
    }

    /// One more logical name under which `audience` finds the target (RFC 8693 section 2.1).
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.audiences.push(name.into());
        self
    }

    /// The `aud` of tokens for this target (RFC 9068 section 3). No two targets share one.
    #[must_use]
    pub fn audience_claim(mut self, aud: impl Into<String>) -> Self {
        self.aud = aud.into();
        self
    }

    /// The client that is this service: it may exchange the tokens that it receives here.
    #[must_use]
    pub fn served_by(mut self, client_id: impl Into<String>) -> Self {
        self.owner = Some(client_id.into());
        self
    }

    /// The clients that may ask for tokens for this target.
    #[must_use]
    pub fn allow_clients<T: Into<String>>(mut self, client_ids: impl IntoIterator<Item = T>) -> Self {
        self.callers = names(client_ids);
        self
    }

    /// The scopes that mean something here.
    #[must_use]
    pub fn scopes<T: Into<String>>(mut self, scopes: impl IntoIterator<Item = T>) -> Self {
        self.scopes = names(scopes);
        self
    }

    /// What one scope of the subject token is worth here. With any translation, scopes without one vanish;
    /// without any, scopes keep their names.
    #[must_use]
    pub fn translate<T: Into<String>>(
        mut self,
        upstream: impl Into<String>,
        here: impl IntoIterator<Item = T>,
    ) -> Self {
        self.translation.get_or_insert_default().push((upstream.into(), names(here)));
        self
    }

    /// Claims of the subject token that tokens for this target carry on, by name; those that this crate writes
    /// itself cannot be named. From a foreign issuer, only those that its record names too
    /// ([`Issuer::claims`](super::Issuer::claims)).
    #[must_use]
    pub fn claims<T: Into<String>>(mut self, claims: impl IntoIterator<Item = T>) -> Self {
        self.claims = names(claims);
        self
    }

    /// Lowers the lifetime of tokens for this target.
    #[must_use]
    pub fn max_lifetime(mut self, lifetime: Duration) -> Self {
        self.max_lifetime = Some(lifetime);
        self
    }

    /// The id of the record.
    pub fn id(&self) -> &str {
        &self.id
    }
}
