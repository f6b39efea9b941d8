//! The values of the protocol, without I/O, keys or clock.
//!
//! This module has the parameters of a request ([`TokenType`], [`Scope`], the form), the identifiers, and the answers.
//! One table maps every [`Reason`] for a refusal to a status, an error code and a fixed description.

mod client_address;
mod detail;
mod error_code;
mod error_profile;
mod escaped;
mod form;
mod hash;
mod ids;
mod lenient;
mod media_type;
mod name;
mod named_values;
mod numeric_date;
mod reason;
mod reason_class;
mod rejection;
mod request;
mod response;
#[cfg(any(feature = "client", feature = "server-authenticator"))]
mod retry_after;
mod scope;
mod sensitive;
mod target;
mod token_type;

pub use client_address::ClientAddress;
pub use error_code::ErrorCode;
pub use error_profile::ErrorProfile;
pub use ids::{ClientId, IssuerId, KeyId, KeyIdError, SubjectId, TargetId, TokenId};
pub use named_values::UnknownNameError;
pub use numeric_date::NumericDate;
pub use reason::{Reason, Remedy, document_key};
pub use reason_class::ReasonClass;
pub use scope::{Scope, ScopeError, ScopeTokens};
pub use token_type::{TokenType, TokenTypeError};

pub(crate) use client_address::Sender;
pub(crate) use detail::Detail;
pub(crate) use escaped::{escaped, escaped_as, escaped_id};
use form::Form;
#[cfg(any(test, feature = "server-authenticator"))]
pub(crate) use form::basic_header;
pub(crate) use form::{basic_authorization, form_decode, form_encode, form_pairs, form_values, lenient_percent_decode};
pub(crate) use hash::sha256_of_parts;
pub(crate) use lenient::{any_parameter, any_string, begins_like_json, unescaped_utf16};
pub(crate) use media_type::media_type_of;
pub(crate) use name::is_name;
pub(crate) use named_values::named_values;
pub(crate) use rejection::{Rejection, StepUp, refuse};
pub(crate) use request::{DeclaredToken, Identification, Requested, TokenRequest};
pub(crate) use response::{Answer, error_response, json_response, success_response};
#[cfg(any(feature = "client", feature = "server-authenticator"))]
pub(crate) use retry_after::retry_after;
#[cfg(any(feature = "client", feature = "server-authenticator"))]
pub(crate) use sensitive::hash_secret;
#[cfg(feature = "argon2")]
pub(crate) use sensitive::sha256_of_secret_bytes;
pub(crate) use sensitive::{Sensitive, SensitiveBytes, decode_base64, sha256_of_secret, wiped_on_drop};
pub(crate) use target::{TargetName, TargetNameError};

/// The `grant_type` of RFC 8693 section 2.1.
pub const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";

/// The private claim of an issued token that states what the token was exchanged from.
pub(crate) const EXCHANGED_FROM: &str = "exchanged_from";

/// The private claim of an issued token that names the tokens that the token was exchanged for.
pub(crate) const ANCESTRY: &str = "ancestry";
