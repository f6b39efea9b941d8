//! The checks of the settings, and the construction of the layer.

use super::TokenExchangeBuilder;
use crate::{
    audit::Audit,
    fetch::default_service,
    issued::IssuedTokenEndpoint,
    jose::SignatureVerifier,
    jwks::Fetcher,
    layer::{
        Document, TokenExchangeLayer,
        assemble::Parts,
        check::{DocumentCheck, check_signer},
    },
    limits::Budgets,
    proof::{Dpop, Proofs},
    records::{ConfigError, ConfigErrorKind, Problems},
    replay::Replays,
    revocation::{AncestryKey, Revocations},
    service::{Current, Endpoint, ServiceState, is_same_path},
    settings::Settings,
};
use std::{sync::Arc, time::Duration};

/// The most targets that [`TokenExchangeBuilder::max_targets`] permits.
const MAX_TARGETS: usize = 8;
/// The most ancestors that [`TokenExchangeBuilder::max_ancestors`] permits.
const MAX_ANCESTORS: usize = 64;
/// The most entries that [`TokenExchangeBuilder::signature_memo`] permits.
const MAX_MEMO_ENTRIES: usize = 1_048_576;
/// The longest leeway that [`TokenExchangeBuilder::leeway`] permits.
const MAX_LEEWAY: Duration = Duration::from_secs(60);

impl TokenExchangeBuilder {
    /// Checks all settings, records and rules, and builds the layer.
    ///
    /// # Errors
    /// [`ConfigError`] with every mistake.
    pub fn build(self) -> Result<TokenExchangeLayer, ConfigError> {
        let mut problems = Problems::default();
        self.check_endpoints(&mut problems);
        problems.check(self.check_guard());
        self.check_limits(&mut problems);
        problems.check(self.check_errors());
        problems.check(self.check_dpop());
        self.check_signer(&mut problems);
        problems.check(self.check_sources_of_records());

        let records = DocumentCheck {
            issuer: &self.issuer,
            policy: self.policy.as_ref(),
            verified_types: self.verifiers.keys().cloned().collect(),
            http_is_default: self.http.is_none(),
            has_dpop: self.dpop.is_some(),
        };
        let document = match self.document {
            Some(mut document) => {
                document.federated_subjects_only |= self.records.federated_subjects_only;
                document.fapi |= self.records.fapi;
                document
            }
            None => self.records,
        };
        let records = problems.check(records.run(document));
        let (Some(records), Some(signer)) = problems.or((records, self.signer))? else { return Err(no_signer()) };

        let revocations = match self.revocations {
            Some(store) => {
                let key = self.ancestry_key.map_or_else(AncestryKey::random, Ok);
                let key = key.map_err(|error| ConfigError::new("ancestry_key", error.to_string()))?;
                Some(Revocations::new(store, key, self.max_ancestors))
            }
            None => None,
        };
        let settings = Arc::new(self.settings);
        let replays = Replays::new(self.replay_store, settings.clock.clone());
        let parts = Parts {
            issuer: self.issuer,
            policy: self.policy,
            authenticator: self.authenticator,
            record_secrets_first: self.record_secrets_first,
            http_is_default: self.http.is_none(),
            fetcher: Fetcher { http: self.http.unwrap_or_else(default_service), clock: settings.clock.clone() },
            proofs: Proofs {
                dpop: self.dpop.map(Arc::new),
                replays: replays.clone(),
                clock: settings.clock.clone(),
                cryptography: self.cryptography,
                are_assumed: false,
            },
            verifiers: self.verifiers,
            revocations,
            status: self.status,
            replays,
            limits: Arc::new(Budgets::new(self.limits, &settings.clock)),
            settings: Arc::clone(&settings),
            signatures: SignatureVerifier::new(self.cryptography, self.signature_memo),
        };
        let state = ServiceState {
            endpoints: match self.endpoints {
                endpoints if endpoints.is_empty() => vec![Endpoint::Path("/token".to_owned())],
                endpoints => endpoints,
            },
            issued_token_endpoints: self.issued_token_endpoints,
            body_limits: self.body_limits,
            forward_unread: self.forward_unread,
            guard: self.guard,
            current: Current::new(parts.exchange(records, signer, None)),
            audit: Audit::new(self.audit, settings.clock.clone(), self.best_effort_audit, self.audit_budget),
        };
        Ok(TokenExchangeLayer { state: Arc::new(state), parts: Arc::new(parts) })
    }

