use super::Document;
use crate::{
    client_auth::{Authenticator, secrets_of_records},
    exchange::Exchange,
    fetch::NO_CLIENT,
    jwks::{Fetching, TrustedKeys},
    plug::boxed,
    policy::{PolicyPart, Table},
    protocol::TokenType,
    records::{ConfigError, Issuer, IssuerId, OwnSubjects, Problems, Registry},
    settings::Settings,
    signing::Signer,
    status::StatusChecks,
    token::{Introspector, TokenVerifierPart, Verifier},
};
use std::{collections::HashMap, sync::Arc};

/// Everything that stays when the records change.
pub(super) struct Parts {
    pub(super) issuer: IssuerId,
    pub(super) signer: Signer,
    pub(super) policy: Option<PolicyPart>,
    pub(super) authenticator: Option<Authenticator>,
    pub(super) fetching: Fetching,
    pub(super) fetch_is_default: bool,
    pub(super) verifiers: HashMap<TokenType, TokenVerifierPart>,
    pub(super) status: StatusChecks,
    pub(super) settings: Arc<Settings>,
}

impl Parts {
    /// The exchange by these records. What is known of issuers' keys is taken over from the one before.
    pub(super) fn exchange(&self, document: Document, before: Option<&Exchange>) -> Result<Exchange, ConfigError> {
        let signer = before.map_or(&self.signer, |before| &before.signer);
        let Document { clients, targets, issuers, rules, federated_subjects_only } = document;
        let own_subjects = if federated_subjects_only { OwnSubjects::None } else { OwnSubjects::Some };
        let plugged: Vec<_> = self.verifiers.keys().cloned().collect();
        let registry = Arc::new(Registry::new(&self.issuer, &clients, &targets, &issuers, own_subjects, &plugged)?);
        let (policy, table) = match (&self.policy, rules) {
            (None, None) => {
                let help = "none: nothing would ever be allowed; give `rules` or a `policy`";
                return Err(ConfigError::new("policy", help));
            }
            (Some(_), Some(_)) => {
                return Err(ConfigError::new("rules", "the layer has a `policy` of its own: leave them out"));
            }
            (Some(policy), None) => (policy.clone(), None),
            (None, Some(rules)) => {
                let table = Table::for_records(rules, &registry)?;
                (boxed(table.clone()), Some(table))
            }
        };
        if self.fetch_is_default {
            check_default_fetch(&registry, &issuers)?;
        }
        let introspectors = registry.issuers().filter_map(|issuer| {
            let record = issuer.introspection.as_ref()?;
            Some((issuer.id.clone(), Introspector::new(record, &self.fetching.fetch, &self.settings.clock)))
        });
        let known = before.map(|before| &before.verifier.keys);
        let authenticator = self.authenticator.clone().unwrap_or_else(|| secrets_of_records(Arc::clone(&registry)));
        Ok(Exchange {
            authenticator,
            verifier: Verifier {
                introspectors: introspectors.collect(),
                plugged: self.verifiers.clone(),
                keys: TrustedKeys::new(&registry, &signer.keys, &self.fetching, known),
                registry: Arc::clone(&registry),
                settings: Arc::clone(&self.settings),
            },
            status: self.status.clone(),
            policy,
            table,
            signer: signer.clone(),
            settings: Arc::clone(&self.settings),
            registry,
        })
    }

    /// The same exchange with another signer.
    pub(super) fn with_signer(&self, signer: Signer, before: &Exchange) -> Exchange {
        let mut exchange = before.clone();
        exchange.verifier.keys =
            TrustedKeys::new(&before.registry, &signer.keys, &self.fetching, Some(&before.verifier.keys));
        exchange.signer = signer;
        exchange
    }
}

/// Checks that the default HTTP service, which uses https only, can reach every URL of the records.
fn check_default_fetch(registry: &Registry, issuers: &[Issuer]) -> Result<(), ConfigError> {
    let mut problems = Problems::default();
    for (position, issuer) in issuers.iter().enumerate() {
        let Some(record) = registry.issuer(issuer.id()) else { continue };
        for (field, uri) in record.fetched_urls() {
            let refused = |help: String| issuer.place(position).wrong(field, help);
            if !cfg!(feature = "fetch") {
                problems.add(refused(format!("`{uri}` has to be fetched, and {NO_CLIENT}")));
            } else if uri.parse::<http::Uri>().is_ok_and(|uri| uri.scheme_str() != Some("https")) {
                let help = format!(
                    "`{uri}` is not https: use an https URL, or give the layer an `http` service that permits this URL"
                );
                problems.add(refused(help));
            }
        }
    }
    problems.or(())
}
