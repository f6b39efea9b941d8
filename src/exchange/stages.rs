//! The stages of an exchange, as types.
//!
//! A value of a stage proves that the checks of this stage and of all earlier stages have passed. The compiler enforces
//! the proof: the fields of a stage are private to this file, each stage has one constructor, and the constructor takes
//! the value of the stage before. The constructors make no checks of their own. Each constructor calls the module that
//! makes the checks.
//!
//! From [`Validated`] on, a stage dereferences to the stage before it. So every accessor of an earlier stage works on the
//! later stages, and a `&Decided` can be passed to a function that takes a `&Bounded`.

#![expect(clippy::manual_async_fn, reason = "an `async fn` would hold the stage before in two places")]

use crate::{
    ancestry::{Ancestry, Lineage, PresentedToken},
    authority::{ActChain, Actor, Bounds, EffectiveGrant, Facts, Parameters},
    client_auth::{AuthenticationMethod, Authenticator, ClaimedClient, authenticate_for_exchange},
    clock::Clock,
    limits::Budgets,
    plug::{Failing, ask},
    policy::{self, Bindings, Decision, Grant, PolicyPart, Query, ShadowOutcome},
    proof::{Outcome, Permission, Possession, Proofs},
    protocol::{
        Answer, IssuerId, KeyId, NumericDate, Reason, Rejection, Requested, Scope, Sender, TargetId, TokenId,
        TokenRequest, TokenType,
    },
    records::{ClientRecord, Party, Registry, SubjectId, TargetRecord},
    replay::{Replays, UseKey},
    revocation::Revocations,
    settings::Settings,
    signing::{self, SignedToken, Signer, TokenContents},
    status::{StatusChecks, StatusQuery, TokenReference},
    token::{Claims, TokenRole, VerifiedToken, Verifier},
};
use serde_json::Value;
use std::{ops::Deref, sync::Arc};

/// Stage 1: the request is a form that can be read in only one way.
#[derive(Debug)]
pub(crate) struct Presented<'a> {
    client: ClaimedClient<'a>,
    requested: Requested,
}

impl<'a> Presented<'a> {
    /// Reads the sender and the form of a request.
    pub(crate) fn read(sender: Sender<'a>, body: &[u8]) -> Result<Self, Rejection> {
        let TokenRequest { identification, requested } = TokenRequest::read(sender, body)?;
        Ok(Self { client: ClaimedClient::read(identification), requested })
    }

    /// The client and its credentials, which are not checked yet.
    pub(crate) fn client(&self) -> &ClaimedClient<'a> {
        &self.client
    }

    /// The parameters of the request, which are not checked yet.
    pub(crate) fn requested(&self) -> &Requested {
        &self.requested
    }
}

/// Stage 2: the client is authenticated and may use the exchange grant. The credentials are dropped.
#[derive(Debug)]
pub(crate) struct Authenticated {
    client: Arc<ClientRecord>,
    method: AuthenticationMethod,
    requested: Requested,
}

impl Authenticated {
    /// Authenticates the client, unless too many wrong credentials came before.
    pub(crate) fn authenticate(
        presented: Presented<'_>,
        authenticator: &Authenticator,
        registry: &Registry,
        limits: &Budgets,
    ) -> impl Future<Output = Result<Self, Rejection>> {
        async move {
            let claimed = &presented.client;
            let (client, method) = authenticate_for_exchange(authenticator, registry, limits, claimed).await?;
            Ok(Self { client, method, requested: presented.requested })
        }
    }

    /// Takes the exchange from the budget of the client.
    pub(crate) fn admit(self, limits: &Budgets) -> Result<Self, Rejection> {
        limits.admit_exchange(&self.client.id, self.client.max_exchanges)?;
        Ok(self)
    }

    pub(crate) fn client(&self) -> &ClientRecord {
        &self.client
    }

    pub(crate) fn method(&self) -> AuthenticationMethod {
        self.method
    }

    /// The parameters of the request, which are not checked yet.
    pub(crate) fn requested(&self) -> &Requested {
        &self.requested
    }
}

