use super::{
    Document,
    check::{CheckedDocument, DocumentCheck},
};
use crate::{
    ancestry::KnownClients,
    client_auth::{Authenticator, ClientAuthenticatorPart, Secrets},
    exchange::Exchange,
    jose::SignatureVerifier,
    jwks::{ClientKeys, Fetcher, TrustedKeys},
    limits::Budgets,
    policy::PolicyPart,
    proof::Proofs,
    protocol::TokenType,
    records::{ConfigError, IssuerId, Registry},
    replay::Replays,
    revocation::Revocations,
    settings::Settings,
    signing::Signer,
    status::{RevocationCheck, StatusChecks, StatusPart},
    token::{Introspector, TokenVerifierPart, Verifier},
};
use std::{collections::HashMap, sync::Arc};

/// The parts of a layer that stay when the records change.
pub(super) struct Parts {
    pub(super) issuer: IssuerId,
    /// The policy that is not a table of rules.
    pub(super) policy: Option<PolicyPart>,
    pub(super) authenticator: Option<ClientAuthenticatorPart>,
    pub(super) record_secrets_first: bool,
    pub(super) http_is_default: bool,
    pub(super) fetcher: Fetcher,
    pub(super) proofs: Proofs,
    pub(super) verifiers: HashMap<TokenType, TokenVerifierPart>,
    pub(super) revocations: Option<Revocations>,
    pub(super) status: Option<StatusPart>,
    pub(super) replays: Replays,
    pub(super) settings: Arc<Settings>,
    pub(super) limits: Arc<Budgets>,
    /// An entry of its memo stays true when the records or the signer change, because the keys are looked up each time.
    pub(super) signatures: SignatureVerifier,
}

impl Parts {
    /// Checks another document.
    pub(super) fn check(&self, document: Document) -> Result<CheckedDocument, ConfigError> {
        let check = DocumentCheck {
            issuer: &self.issuer,
            policy: self.policy.as_ref(),
            verified_types: self.verifiers.keys().cloned().collect(),
            http_is_default: self.http_is_default,
            has_dpop: self.proofs.dpop.is_some(),
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
        warn_of_older_audiences(&registry);
        let known = before.map(|before| &before.verifier.keys);
        let known_client_keys = before.map(|before| &before.authenticator.client_keys);
        let keys = TrustedKeys::new(&registry, signer.keys(), &self.fetcher, known);
        let revocations = self.revocations.as_ref().map(|store| RevocationCheck {
            clients: Arc::new(KnownClients::new(&registry, store.key())),
            store: store.clone(),
        });
        Exchange {
            authenticator: Authenticator {
                secrets: Secrets::new(&registry),
                replays: self.replays.clone(),
                issuer_keys: keys.clone(),
                client_keys: ClientKeys::new(&registry, &self.fetcher, known_client_keys),
                registry: Arc::clone(&registry),
                settings: Arc::clone(&self.settings),
                cryptography: self.signatures.cryptography(),
                other: self.authenticator.clone(),
                records_first: self.record_secrets_first,
            },
            proofs: self.proofs.clone(),
            verifier: Verifier {
                introspectors: introspectors.collect(),
                plugs: self.verifiers.clone(),
                keys,
                registry: Arc::clone(&registry),
                settings: Arc::clone(&self.settings),
                signatures: self.signatures.clone(),
                assumed: None,
            },
            status: StatusChecks { revocations, status: self.status.clone() },
            replays: self.replays.clone(),
            policy,
            table,
            signer: signer.verified_by(self.signatures.cryptography()),
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
        exchange.signer = signer.verified_by(self.signatures.cryptography());
        exchange
    }
}

/// Warns of each client whose assertions another server could use here.
fn warn_of_older_audiences(registry: &Registry) {
    for client in registry.clients() {
        if let Some(audience) = &client.methods.older_audience {
            tracing::warn!(client = %client.id, audience, "the client may sign assertions for another audience than the issuer");
        }
    }
}
