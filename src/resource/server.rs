//! The decision about one request.

use super::{
    AccessRefusal, AccessRequest, AccessRules, AccessToken,
    challenge::{Context, Scheme},
    request::{has_token, scheme_of},
};
use crate::{
    audit::{AccessFacts, Audit, Operation, Outcome, Stage, TokenFacts},
    metrics,
    proof::{Binding, Proofs},
    protocol::{Reason, Rejection, Sender, Sensitive, TokenType, refuse},
    settings::Settings,
    token::Verifier,
};
use http::{HeaderMap, HeaderValue, header, request::Parts};
use std::sync::Arc;
use tokio::time::Instant;

/// The longest token that is read, in bytes.
const MAX_TOKEN_BYTES: usize = 64 * 1024;

/// Everything that decides about a request, except the rules.
pub(super) struct Core {
    pub(super) verifier: Verifier,
    pub(super) proofs: Proofs,
    pub(super) settings: Arc<Settings>,
    pub(super) audit: Audit,
    pub(super) max_actors: usize,
    pub(super) requires_sender_constraint: bool,
    /// The algorithms for DPoP proofs, with spaces. `None` if the layer does not support DPoP.
    pub(super) algorithms: Option<String>,
    pub(super) metadata_url: Option<String>,
}

/// What is known about a request so far, for the audit event of a refusal.
#[derive(Default)]
struct Progress {
    token: Option<AccessToken>,
    stage: Option<Stage>,
    proven: Binding,
}

/// A token that the layer has verified in an outer position, so that an inner layer only asks its rules.
#[derive(Clone)]
pub(super) struct Verified {
    by: Arc<Core>,
    token: AccessToken,
}

/// A request that may reach the wrapped service.
pub(super) struct Admitted {
    pub(super) token: Option<AccessToken>,
    /// The nonce for the next DPoP proof, if the client needs another nonce.
    pub(super) next_nonce: Option<HeaderValue>,
}

impl Core {
    /// Decides about an HTTP request. A refusal is in the audit when the function returns.
    pub(super) async fn admit(
        self: &Arc<Self>,
        parts: &mut Parts,
        rules: &AccessRules,
        allows_anonymous: bool,
    ) -> Result<Admitted, AccessRefusal> {
        parts.extensions.remove::<AccessToken>();
        let started = Instant::now();
        let mut progress = Progress::default();
        let is_same = |known: &&Verified| Arc::ptr_eq(&known.by, self) && has_token(parts, known.token.expose());
        let known = parts.extensions.get::<Verified>().filter(is_same).cloned();
        let found = match known {
            Some(Verified { token, .. }) => {
                progress.token = Some(token.clone());
                progress.stage = Some(Stage::Policy);
                let decided = rules.check(&token, self.settings.now());
                decided.map(|()| Admitted { token: Some(token), next_nonce: None })
            }
            None => match AccessRequest::read(parts) {
                Ok(None) if allows_anonymous => Ok(Admitted { token: None, next_nonce: None }),
                Ok(None) => Err(refuse(Reason::AccessTokenMissing)),
                Ok(Some(request)) => self.decide(&request, rules, &mut progress).await,
                Err(rejection) => Err(rejection),
            },
        };
        match found {
            Ok(admitted) => {
                metrics::record_access(Outcome::Allowed.as_str(), None);
                if let Some(token) = &admitted.token {
                    parts.extensions.insert(token.clone());
                    parts.extensions.insert(Verified { by: Arc::clone(self), token: token.clone() });
                }
                Ok(admitted)
            }
            Err(rejection) => {
                let refusal = self.refusal(rejection, scheme_of(&parts.headers), &parts.headers);
                let query = parts.uri.query().unwrap_or_default().as_bytes();
                self.record(&refusal, Sender::of(parts), query, progress, started).await;
                Err(refusal)
            }
        }
    }

    /// Decides about a request without HTTP.
    pub(super) async fn verify(
        &self,
        request: &AccessRequest<'_>,
        rules: &AccessRules,
    ) -> Result<AccessToken, AccessRefusal> {
        let started = Instant::now();
        let mut progress = Progress::default();
        match self.decide(request, rules, &mut progress).await {
            Ok(Admitted { token: Some(token), .. }) => {
                metrics::record_access(Outcome::Allowed.as_str(), None);
                Ok(token)
            }
            decided => {
                let rejection = decided.err().unwrap_or_else(|| refuse(Reason::Internal));
                let headers = HeaderMap::new();
                let refusal = self.refusal(rejection, request.scheme, &headers);
                self.record(&refusal, Sender::without_extensions(&headers), b"", progress, started).await;
                Err(refusal)
            }
        }
    }