/// Stage 3: the proofs of possession in the request are genuine, fresh, and used for the first time.
#[derive(Debug)]
pub(crate) struct Proven {
    client: Arc<ClientRecord>,
    possession: Possession,
    requested: Requested,
}

impl Proven {
    /// Checks the DPoP proof, and notes the certificate of the client.
    pub(crate) fn prove(
        authenticated: Authenticated,
        proofs: &Proofs,
        sender: Sender<'_>,
    ) -> impl Future<Output = Result<Self, Rejection>> {
        async move {
            let possession = proofs.check(sender, &authenticated.client).await?;
            let Authenticated { client, requested, .. } = authenticated;
            Ok(Self { client, possession, requested })
        }
    }

    /// What the sender possesses.
    pub(crate) fn possession(&self) -> &Possession {
        &self.possession
    }
}

/// Stage 4: the requested targets and token types are in the records, and the client may ask for the targets.
#[derive(Debug)]
pub(crate) struct Resolved {
    client: Arc<ClientRecord>,
    possession: Possession,
    parameters: Parameters,
}

impl Resolved {
    /// Resolves the parameters against the records.
    pub(crate) fn resolve(proven: Proven, registry: &Registry, max_targets: usize) -> Result<Self, Rejection> {
        let Proven { client, possession, requested } = proven;
        let parameters = Parameters::resolve(requested, &client, registry, max_targets)?;
        Ok(Self { client, possession, parameters })
    }

    pub(crate) fn client(&self) -> &ClientRecord {
        &self.client
    }

    /// What the sender possesses.
    pub(crate) fn possession(&self) -> &Possession {
        &self.possession
    }

    pub(crate) fn targets(&self) -> &[Arc<TargetRecord>] {
        &self.parameters.targets
    }

    /// The requested scope. `None` requests the whole ceiling.
    pub(crate) fn requested_scope(&self) -> Option<&Scope> {
        self.parameters.scope.as_ref()
    }

    /// The type of the token to issue.
    pub(crate) fn issued_token_type(&self) -> &TokenType {
        &self.parameters.issued_token_type
    }
}

/// Stage 5: the subject token and the actor token are valid. Their combination is not checked yet.
#[derive(Debug)]
pub(crate) struct Validated {
    resolved: Resolved,
    subject: VerifiedToken,
    /// On the heap, because most requests have no actor token.
    actor: Option<Box<VerifiedToken>>,
    /// The name under which the subject token is used up, if the subject token may be exchanged once.
    one_time_key: Option<UseKey>,
}

impl Validated {
    /// Validates the subject token, and then the actor token.
    pub(crate) fn validate(resolved: Resolved, verifier: &Verifier) -> impl Future<Output = Result<Self, Rejection>> {
        async move {
            let client = resolved.client();
            let subject = verifier.verify(&resolved.parameters.subject, TokenRole::Subject, &client.id).await?;
            let actor = match &resolved.parameters.actor {
                Some(declared) => {
                    let verified = Box::pin(verifier.verify(declared, TokenRole::Actor, &client.id)).await?;
                    Some(Box::new(verified))
                }
                None => None,
            };
            let one_time_key = verifier.one_time_key(&subject, &resolved.parameters.subject, client)?;
            Ok(Self { resolved, subject, actor, one_time_key })
        }
    }

    /// Takes the exchange from the budget of the subject.
    pub(crate) fn admit(self, limits: &Budgets) -> Result<Self, Rejection> {
        let Party { iss, sub } = self.subject.original_party();
        limits.admit_subject(&iss, &sub)?;
        Ok(self)
    }

    pub(crate) fn subject(&self) -> &VerifiedToken {
        &self.subject
    }

    pub(crate) fn actor_token(&self) -> Option<&VerifiedToken> {
        self.actor.as_deref()
    }

    /// Whether the subject token may be exchanged once.
    pub(crate) fn subject_is_one_time(&self) -> bool {
        self.one_time_key.is_some()
    }

