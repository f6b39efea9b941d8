use crate::{
    proof::Possession,
    protocol::Scope,
    records::{ClientRecord, Registry, TargetRecord},
    token::VerifiedToken,
};
use std::sync::Arc;

/// The checked facts of a request. The bounds of the request follow from these facts.
#[derive(Clone, Copy)]
pub(crate) struct Facts<'a> {
    pub(crate) registry: &'a Registry,
    pub(crate) client: &'a ClientRecord,
    pub(crate) targets: &'a [Arc<TargetRecord>],
    pub(crate) possession: &'a Possession,
    pub(crate) requested_scope: Option<&'a Scope>,
    pub(crate) subject: &'a VerifiedToken,
    pub(crate) actor_token: Option<&'a VerifiedToken>,
}
