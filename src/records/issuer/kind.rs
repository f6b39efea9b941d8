use crate::protocol::TokenType;

/// The kinds of tokens with different fixed requirements. No token can meet the requirements of two kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    AccessToken,
    IdToken,
    Jwt,
}

impl Kind {
    pub(crate) fn of(declared: &TokenType) -> Self {
        if *declared == TokenType::ACCESS_TOKEN {
            Self::AccessToken
        } else if *declared == TokenType::ID_TOKEN {
            Self::IdToken
        } else {
            Self::Jwt
        }
    }
}

/// The media types of tokens with another purpose, in lower case. They are never subject tokens or actor tokens.
const OTHER_KINDS: [&str; 14] = [
    "txntoken+jwt",
    "oauth-id-jag+jwt",
    "secevent+jwt",
    "logout+jwt",
    "dpop+jwt",
    "client-authentication+jwt",
    "oauth-client-attestation+jwt",
    "oauth-client-attestation-pop+jwt",
    "wit+jwt",
    "wpt+jwt",
    "token-introspection+jwt",
    "entity-statement+jwt",
    "oauth-authz-req+jwt",
    "rt+jwt",
];

pub(crate) fn is_other_kind(typ: &str) -> bool {
    OTHER_KINDS.contains(&typ)
}
