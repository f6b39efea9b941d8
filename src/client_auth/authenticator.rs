use super::{
    Authentication, AuthenticationMethod, ClientAuthenticatorPart, Credentials,
    assertion::{Assertion, Expected},
    authentication::Authenticated,
    secrets::Secrets,
    signed_assertion, workload,
};
#[cfg(feature = "client-certificates")]
use super::{certificate, svid::Bundles};
use crate::{
    jose::Cryptography,
    jwks::{ClientKeys, TrustedKeys},
    plug::{Failing, ask},
    protocol::{ClientId, Reason, Rejection, refuse},
    records::{ClientRecord, Registry},
    replay::Replays,
    settings::Settings,
};
use http::HeaderMap;
use std::sync::Arc;

const FAILING: Failing =
    Failing { unavailable: Reason::AuthenticatorUnavailable, panicked: Reason::AuthenticatorPanicked };

/// The part of a layer that authenticates clients: by their records, or by an authenticator of the application.
#[derive(Clone)]
pub(crate) struct Authenticator {
    pub(crate) registry: Arc<Registry>,
    pub(crate) settings: Arc<Settings>,
    pub(crate) secrets: Secrets,
    pub(crate) replays: Replays,
    pub(crate) client_keys: ClientKeys,
    /// The keys of the issuers whose tokens workloads present.
    pub(crate) issuer_keys: TrustedKeys,
    /// The library that verifies the signatures of assertions.
    pub(crate) cryptography: Cryptography,
    /// The authenticator of the application.
    pub(crate) other: Option<ClientAuthenticatorPart>,
    /// Whether a client whose record has a method is authenticated by the record alone.
    pub(crate) records_first: bool,
}

impl Authenticator {
    /// Checks the credentials of a request with these headers.
    pub(super) async fn check(
        &self,
        credentials: &Credentials,
        headers: &HeaderMap,
    ) -> Result<Authenticated, Rejection> {
        match &self.other {
            Some(other) if !self.records_first || !self.has_method(credentials) => {
                ask_other(other, credentials, headers).await
            }
            _ => self.by_record(credentials).await,
        }
    }

    /// Checks that the record of a client accepts a method. A client without a record may only introspect and revoke, and
    /// needs a method other than `none`.
    pub(super) fn check_method(&self, id: &ClientId, method: AuthenticationMethod) -> Result<(), Rejection> {
        let methods = self.registry.client(id.as_str()).map(|record| &record.methods);
        if method == AuthenticationMethod::None && !methods.is_some_and(|methods| methods.public) {
            return Err(refuse(Reason::ClientCredentialsMissing));
        }
        if methods.is_some_and(|methods| methods.fapi) && !method.proves_a_key() {
            let detail = format_args!("client `{id}` used `{method}`");
            return Err(refuse(Reason::ClientMethodRefused).with_detail(detail));
        }
        Ok(())
    }

    /// Whether the record of a claimed client has a method. One reading is enough: the other authenticator could accept a
    /// client that the record rejects.
    fn has_method(&self, credentials: &Credentials) -> bool {
        let has_method = |id: &str| self.registry.client(id).is_some_and(|client| client.methods.are_some());
        let named_by_assertion = || {
            let assertion = Assertion::parse(credentials.client_assertion()?.1).ok()?;
            let sub = assertion.text("sub").ok()?;
            let is_workload = |client: &Arc<ClientRecord>| client.methods.workloads.have_spiffe_id(sub);
            Some(has_method(sub) || self.registry.clients().any(is_workload))
        };
        credentials.readings().any(|(id, _)| has_method(id))
            || has_method(credentials.client_id())
            || named_by_assertion().unwrap_or(false)
    }

    async fn by_record(&self, credentials: &Credentials) -> Result<Authenticated, Rejection> {
        let method = credentials.method();
        // The futures of the methods without a secret are large, and most requests need none of them: so they are on the heap.
        match method {
            AuthenticationMethod::ClientSecretBasic | AuthenticationMethod::ClientSecretPost => {
                match self.secrets.check(credentials).await {
                    Some(id) => Ok((id, method)),
                    None => Err(refuse(Reason::ClientRejected)),
                }
            }
            AuthenticationMethod::PrivateKeyJwt | AuthenticationMethod::SpiffeJwt => {
                Box::pin(self.by_assertion(credentials, method)).await
            }
            AuthenticationMethod::TlsClientAuth => Box::pin(self.by_certificate(credentials)).await,
            AuthenticationMethod::None => self.by_id_alone(credentials),
            _ => Err(refuse(Reason::ClientAssertionUnsupported)),
        }
    }