    /// The facts that the bounds follow from.
    pub(crate) fn facts<'a>(&'a self, registry: &'a Registry) -> Facts<'a> {
        Facts {
            registry,
            client: self.client(),
            targets: self.targets(),
            possession: self.possession(),
            requested_scope: self.requested_scope(),
            subject: self.subject(),
            actor_token: self.actor_token(),
        }
    }
}

/// Stage 6: the records and the tokens allow an exchange. The bounds are known, and the ceiling is a part of the
/// bounds.
#[derive(Debug)]
pub(crate) struct Bounded {
    /// On the heap, because every later stage contains these values, and a future that holds the stages would be large.
    found: Box<Found>,
}

/// The values of [`Bounded`].
#[derive(Debug)]
struct Found {
    validated: Validated,
    bounds: Bounds,
}

impl Bounded {
    /// Finds the bounds.
    pub(crate) fn bound(validated: Validated, registry: &Registry, settings: &Settings) -> Result<Self, Rejection> {
        let bounds = Bounds::find(&validated.facts(registry), settings)?;
        Ok(Self { found: Box::new(Found { validated, bounds }) })
    }

    fn bounds(&self) -> &Bounds {
        &self.found.bounds
    }

    pub(crate) fn issued_sub(&self) -> &SubjectId {
        &self.bounds().parties.issued_sub
    }

    /// The names of the subject other than the name in the subject token.
    pub(crate) fn subject_other_names(&self) -> &[Party] {
        self.bounds().parties.subject_other_names()
    }

    pub(crate) fn actor(&self) -> &Actor {
        &self.bounds().parties.actor
    }

    /// The actors that the subject token names.
    pub(crate) fn prior_actors(&self) -> &ActChain {
        &self.bounds().prior_actors
    }

    /// The reason why a delegation is impossible.
    pub(crate) fn delegation_problem(&self) -> Option<&Rejection> {
        self.bounds().semantics.delegation.as_ref().err()
    }

    /// The reason why an impersonation is impossible.
    pub(crate) fn impersonation_problem(&self) -> Option<&Rejection> {
        self.bounds().semantics.impersonation.as_ref().err()
    }

    /// What becomes of the binding of the subject token, without and with a permission of the policy. `None` if a bearer token
    /// is exchanged for a bearer token.
    pub(crate) fn binding_outcomes(&self) -> Option<String> {
        let outcome = |permission| self.bounds().binding.outcome(permission);
        let [unchanged, rebind, release] =
            [Permission::Unchanged, Permission::Rebind, Permission::Release].map(outcome);
        let text = || format!("{unchanged}; with `rebind`: {rebind}; with `release`: {release}");
        (unchanged != Outcome::Bearer).then(text)
    }

    fn target_ids(&self) -> Vec<TargetId> {
        self.targets().iter().map(|target| target.id.clone()).collect()
    }

    /// What is looked up in the store of revocations.
    fn lineage<'a>(&'a self, revocations: &'a Revocations, own_issuer: &IssuerId) -> Result<Lineage<'a>, Rejection> {
        let (parties, parameters) = (&self.bounds().parties, &self.parameters);
        let subject = PresentedToken::new(self.subject(), parameters.subject.token.expose());
        let mut lineage = Lineage::of_token(revocations, own_issuer, "subject token", &subject)?;
        if let (Some(actor), Some(declared)) = (self.actor_token(), &parameters.actor) {
            lineage.add_actor_token("actor token", &PresentedToken::new(actor, declared.token.expose()))?;
        }
        lineage.add_subject(parties.subject_names());
        let prior = self.prior_actors().parties().chain(&self.bounds().prior_actor_other_names);
        lineage.add_actors(parties.actor.names.iter().chain(prior));
        Ok(lineage)
    }

