use super::ExchangeError;
use crate::{
    jose::base64url,
    protocol::{Rejection, Sensitive},
    signing::Signer,
};
use data_encoding::BASE64URL_NOPAD;
use serde_json::Value;

/// The encoded header of a JWT.
pub(super) fn header(header: &Value) -> String {
    base64url(header.to_string().as_bytes())
}

/// Signs a JWT with an encoded header.
pub(super) async fn sign(signer: &Signer, header: &str, claims: &Value) -> Result<Sensitive, ExchangeError> {
    let claims = claims.to_string();
    // With room for an RSA signature, so that no copy of the token is left.
    let length = header.len() + BASE64URL_NOPAD.encode_len(claims.len()) + 1024;
    let mut jwt = String::with_capacity(length);
    jwt.push_str(header);
    jwt.push('.');
    BASE64URL_NOPAD.encode_append(claims.as_bytes(), &mut jwt);
    let signature = signer.sign(&jwt).await.map_err(|rejection| cannot_sign(&rejection))?;
    jwt.push('.');
    BASE64URL_NOPAD.encode_append(signature.as_bytes(), &mut jwt);
    Ok(Sensitive::new(jwt))
}

fn cannot_sign(rejection: &Rejection) -> ExchangeError {
    ExchangeError::Credentials { problem: format!("the key does not sign ({})", rejection.reason()) }
}

pub(super) fn no_randomness() -> ExchangeError {
    ExchangeError::Credentials { problem: "the system has no randomness".to_owned() }
}
