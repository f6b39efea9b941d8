use super::{
    Document,
    check::{CheckedDocument, DocumentCheck},
};
use crate::{
    client_auth::{Authenticator, secrets_of_records, secrets_of_records_or},
    exchange::Exchange,
    jwks::{Fetcher, TrustedKeys},
    limits::Budgets,
    policy::PolicyPart,
    protocol::TokenType,
    records::{ConfigError, IssuerId},
    replay::Replays,
    settings::Settings,
    signing::Signer,
    status::StatusChecks,
    token::{Introspector, TokenVerifierPart, Verifier},
};
use std::{collections::HashMap, sync::Arc};

/// The parts of a layer that stay when the records change.
pub(super) struct Parts {
    pub(super) issuer: IssuerId,
    /// The policy that is not a table of rules.
    pub(super) policy: Option<PolicyPart>,
    pub(super) authenticator: Option<Authenticator>,
    pub(super) record_secrets_first: bool,
    pub(super) http_is_default: bool,
    pub(super) fetcher: Fetcher,
    pub(super) verifiers: HashMap<TokenType, TokenVerifierPart>,
    pub(super) status: StatusChecks,
    pub(super) replays: Replays,
    pub(super) settings: Arc<Settings>,
    pub(super) limits: Arc<Budgets>,
}

impl Parts {
    /// Checks another document.
    pub(super) fn check(&self, document: Document) -> Result<CheckedDocument, ConfigError> {
        let check = DocumentCheck {
            issuer: &self.issuer,
            policy: self.policy.as_ref(),
            verified_types: self.verifiers.keys().cloned().collect(),
            http_is_default: self.http_is_default,
        };
        check.run(document)
    }

    /// Builds an exchange from checked records and a checked signer. The fetched keys of the exchange `before` are kept.
    pub(super) fn exchange(&self, records: CheckedDocument, signer: Signer, before: Option<&Exchange>) -> Exchange {
        let CheckedDocument { registry, policy, table } = records;
        let introspectors = registry.issuers().filter_map(|issuer| {
            let record = issuer.introspection.as_ref()?;
            Some((issuer.id.clone(), Introspector::new(record, &self.fetcher.http, &self.settings.clock)))
        });
        let known = before.map(|before| &before.verifier.keys);
        Exchange {
            authenticator: match self.authenticator.clone() {
                Some(other) if self.record_secrets_first => secrets_of_records_or(Arc::clone(&registry), other),
                Some(other) => other,
                None => secrets_of_records(Arc::clone(&registry)),
            },
            verifier: Verifier {
                introspectors: introspectors.collect(),
                plugs: self.verifiers.clone(),
                keys: TrustedKeys::new(&registry, signer.keys(), &self.fetcher, known),
                registry: Arc::clone(&registry),
                settings: Arc::clone(&self.settings),
            },
            status: self.status.clone(),
            replays: self.replays.clone(),
            policy,
            table,
            signer,
            settings: Arc::clone(&self.settings),
            limits: Arc::clone(&self.limits),
            registry,
        }
    }

    /// Builds an exchange that differs from `before` only in the signer.
    pub(super) fn with_signer(&self, signer: Signer, before: &Exchange) -> Exchange {
        let mut exchange = before.clone();
        exchange.verifier.keys =
            TrustedKeys::new(&before.registry, signer.keys(), &self.fetcher, Some(&before.verifier.keys));
        exchange.signer = signer;
        exchange
    }
}
