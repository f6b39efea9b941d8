use super::Authenticated;
use crate::protocol::{Reason, Rejection, Requested, Scope, Sensitive, TargetName, TokenType, refuse};
use crate::records::{ClientRecord, Registry, TargetRecord};
use std::sync::Arc;

/// The largest token that is read.
const MAX_TOKEN_BYTES: usize = 64 * 1024;

/// What every client is held to.
#[derive(Clone, Debug)]
pub(crate) struct AskLimits {
    pub(crate) max_targets: usize,
}

/// A token as it was handed in, with the type that was declared for it.
#[derive(Clone, Debug)]
pub(crate) struct Declared {
    pub(crate) token: Sensitive,
    pub(crate) token_type: TokenType,
}

/// The third stage: a request whose every parameter is one that this client may send (RFC 8693 section 2.1).
#[derive(Debug)]
pub(crate) struct Resolved {
    pub(crate) client: Arc<ClientRecord>,
    pub(crate) subject: Declared,
    pub(crate) actor: Option<Declared>,
    pub(crate) targets: Vec<Arc<TargetRecord>>,
    /// What was asked for; `None` asks for whatever can be had.
    pub(crate) scope: Option<Scope>,
    pub(crate) issue_as: TokenType,
}

impl Resolved {
    pub(crate) fn by(registry: &Registry, limits: &AskLimits, authenticated: Authenticated) -> Result<Self, Rejection> {
        let Authenticated { client, requested, .. } = authenticated;
        let Requested { subject_token, subject_token_type, actor_token, actor_token_type, .. } = &requested;
        let subject = match (subject_token, subject_token_type) {
            (Some(token), Some(token_type)) => declared(token, token_type)?,
            (None, _) => return Err(refuse(Reason::SubjectTokenMissing)),
            (_, None) => return Err(refuse(Reason::SubjectTokenTypeMissing)),
        };
        let actor = match (actor_token, actor_token_type) {
            (Some(token), Some(token_type)) => Some(declared(token, token_type)?),
            (None, None) => None,
            _ => return Err(refuse(Reason::ActorParametersUnpaired)),
        };
        check_types(registry, &subject, actor.as_ref())?;
        let issue_as = output_type(&client, requested.requested_token_type.as_deref())?;
        let targets = targets(registry, limits, &client, &requested)?;
        let scope = asked_scope(&client, requested.scope.as_deref())?;
        Ok(Self { client, subject, actor, targets, scope, issue_as })
    }
}

fn declared(token: &Sensitive, token_type: &str) -> Result<Declared, Rejection> {
    if token.expose().len() > MAX_TOKEN_BYTES {
        return Err(refuse(Reason::TokenTooLarge));
    }
    Ok(Declared { token: token.clone(), token_type: TokenType::declared(token_type) })
}

/// A type that no issuer's record takes is refused before any token is looked at.
fn check_types(registry: &Registry, subject: &Declared, actor: Option<&Declared>) -> Result<(), Rejection> {
    let unsupported = |reason, declared: &Declared| Err(refuse(reason).because(&declared.token_type));
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

fn output_type(client: &ClientRecord, requested: Option<&str>) -> Result<TokenType, Rejection> {
    match requested {
        None => Ok(TokenType::ACCESS_TOKEN),
        Some(uri) if uri == TokenType::ACCESS_TOKEN.as_str() => Ok(TokenType::ACCESS_TOKEN),
        Some(uri) if uri == TokenType::JWT.as_str() && client.jwt_output => Ok(TokenType::JWT),
        Some(uri) => Err(refuse(Reason::RequestedTokenTypeUnsupported).because(uri)),
    }
}

fn targets(
    registry: &Registry,
    limits: &AskLimits,
    client: &ClientRecord,
    requested: &Requested,
) -> Result<Vec<Arc<TargetRecord>>, Rejection> {
    let malformed = |text: &str| refuse(Reason::TargetMalformed).because(format_args!("`{text}`"));
    let resources = requested.resources.iter().map(|uri| TargetName::resource(uri).map_err(|_| malformed(uri)));
    let audiences = requested.audiences.iter().map(|name| TargetName::audience(name).map_err(|_| malformed(name)));
    let mut targets: Vec<Arc<TargetRecord>> = Vec::new();
    for name in resources.chain(audiences) {
        let name = name?;
        let target =
            registry.target(&name).ok_or_else(|| refuse(Reason::TargetUnknown).because(format_args!("{name}")))?;
        if !targets.iter().any(|known| known.id == target.id) {
            targets.push(Arc::clone(target));
        }
    }
    if targets.is_empty() {
        let default = client.default_target.as_deref().and_then(|id| registry.target_by_id(id));
        targets.push(Arc::clone(default.ok_or_else(|| refuse(Reason::TargetMissing))?));
    }
    if targets.len() > limits.max_targets {
        return Err(refuse(Reason::TooManyTargets).because(targets.len()));
    }
    let allowed = |target: &TargetRecord| {
        target.is_called_by(&client.id) && client.targets.as_ref().is_none_or(|list| list.contains(&target.id))
    };
    match targets.iter().find(|target| !allowed(target)) {
        Some(target) => {
            let detail = format!("client `{}` is no caller of target `{}`", client.id, target.id);
            Err(refuse(Reason::TargetNotAllowed).because(detail))
        }
        None => Ok(targets),
    }
}

fn asked_scope(client: &ClientRecord, requested: Option<&str>) -> Result<Option<Scope>, Rejection> {
    let Some(text) = requested else { return Ok(None) };
    let scope: Scope = text.parse().map_err(|_| refuse(Reason::ScopeMalformed))?;
    let meant = scope.difference(&client.ignored_scopes);
    Ok((!meant.is_empty()).then_some(meant))
}