    /// The one decision about a token, a proof and the rules.
    async fn decide(
        &self,
        request: &AccessRequest<'_>,
        rules: &AccessRules,
        progress: &mut Progress,
    ) -> Result<Admitted, Rejection> {
        let decision = async {
            progress.stage = Some(Stage::Tokens);
            if request.scheme == Scheme::Dpop && self.algorithms.is_none() {
                return Err(refuse(Reason::DpopUnsupported));
            }
            if request.token.len() > MAX_TOKEN_BYTES {
                return Err(refuse(Reason::TokenTooLarge));
            }
            let text = Sensitive::new(request.token.to_owned());
            let verified = self.verifier.verify_access_token(text.clone()).await?;
            let token = AccessToken::from_verified(verified, text, self.max_actors)?;
            progress.token = Some(token.clone());
            progress.stage = Some(Stage::Proof);
            let next_nonce = self.check_possession(request, &token, progress).await?;
            progress.stage = Some(Stage::Policy);
            rules.check(&token, self.settings.now())?;
            Ok(Admitted { token: Some(token), next_nonce })
        };
        self.settings.in_time(decision).await
    }

    /// Checks that the sender possesses what the token is bound to (RFC 9449 section 7, RFC 8705 section 3).
    async fn check_possession(
        &self,
        request: &AccessRequest<'_>,
        token: &AccessToken,
        progress: &mut Progress,
    ) -> Result<Option<HeaderValue>, Rejection> {
        let bound = token.binding();
        progress.proven.certificate = request.certificate;
        if bound.is_none() && self.requires_sender_constraint {
            return Err(refuse(Reason::AccessBindingRequired));
        }
        if bound.certificate.is_some() && bound.certificate != request.certificate {
            return Err(refuse(Reason::BindingNotProven).with_detail("the certificate of the access token"));
        }
        match (request.scheme, bound.key) {
            (Scheme::Bearer, None) => Ok(None),
            (Scheme::Bearer, Some(_)) => Err(refuse(Reason::BoundTokenAsBearer)),
            (Scheme::Dpop, None) => Err(refuse(Reason::UnboundTokenAsDpop)),
            (Scheme::Dpop, Some(key)) => {
                let proof = request.proof.as_ref().ok_or_else(|| refuse(Reason::DpopProofMissing))?;
                let client = token.client_id().cloned().unwrap_or_else(|| token.subject().sub.as_str().into());
                let place = (request.method, request.path);
                let checked = self.proofs.check_for_resource(proof, place, request.token, &client);
                let (proven, next_nonce) = checked.await?;
                progress.proven.key = Some(proven);
                match proven == key {
                    true => Ok(next_nonce),
                    false => Err(refuse(Reason::BindingNotProven).with_detail("the key of the access token")),
                }
            }
        }
    }

    pub(super) fn refusal(&self, rejection: Rejection, scheme: Scheme, headers: &HeaderMap) -> AccessRefusal {
        let content_type = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
        let context = Context {
            scheme,
            accepts_bearer: self.algorithms.is_none() || !self.requires_sender_constraint,
            accepts_dpop: self.algorithms.is_some(),
            algorithms: self.algorithms.as_deref(),
            metadata_url: self.metadata_url.as_deref(),
            is_grpc: content_type.starts_with(b"application/grpc")
                && !content_type.starts_with(b"application/grpc-web"),
        };
        AccessRefusal::with_context(rejection, &context)
    }

    async fn record(
        &self,
        refusal: &AccessRefusal,
        sender: Sender<'_>,
        query: &[u8],
        progress: Progress,
        started: Instant,
    ) {
        let registry = Arc::clone(&self.verifier.registry);
        let mut attempt = self.audit.start_attempt(Operation::Access, registry, sender, [query, b""]);
        attempt.began(started);
        let Progress { token, stage, proven } = progress;
        attempt.access(AccessFacts {
            stage: stage.unwrap_or(Stage::Request),
            proven,
            client: token.as_ref().and_then(|token| token.client_id().cloned()),
            subject: token.as_ref().map(|token| token.subject().clone()),
            actors: token.as_ref().map(|token| token.actors().to_vec()).unwrap_or_default(),
            token: token.as_ref().map(|token| TokenFacts {
                token_type: TokenType::ACCESS_TOKEN,
                iss: token.issuer().clone(),
                jti: token.id().cloned(),
                exp: token.expires_at(),
                one_time: false,
                binding: Some(token.binding()).filter(|binding| !binding.is_none()),
            }),
        });
        // The answer to a refused request does not depend on the sink.
        let _ = Box::pin(attempt.finish::<()>(Err(refusal.rejection().clone()))).await;
    }
}
