//! The records of issuers at a resource server.

use super::{IDENTIFIER, Issuer, Kind, TOKENS};
use crate::{
    protocol::TokenType,
    records::{ConfigError, ConfigErrorKind},
};

impl Issuer {
    /// The record with the defaults of a resource server: access tokens (RFC 9068) that name the resource server in `aud`.
    pub(in crate::records) fn at_resource(mut self, audiences: &[String]) -> Self {
        if self.tokens.is_empty() {
            self = self.accept_types([TokenType::ACCESS_TOKEN]);
        }
        if self.accepted_audiences.is_empty() {
            self.accepted_audiences = audiences.to_vec();
        }
        self
    }

    /// Checks what only matters at a resource server.
    pub(in crate::records) fn check_for_resource(&self, position: usize) -> Result<(), ConfigError> {
        let place = self.place(position);
        if self.id.as_str().is_empty() {
            return Err(place.wrong(IDENTIFIER, "empty: give the exact `iss` of the tokens"));
        }
        let conflict = |field, help: &str| Err(place.wrong(field, help).of_kind(ConfigErrorKind::Conflict));
        if self.for_clients_only {
            return conflict("for_clients_only".into(), "a resource server has no clients: remove this statement");
        }
        match self.tokens.as_slice() {
            [] => Ok(()),
            [rules] if Kind::of(&rules.token_type) == Kind::IdToken => {
                conflict(TOKENS, "an ID token is no access token: accept `access_token` or `jwt`")
            }
            [_] => Ok(()),
            _ => conflict(TOKENS, "a resource server cannot tell several types apart: accept one type"),
        }
    }
}
