use crate::{
    protocol::{DeclaredToken, Detail, Reason, Rejection, Requested, Scope, Sensitive, TargetName, TokenType, refuse},
    records::{ClientRecord, Registry, TargetRecord},
};
use std::sync::Arc;

/// The largest token that is read, in bytes.
const MAX_TOKEN_BYTES: usize = 64 * 1024;

/// The parameters of a request, resolved against the records (RFC 8693 section 2.1). The client may use each of these
/// targets and types.
#[derive(Debug)]
pub(crate) struct Parameters {
    pub(crate) subject: DeclaredToken,
    pub(crate) actor: Option<DeclaredToken>,
    pub(crate) targets: Vec<Arc<TargetRecord>>,
    /// The requested scope. `None` requests the whole ceiling.
    pub(crate) scope: Option<Scope>,
    /// The type of the token to issue.
    pub(crate) issued_token_type: TokenType,
}

impl Parameters {
    /// Resolves the parameters that a client sent.
    pub(crate) fn resolve(
        requested: Requested,
        client: &ClientRecord,
        registry: &Registry,
        max_targets: usize,
    ) -> Result<Self, Rejection> {
        let Requested { subject_token, subject_token_type, actor_token, actor_token_type, .. } = requested;
        let subject = match (subject_token, subject_token_type) {
            (Some(token), Some(token_type)) => declared(token, &token_type)?,
            (None, _) => return Err(refuse(Reason::SubjectTokenMissing)),
            (_, None) => return Err(refuse(Reason::SubjectTokenTypeMissing)),
        };
        let actor = match (actor_token, actor_token_type) {
            (Some(token), Some(token_type)) => Some(declared(token, &token_type)?),
            (None, None) => None,
            _ => return Err(refuse(Reason::ActorParametersUnpaired)),
        };
        check_types(registry, &subject, actor.as_ref())?;
        let issued_token_type = issued_token_type(client, requested.requested_token_type.as_deref())?;
        let targets = targets(registry, max_targets, client, &requested.resources, &requested.audiences)?;
        let scope = requested_scope(client, requested.scope.as_deref())?;
        Ok(Self { subject, actor, targets, scope, issued_token_type })
    }

    /// Frees the texts of the tokens. What the tokens say was read.
    pub(crate) fn free_token_texts(&mut self) {
        for declared in [Some(&mut self.subject), self.actor.as_mut()].into_iter().flatten() {
            declared.token = Sensitive::new(String::new());
        }
    }
}

fn declared(token: Sensitive, token_type: &str) -> Result<DeclaredToken, Rejection> {
    if token.expose().len() > MAX_TOKEN_BYTES {
        return Err(refuse(Reason::TokenTooLarge));
    }
    Ok(DeclaredToken { token, token_type: TokenType::declared(token_type) })
}

/// Refuses token types that no issuer's record accepts, before a token is decoded.
fn check_types(registry: &Registry, subject: &DeclaredToken, actor: Option<&DeclaredToken>) -> Result<(), Rejection> {
    let unsupported = |reason, declared: &DeclaredToken| {
        Err(refuse(reason).with_detail(Detail::default().unverified(declared.token_type.as_str())))
    };
    if !registry.accepts(&subject.token_type) {
        return unsupported(Reason::SubjectTokenTypeUnsupported, subject);
    }
    match actor {
        // An ID token says who logged in, not who acts.
        Some(actor) if actor.token_type == TokenType::ID_TOKEN || !registry.accepts(&actor.token_type) => {
            unsupported(Reason::ActorTokenTypeUnsupported, actor)
        }
        _ => Ok(()),
    }
}

fn issued_token_type(client: &ClientRecord, requested: Option<&str>) -> Result<TokenType, Rejection> {
    match requested {
        None => Ok(TokenType::ACCESS_TOKEN),
        Some(uri) if uri == TokenType::ACCESS_TOKEN.as_str() => Ok(TokenType::ACCESS_TOKEN),
        Some(uri) if uri == TokenType::JWT.as_str() && client.jwt_output => Ok(TokenType::JWT),
        Some(uri) => Err(refuse(Reason::RequestedTokenTypeUnsupported).with_detail(Detail::default().unverified(uri))),
    }
}

/// Finds the records of the requested targets. One target that is unknown or not allowed refuses the whole request.
fn targets(
    registry: &Registry,
    max_targets: usize,
    client: &ClientRecord,
    resources: &[String],
    audiences: &[String],
) -> Result<Vec<Arc<TargetRecord>>, Rejection> {
    let malformed = |text: &str| refuse(Reason::TargetMalformed).with_detail(Detail::default().unverified(text));
    let resources = resources.iter().map(|uri| TargetName::resource(uri).map_err(|_| malformed(uri)));
    let audiences = audiences.iter().map(|name| TargetName::audience(name).map_err(|_| malformed(name)));
    let mut targets: Vec<Arc<TargetRecord>> = Vec::new();
    for name in resources.chain(audiences) {
        let name = name?;
        let unknown = || {
            let detail = Detail::from(name.kind()).words(" ").unverified(name.as_str());
            refuse(Reason::TargetUnknown).with_detail(detail)
        };
        let target = registry.target(&name).ok_or_else(unknown)?;
        if !targets.iter().any(|known| known.id == target.id) {
            targets.push(Arc::clone(target));
        }
    }
    if targets.is_empty() {
        let default = client.default_target.as_ref().and_then(|id| registry.target_by_id(id));
        targets.push(Arc::clone(default.ok_or_else(|| refuse(Reason::TargetMissing))?));
    }
    if targets.len() > max_targets {
        return Err(refuse(Reason::TooManyTargets).with_detail(targets.len()));
    }
    let allowed = |target: &TargetRecord| {
        target.is_called_by(&client.id) && client.targets.as_ref().is_none_or(|list| list.contains(&target.id))
    };
    match targets.iter().find(|target| !allowed(target)) {
        Some(target) => {
            let detail = format!("client `{}` may not request a token for target `{}`", client.id, target.id);
            Err(refuse(Reason::TargetNotAllowed).with_detail(detail))
        }
        None => Ok(targets),
    }
}

fn requested_scope(client: &ClientRecord, requested: Option<&str>) -> Result<Option<Scope>, Rejection> {
    let Some(text) = requested else { return Ok(None) };
    let scope: Scope = text.parse().map_err(|_| refuse(Reason::ScopeMalformed))?;
    let meant = scope.difference(&client.ignored_scopes);
    Ok((!meant.is_empty()).then_some(meant))
}
