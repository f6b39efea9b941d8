use super::{Decided, Exchange, Observer};
use crate::{
    client_auth::{AuthenticatedClient, AuthenticationMethod},
    limits::{Budgets, Limits},
    protocol::{ClientId, Rejection, Sender},
    token::AssumedToken,
};
use http::Request;
use std::sync::Arc;

impl Exchange {
    /// The exchange for dry runs: nothing is taken from a budget, and the client possesses every key that a token is bound to.
    pub(crate) fn for_dry_runs(&self) -> Self {
        let limits = Arc::new(Budgets::new(Limits::none(), &self.settings.clock));
        Self { proofs: self.proofs.assumed(), limits, ..self.clone() }
    }

    /// The exchange in which this token takes the place of every JWT.
    pub(crate) fn assuming(&self, token: AssumedToken) -> Self {
        let mut exchange = self.clone();
        exchange.verifier.assumed = Some(token);
        exchange
    }

    /// Runs all stages before the token is signed, as if the form came from this client.
    pub(crate) async fn dry_run(
        &self,
        observer: &mut impl Observer,
        client_id: impl Into<ClientId>,
        form: &[u8],
    ) -> Result<Decided, Rejection> {
        // A dry run does not check the identity of the client, so the method is one that every record accepts.
        let client = AuthenticatedClient::new(client_id).with_method(AuthenticationMethod::PrivateKeyJwt);
        let mut request = Request::new(());
        request.extensions_mut().insert(client);
        let (parts, ()) = request.into_parts();
        self.decide(observer, Sender::of(&parts), form).await
    }
}
