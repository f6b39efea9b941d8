//! The calling side.

use super::{Scenario, Work};
use crate::world::{ISSUER, SECRET, Tokens, local_signer};
use bytes::Bytes;
use http::{Request, Response};
use serde_json::json;
use std::{convert::Infallible, future::ready};
use tokio::runtime::Builder;
use tower_token_exchange::{
    caller::{ClientAuthentication, ExchangeClient},
    signing::Algorithm,
};

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![Scenario::new("kept token of a client", || Work::call(kept_token()))]
}

/// Makes a function that asks a client for a token that the client has kept. The subject token is a JWT of usual size.
pub fn kept_token() -> impl Fn() {
    let mut tokens = Tokens::new(ISSUER, local_signer(Algorithm::ES256));
    let issued = tokens.next(&json!({}));
    let server = tower::service_fn(move |_: Request<Bytes>| {
        let answer = json!({
            "access_token": issued, "token_type": "Bearer", "expires_in": 300,
            "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
        });
        ready(Ok::<_, Infallible>(Response::new(Bytes::from(answer.to_string()))))
    });
    let credentials = ClientAuthentication::secret_basic("orders", SECRET);
    let builder = ExchangeClient::builder(format!("{ISSUER}/token"), credentials).http(server);
    let client = builder.build().expect("a client");
    let subject = tokens.next(&json!({}));
    let runtime = Builder::new_current_thread().enable_time().build().expect("a runtime");
    let ask = move || {
        let request = client.exchange(&*subject).target("billing").scope("read");
        let token = runtime.block_on(request.into_future()).expect("a token");
        assert!(!token.expose().is_empty());
    };
    ask();
    ask
}