    fn status_query(&self) -> StatusQuery {
        StatusQuery {
            client_id: self.client().id.clone(),
            subject: self.subject().party(),
            subject_other_names: self.subject_other_names().to_vec(),
            issued_sub: self.issued_sub().clone(),
            actor: self.actor().party.clone(),
            actor_other_names: self.actor().other_names(),
            targets: self.target_ids(),
            subject_token: TokenReference::from_token(self.subject()),
            actor_token: self.actor_token().map(TokenReference::from_token),
        }
    }
}

/// Stage 7: no token and no ancestor of a token is revoked, and the status check accepts all parties.
#[derive(Debug)]
pub(crate) struct StillValid {
    bounded: Bounded,
    /// The ancestors of the token to issue. `None` if the layer has no store of revocations.
    ancestry: Option<Ancestry>,
}

impl StillValid {
    /// Checks the revocations, and asks the status check.
    pub(crate) async fn check(
        mut bounded: Bounded,
        checks: &StatusChecks,
        own_issuer: &IssuerId,
    ) -> Result<Self, Rejection> {
        let ancestry = checks.check_revocations(|revocations| bounded.lineage(revocations, own_issuer)).await?;
        bounded.found.validated.resolved.parameters.free_token_texts();
        checks.check_status(|| bounded.status_query()).await?;
        Ok(Self { bounded, ancestry })
    }

    /// The question to the policy.
    pub(crate) fn policy_query(&self) -> Query {
        let Bounds { parties, prior_actors, prior_actor_other_names, semantics, ceiling, login, binding, found_at } =
            self.bounds();
        Query {
            client_id: self.client().id.clone(),
            subject: policy::Subject {
                party: self.subject().party(),
                issued_sub: parties.issued_sub.clone(),
                other_names: self.subject_other_names().to_vec(),
                is_client: parties.subject_is_client,
                token_type: self.subject().token_type.clone(),
                earlier_token_types: self.subject().origin.token_types.clone(),
                acr: login.acr.clone(),
                auth_time: login.authenticated_at(),
                claims: self.subject().claims.clone(),
            },
            actor: policy::Actor {
                party: parties.actor.party.clone(),
                other_names: parties.actor.other_names(),
                is_client: parties.actor.is_client,
                by_token: self.actor_token().is_some(),
                token_type: self.actor_token().map(|actor| actor.token_type.clone()),
            },
            prior_actors: prior_actors.parties().cloned().collect(),
            prior_actor_other_names: prior_actor_other_names.clone(),
            targets: self.target_ids(),
            requested_scope: self.requested_scope().cloned(),
            max_scope: ceiling.scope.clone(),
            max_lifetime: ceiling.lifetime,
            requested_token_type: self.issued_token_type().clone(),
            now: *found_at,
            sender_constrained: binding.outcome(Permission::Unchanged).is_bound(),
            bindings: Bindings::of(|permission| binding.outcome(permission)),
            delegation_possible: semantics.delegation.is_ok(),
            impersonation_possible: semantics.impersonation.is_ok(),
        }
    }
}

/// Stage 8: the policy allows the exchange, with a grant within the ceiling, and the binding of the token is decided.
#[derive(Debug)]
pub(crate) struct Decided {
    still_valid: StillValid,
    grant: EffectiveGrant,
}

impl Decided {
    /// Asks the policy, checks that the grant does not exceed the ceiling, and decides the binding of the token.
    ///
    /// `on_shadow` receives the shadow outcome, if the decision has one.
    pub(crate) async fn decide(
        still_valid: StillValid,
        policy: &PolicyPart,
        strict_scope: bool,
        on_shadow: impl FnOnce(&ShadowOutcome),
    ) -> Result<Self, Rejection> {
        const FAILING: Failing = Failing { unavailable: Reason::PolicyUnavailable, panicked: Reason::PolicyPanicked };
        let decision = ask(policy, still_valid.policy_query(), FAILING).await?;
        if let Some(outcome) = decision.shadow() {
            on_shadow(outcome);
        }
        let clamp = |grant: Grant| {
            EffectiveGrant::checked(still_valid.bounds(), grant, still_valid.requested_scope(), strict_scope)
        };
        let grant = match decision {
            Decision::Allow(grant) => clamp(grant)?,
            Decision::Deny(denial) => return Err(denial.into_rejection()),
        };
        Ok(Self { still_valid, grant })
    }

