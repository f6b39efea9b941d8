use super::Document;
use crate::{
    audit::Audit,
    authority::Authority,
    client_auth::{AskLimits, Authenticator, client_table},
    clock::Clock,
    exchange::Exchange,
    fetch::NO_CLIENT,
    issued::IssuedTokens,
    jwks::{Fetching, TrustedKeys},
    plug::boxed,
    policy::{PolicyPart, Table},
    protocol::{ErrorProfile, TokenType},
    records::{ConfigError, OwnSubjects, Record, Records, Registry},
    signing::{Issuance, Signer},
    status::StatusChecks,
    token::{Introspector, TokenVerifierPart, Verifier},
};
use std::{collections::HashMap, sync::Arc, time::Duration};

/// Everything that stays when the records change.
pub(super) struct Settings {
    pub(super) issuer: String,
    pub(super) signer: Signer,
    pub(super) policy: Option<PolicyPart>,
    pub(super) authenticator: Option<Authenticator>,
    pub(super) fetching: Fetching,
    pub(super) fetch_is_default: bool,
    pub(super) verifiers: HashMap<TokenType, TokenVerifierPart>,
    pub(super) standing: StatusChecks,
    pub(super) audit: Audit,
    pub(super) errors: ErrorProfile,
    pub(super) clock: Clock,
    pub(super) deadline: Duration,
    pub(super) max_lifetime: Duration,
    pub(super) max_targets: usize,
    pub(super) max_depth: usize,
    pub(super) leeway: Duration,
    pub(super) strict_scope: bool,
}

impl Settings {
    /// The exchange by these records. What is known of issuers' keys is taken over from the one before.
    pub(super) fn exchange(&self, document: Document, before: Option<&Exchange>) -> Result<Exchange, ConfigError> {
        let signer = before.map_or(&self.signer, |before| &before.issuance.signer);
        let Document { clients, targets, issuers, rules, federated_subjects_only } = document;
        let own_subjects = if federated_subjects_only { OwnSubjects::None } else { OwnSubjects::Some };
        let plugged = self.verifiers.keys().cloned().collect();
        let positions = issuers.iter().map(|issuer| issuer.id().to_owned()).collect::<Vec<_>>();
        let records = Records { clients, targets, issuers, own_subjects, plugged };
        let registry = Arc::new(Registry::new(&self.issuer, records)?);
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
                // In the order in which they were given, which a table does not keep within a rule.
                crate::policy::check_rules(&rules, &registry)?;
                let table = Table::new(rules)?;
                table.check_reach()?;
                (boxed(table.clone()), Some(table))
            }
        };
        if self.fetch_is_default {
            check_default_fetch(&registry, &positions)?;
        }
        let introspectors = registry.issuers().filter_map(|issuer| {
            let record = issuer.introspection.as_ref()?;
            Some((issuer.id.clone(), Introspector::new(record, &self.fetching.fetch, &self.clock)))
        });
        let known = before.map(|before| &before.verifier.keys);
        let authenticator = self.authenticator.clone().unwrap_or_else(|| client_table(Arc::clone(&registry)));
        Ok(Exchange {
            issued_tokens: IssuedTokens {
                registry: Arc::clone(&registry),
                authenticator: authenticator.clone(),
                keys: signer.keys.clone(),
                revocations: self.standing.revocations.clone(),
                clock: self.clock.clone(),
            },
            authenticator,
            ask_limits: AskLimits { max_targets: self.max_targets },
            verifier: Verifier {
                introspectors: introspectors.collect(),
                plugged: self.verifiers.clone(),
                keys: TrustedKeys::new(&registry, &signer.keys, &self.fetching, known),
                registry: Arc::clone(&registry),
                clock: self.clock.clone(),
                leeway: self.leeway,
            },
            authority: Authority {
                registry: Arc::clone(&registry),
                clock: self.clock.clone(),
                max_lifetime: self.max_lifetime,
                max_depth: self.max_depth,
                strict_scope: self.strict_scope,
            },
            standing: self.standing.clone(),
            policy,
            table,
            issuance: Issuance { own_issuer: self.issuer.clone(), signer: signer.clone(), clock: self.clock.clone() },
            audit: self.audit.clone(),
            errors: self.errors.clone(),
            deadline: self.deadline,
            registry,
        })
    }

    /// The same exchange with another signer.
    pub(super) fn with_signer(&self, signer: Signer, before: &Exchange) -> Exchange {
        let mut exchange = before.clone();
        exchange.verifier.keys =
            TrustedKeys::new(&before.registry, &signer.keys, &self.fetching, Some(&before.verifier.keys));
        exchange.issued_tokens.keys = signer.keys.clone();
        exchange.issuance.signer = signer;
        exchange
    }
}

/// What the default could never fetch would make every token of its issuer a 503.
fn check_default_fetch(registry: &Registry, positions: &[String]) -> Result<(), ConfigError> {
    for (position, id) in positions.iter().enumerate() {
        let Some(issuer) = registry.issuer(id) else { continue };
        for (field, uri) in issuer.fetched_from() {
            let refused = |help: String| Err(Record { kind: "issuer", position, name: id }.wrong(field, help));
            if !cfg!(feature = "fetch") {
                return refused(format!("`{uri}` must be fetched, and {NO_CLIENT}"));
            }
            if uri.parse::<http::Uri>().is_ok_and(|uri| uri.scheme_str() != Some("https")) {
                let help =
                    format!("`{uri}` is not https: give a `fetch`, such as `HttpFetch` with `allow_loopback_http`");
                return refused(help);
            }
        }
    }
    Ok(())
}
