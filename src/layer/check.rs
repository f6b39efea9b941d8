use super::Document;
use crate::{
    fetch::NO_CLIENT,
    issued::IssuedTokenEndpoint,
    plug::boxed,
    policy::{PolicyPart, Table},
    protocol::TokenType,
    records::{Client, ConfigError, ConfigErrorKind, Issuer, IssuerId, OwnSubjects, Place, Problems, Registry},
    signing::Signer,
};
use std::sync::Arc;

/// The check of a document: whether its parts fit together, and fit the settings of the layer.
pub(super) struct DocumentCheck<'a> {
    pub(super) issuer: &'a IssuerId,
    /// The policy that is not a table of rules.
    pub(super) policy: Option<&'a PolicyPart>,
    /// The token types with a verifier of their own.
    pub(super) verified_types: Vec<TokenType>,
    pub(super) http_is_default: bool,
    /// Whether the layer supports DPoP.
    pub(super) has_dpop: bool,
}

/// The records and the policy of a layer, checked.
pub(super) struct CheckedDocument {
    pub(super) registry: Arc<Registry>,
    pub(super) policy: PolicyPart,
    /// The policy once more, if the policy is a table of rules.
    pub(super) table: Option<Table>,
}

impl DocumentCheck<'_> {
    /// Checks a document.
    ///
    /// # Errors
    /// All mistakes in the records. If the records have no mistake, all mistakes in the rules, which depend on the records.
    pub(super) fn run(&self, document: Document) -> Result<CheckedDocument, ConfigError> {
        let Document { clients, targets, issuers, rules, federated_subjects_only, fapi } = document;
        let clients = if fapi { clients.into_iter().map(Client::fapi).collect() } else { clients };
        let mut problems = Problems::default();
        self.check_proofs(&clients, &mut problems);
        let has_rules = rules.is_some();
        let own_subjects = if federated_subjects_only { OwnSubjects::None } else { OwnSubjects::Some };
        let registry = Registry::new(self.issuer, &clients, &targets, &issuers, own_subjects, &self.verified_types);
        let registry = problems.check(registry);
        if let Some(registry) = registry.as_ref().filter(|_| self.http_is_default) {
            check_reachable(registry, &issuers, &clients, &mut problems);
        }
        let table = match (&registry, rules) {
            (Some(registry), Some(rules)) => problems.check(Table::for_records(rules, registry)),
            _ => None,
        };
        problems.check(self.check_policy(has_rules));
        let policy = self.policy.cloned().or_else(|| table.clone().map(boxed));
        let (Some(registry), Some(policy)) = problems.or((registry, policy))? else { return Err(no_policy()) };
        Ok(CheckedDocument { registry: Arc::new(registry), policy, table })
    }

    fn check_proofs(&self, clients: &[Client], problems: &mut Problems) {
        let needing = clients.iter().enumerate().filter(|(_, client)| client.needs_dpop() && !self.has_dpop);
        for (position, client) in needing {
            let help = "the layer accepts no DPoP proofs, so every exchange of the client is refused: set `dpop` for the layer";
            problems
                .add(client.place(position).wrong("dpop_bound_access_tokens", help).of_kind(ConfigErrorKind::Conflict));
        }
    }

    fn check_policy(&self, has_rules: bool) -> Result<(), ConfigError> {
        match (self.policy, has_rules) {
            (None, false) => Err(no_policy()),
            (Some(_), true) => {
                let help = "the layer has a `policy` of its own: remove the rules or the policy";
                Err(ConfigError::new("rules", help).of_kind(ConfigErrorKind::Conflict))
            }
            _ => Ok(()),
        }
    }
}

fn no_policy() -> ConfigError {
    let help = "no policy: give `rules` or a `policy`; without a policy, no exchange is allowed";
    ConfigError::new("policy", help).of_kind(ConfigErrorKind::Missing)
}

/// Checks that the default HTTP service, which uses https only, can reach every URL of the records.
fn check_reachable(registry: &Registry, issuers: &[Issuer], clients: &[Client], problems: &mut Problems) {
    let mut check = |place: Place<'_>, field: &'static str, uri: &str| {
        let help = if !cfg!(feature = "fetch") {
            format!("`{uri}` has to be fetched, but {NO_CLIENT}")
        } else if uri.parse::<http::Uri>().is_ok_and(|uri| uri.scheme_str() != Some("https")) {
            format!("`{uri}` is not https: use an https URL, or give the layer an `http` service of your own")
        } else {
            return;
        };
        problems.add(place.wrong(field, help));
    };
    for (position, client) in clients.iter().enumerate() {
        if let Some(uri) = client.key_set_url() {
            check(client.place(position), "jwks_uri", uri);
        }
    }
    for (position, issuer) in issuers.iter().enumerate() {
        let Some(record) = registry.issuer(issuer.id()) else { continue };
        for (field, uri) in record.fetched_urls() {
            check(issuer.place(position), field, uri);
        }
    }
}

/// Checks that the signer has its public key if the layer has an endpoint for issued tokens. The layer recognizes issued
/// tokens by this key.
pub(super) fn check_signer(signer: &Signer, endpoints: &[(String, IssuedTokenEndpoint)]) -> Result<(), ConfigError> {
    if endpoints.is_empty() || signer.recognizes_its_tokens() {
        return Ok(());
    }
    let help = "the layer cannot recognize its own tokens: give the public keys of the signer with `Signer::new`, not \
                `Signer::unchecked`";
    Err(ConfigError::new("signer", help).of_kind(ConfigErrorKind::Missing))
}

#[cfg(all(test, not(feature = "fetch")))]
mod tests {
    use crate::{
        Client, Issuer, Target, TokenExchangeBuilder, TokenExchangeLayer,
        jwks::KeySet,
        policy::{Rule, Subjects},
        signing::{Algorithm, LocalSigner},
    };
    use bytes::Bytes;
    use http::{Request, Response};
    use std::convert::Infallible;

    fn layer(issuer: Issuer) -> TokenExchangeBuilder {
        TokenExchangeLayer::builder("https://as.example")
            .clients([Client::new("orders").secret("6c1f7a0f5d9b4e2a8f3c")])
            .targets([Target::new("billing").allow_clients(["orders"]).scopes(["read"])])
            .issuers([issuer])
            .rules([Rule::allow("orders", Subjects::any(), "billing").scopes(["read"])])
            .signer(LocalSigner::generate(Algorithm::ES256).unwrap())
    }

    #[test]
    fn a_build_without_client_needs_an_http_service() {
        let issuer =
            || Issuer::new("https://idp.example").map_subjects(crate::records::SubjectMapping::Prefix("idp:".into()));
        let fetched = || issuer().jwks_uri("https://idp.example/jwks");
        let error = layer(fetched()).build().unwrap_err().to_string();
        assert!(error.contains("enable the feature `fetch`, or give an HTTP service of your own"), "{error}");

        let keys = KeySet::from_json(
            r#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#,
        );
        layer(issuer().keys(keys.unwrap())).build().unwrap();
        let http = tower::service_fn(|_: Request<Bytes>| async { Ok::<_, Infallible>(Response::default()) });
        layer(fetched()).http(http).build().unwrap();
    }
}