    fn check_endpoints(&self, problems: &mut Problems) {
        const NOT_A_PATH: &str = "not a path: begin with `/`, and leave the query and the fragment out";
        let is_path = |path: &str| path.starts_with('/') && !path.contains(['?', '#']);
        let mut known: Vec<(&str, Option<IssuedTokenEndpoint>)> = Vec::new();
        for endpoint in &self.endpoints {
            let Endpoint::Path(path) = endpoint else { continue };
            if !is_path(path) {
                problems.add(ConfigError::new("endpoint", NOT_A_PATH));
            }
            known.push((path, None));
        }
        for (path, endpoint) in &self.issued_token_endpoints {
            if !is_path(path) {
                problems.add(ConfigError::new(endpoint.field(), NOT_A_PATH));
            } else if known.iter().any(|(other, kind)| {
                // Several spellings of one endpoint are allowed.
                if *kind == Some(*endpoint) { path == other } else { is_same_path(path, other) }
            }) {
                let help = format!("another endpoint has the path `{path}`: give each endpoint a path of its own");
                problems.add(ConfigError::new(endpoint.field(), help).of_kind(ConfigErrorKind::Duplicate));
            }
            known.push((path, Some(*endpoint)));
        }
        let has_revocation =
            self.issued_token_endpoints.iter().any(|(_, endpoint)| *endpoint == IssuedTokenEndpoint::Revocation);
        if has_revocation && self.revocations.is_none() {
            let help = "no store of revoked tokens: give one with `revocations`";
            problems.add(ConfigError::new("revocation_endpoint", help).of_kind(ConfigErrorKind::Missing));
        }
    }

    fn check_guard(&self) -> Result<(), ConfigError> {
        if self.guard && self.forward_unread {
            let help = "the layer cannot guard forms that it passes unread: remove `forward_unread_forms` or `guard`";
            return Err(ConfigError::new("guard", help).of_kind(ConfigErrorKind::Conflict));
        }
        Ok(())
    }

    fn check_limits(&self, problems: &mut Problems) {
        let Settings { max_targets, max_chain_depth, leeway, max_lifetime, .. } = &self.settings;
        if !(1..=MAX_TARGETS).contains(max_targets) {
            problems.add(ConfigError::new("max_targets", "out of range: give 1 to 8"));
        }
        if *max_chain_depth == 0 {
            let help = "a delegated token names at least one actor: give 1 or more";
            problems.add(ConfigError::new("max_chain_depth", help));
        }
        if *leeway > MAX_LEEWAY {
            problems.add(ConfigError::new("leeway", "longer than a minute: give 60 s or less"));
        }
        if !(1..=MAX_ANCESTORS).contains(&self.max_ancestors) {
            problems.add(ConfigError::new("max_ancestors", "out of range: give 1 to 64"));
        }
        if self.signature_memo > MAX_MEMO_ENTRIES {
            problems
                .add(ConfigError::new("signature_memo", "too many entries: give 1048576 or fewer, or 0 for no memo"));
        }
        if *max_lifetime < Duration::from_secs(1) {
            problems.add(ConfigError::new("max_lifetime", "shorter than a second: give 1 s or more"));
        }
    }

    fn check_errors(&self) -> Result<(), ConfigError> {
        match self.settings.errors.problem() {
            Some(problem) => Err(ConfigError::new("error_profile", problem)),
            None => Ok(()),
        }
    }

    fn check_dpop(&self) -> Result<(), ConfigError> {
        match self.dpop.as_ref().and_then(Dpop::problem) {
            Some(problem) => Err(ConfigError::new("dpop", problem)),
            None => Ok(()),
        }
    }

    fn check_signer(&self, problems: &mut Problems) {
        let Some(signer) = &self.signer else { return problems.add(no_signer()) };
        problems.check(check_signer(signer, &self.issued_token_endpoints));
    }

    /// The order of the calls must not matter, so records have one source.
    fn check_sources_of_records(&self) -> Result<(), ConfigError> {
        let Document { clients, targets, issuers, rules, .. } = &self.records;
        let has_lists = !clients.is_empty() || !targets.is_empty() || !issuers.is_empty() || rules.is_some();
        if self.document.is_some() && has_lists {
            let help = "the layer also has records or rules that are not in the document: put all of them in the \
                        document, or use no document";
            return Err(ConfigError::new("document", help).of_kind(ConfigErrorKind::Conflict));
        }
        Ok(())
    }
}

fn no_signer() -> ConfigError {
    let help = "no signer: give a `LocalSigner`, or a service in a `Signer`";
    ConfigError::new("signer", help).of_kind(ConfigErrorKind::Missing)
}
