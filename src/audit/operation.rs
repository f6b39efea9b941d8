use crate::protocol::named_values;

/// The service of the layer that a request asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// A token exchange (RFC 8693).
    Exchange,
    /// The introspection of a token that the layer issued (RFC 7662).
    Introspection,
    /// The revocation of a token that the layer issued (RFC 7009).
    Revocation,
    /// The use of a resource with an access token (RFC 6750). Only refusals have an event.
    Access,
}

impl Operation {
    /// Every operation.
    pub const ALL: &'static [Self] = &[Self::Exchange, Self::Introspection, Self::Revocation, Self::Access];

    /// Returns the name in `snake_case`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Exchange => "exchange",
            Self::Introspection => "introspection",
            Self::Revocation => "revocation",
            Self::Access => "access",
        }
    }
}

named_values!(Operation, as_str, "an operation");