    pub(crate) fn grant(&self) -> &EffectiveGrant {
        &self.grant
    }

    /// The claims of the token that would be issued now, with a name that no token has, and without `ancestry`.
    pub(crate) fn claims_to_issue(&self, registry: &Registry, clock: &Clock) -> Claims {
        signing::claims_of(&self.contents(registry), clock.now().into())
    }

    fn contents<'a>(&'a self, registry: &'a Registry) -> TokenContents<'a> {
        TokenContents {
            issuer: registry.own_issuer(),
            sub: self.issued_sub(),
            client_id: &self.client().id,
            targets: self.targets(),
            grant: self.grant(),
            login: &self.bounds().login,
            subject: self.subject(),
            exchanged_from: self.exchanged_from(registry),
            ancestry: None,
            token_type: self.issued_token_type(),
        }
    }

    /// The claim `exchanged_from` of the issued token, if the token needs the claim.
    fn exchanged_from(&self, registry: &Registry) -> Option<Value> {
        if self.subject().has_plain_origin(self.issued_token_type()) {
            return None;
        }
        self.subject().origin_of_issued().to_claim(registry, self.issued_sub(), self.issued_token_type())
    }
}

/// Stage 9: the new token is signed. Nobody may receive the token yet.
#[derive(Debug)]
pub(crate) struct Signed {
    decided: Decided,
    token: SignedToken,
}

impl Signed {
    /// Builds the claims of the token and signs the token.
    pub(crate) async fn sign(
        decided: Decided,
        signer: &Signer,
        registry: &Registry,
        clock: &Clock,
    ) -> Result<Self, Rejection> {
        let ancestry = decided.ancestry.as_ref().map(Ancestry::to_claim);
        let contents = TokenContents { ancestry, ..decided.contents(registry) };
        let token = SignedToken::sign(&contents, signer, clock).await?;
        Ok(Self { decided, token })
    }

    pub(crate) fn jti(&self) -> &TokenId {
        &self.token.jti
    }

    pub(crate) fn key_id(&self) -> &KeyId {
        &self.token.key_id
    }

    pub(crate) fn expires_at(&self) -> NumericDate {
        self.token.expires_at
    }
}

/// Stage 10: a subject token that may be exchanged once is used up. The client receives the new token only after the audit
/// sink has taken the audit event.
#[derive(Debug)]
pub(crate) struct Issued {
    signed: Signed,
}

impl Issued {
    /// Uses up the subject token, if the subject token may be exchanged once.
    pub(crate) async fn issue(signed: Signed, replays: &Replays) -> Result<Self, Rejection> {
        if let Some(key) = signed.one_time_key {
            replays.use_once(key, &signed.client().id, signed.subject().expires_at).await?;
        }
        Ok(Self { signed })
    }

    /// The answer to the client.
    pub(crate) fn answer(&self) -> Answer<'_> {
        let is_access_token = *self.issued_token_type() == TokenType::ACCESS_TOKEN;
        Answer {
            access_token: self.token.token.expose(),
            issued_token_type: self.issued_token_type(),
            token_type: self.grant().binding().binding().token_type(is_access_token),
            expires_in: self.token.expires_in.as_secs(),
            scope: self.grant().scope(),
            dpop_nonce: self.possession().next_nonce(),
        }
    }
}

/// Makes the accessors of an earlier stage available on the next stage.
macro_rules! answers_for {
    ($($stage:ident => $($field:ident).+: $earlier:ident,)*) => {
        $(impl Deref for $stage {
            type Target = $earlier;

            fn deref(&self) -> &$earlier {
                &self.$($field).+
            }
        })*
    };
}

answers_for! {
    Validated => resolved: Resolved,
    Bounded => found.validated: Validated,
    StillValid => bounded: Bounded,
    Decided => still_valid: StillValid,
    Signed => decided: Decided,
    Issued => signed: Signed,
}