    /// Accepts a client that signed an assertion, or that presents a token of its platform.
    async fn by_assertion(
        &self,
        credentials: &Credentials,
        method: AuthenticationMethod,
    ) -> Result<Authenticated, Rejection> {
        let (_, assertion) = credentials.client_assertion().ok_or_else(|| refuse(Reason::ClientRejected))?;
        let assertion = Assertion::parse(assertion)?;
        let expected = Expected {
            issuer: self.registry.own_issuer(),
            now: self.settings.clock.seconds(),
            leeway: self.settings.leeway,
            cryptography: self.cryptography,
        };
        let client_id = Some(credentials.client_id()).filter(|id| !id.is_empty());
        let registry = &self.registry;
        if method == AuthenticationMethod::SpiffeJwt {
            return workload::check_svid(&assertion, client_id, registry, &self.issuer_keys, &expected).await;
        }
        // A client signs with its own name as `iss`, and a platform with the name of the platform.
        let is_federated = |client: &&Arc<ClientRecord>| !client.methods.workloads.federated.is_empty();
        let workload = client_id.and_then(|id| registry.client(id)).filter(is_federated);
        if let Some(client) = workload.filter(|client| assertion.text("iss").is_ok_and(|iss| client.id != *iss)) {
            return workload::check_federated(&assertion, client, registry, &self.issuer_keys, &expected).await;
        }
        let (keys, replays) = (&self.client_keys, &self.replays);
        let id = signed_assertion::check(&assertion, client_id, registry, keys, replays, &expected).await?;
        Ok((id, AuthenticationMethod::PrivateKeyJwt))
    }

    /// Accepts a client that presents a certificate and its id. A public client may have a certificate too.
    async fn by_certificate(&self, credentials: &Credentials) -> Result<Authenticated, Rejection> {
        #[cfg(feature = "client-certificates")]
        {
            let client = self.registry.client(credentials.client_id());
            let client = client.filter(|client| client.methods.accept_certificates());
            if let (Some(client), Some(certificates)) = (client, credentials.certificates()) {
                let now = self.settings.clock.seconds();
                let bundles = Bundles { registry: &self.registry, keys: &self.issuer_keys, now };
                let method = certificate::check(certificates, client, &self.client_keys, &bundles).await?;
                return Ok((client.id.clone(), method));
            }
        }
        self.by_id_alone(credentials)
    }

    /// Accepts a public client, which sends only its id.
    fn by_id_alone(&self, credentials: &Credentials) -> Result<Authenticated, Rejection> {
        match self.registry.client(credentials.client_id()) {
            Some(client) if client.methods.public => Ok((client.id.clone(), AuthenticationMethod::None)),
            _ => Err(refuse(Reason::ClientCredentialsMissing)),
        }
    }
}

/// Asks the authenticator of the application.
async fn ask_other(
    other: &ClientAuthenticatorPart,
    credentials: &Credentials,
    headers: &HeaderMap,
) -> Result<Authenticated, Rejection> {
    let method = credentials.method();
    match ask(other, credentials.clone().with_headers(headers.clone()), FAILING).await? {
        Authentication::Client(id) => Ok((id, method)),
        Authentication::ClientBy(id, method) => Ok((id, method)),
        Authentication::Rejected if method == AuthenticationMethod::None => {
            Err(refuse(Reason::ClientCredentialsMissing))
        }
        Authentication::Rejected => Err(refuse(Reason::ClientRejected)),
        Authentication::TooManyAttempts { retry_after } => {
            Err(refuse(Reason::TooManyClientAttempts).with_retry_after(retry_after))
        }
        Authentication::Misconfigured { problem } => {
            Err(refuse(Reason::AuthenticatorMisconfigured).with_detail(problem))
        }
    }
}
