//! The values of the protocol: no I/O, no keys, no clock.
//!
//! What is asked ([`TokenType`], [`Scope`]), what is answered, and the one table that turns
//! every [`Reason`] for a refusal into a status, an error code and a fixed text.

mod basic;
mod error_code;
mod error_profile;
mod form;
mod ids;
mod numeric_date;
mod reason;
mod reason_class;
mod rejection;
mod request;
mod response;
mod scope;
mod target;
mod token_type;

pub use error_code::ErrorCode;
pub use error_profile::ErrorProfile;
pub use ids::{ClientId, IssuerId, KeyId, KeyIdError, TargetId, TokenId};
pub use numeric_date::NumericDate;
pub use reason::Reason;
pub use reason_class::ReasonClass;
pub use scope::{Scope, ScopeError};
pub(crate) use target::TargetName;
pub use token_type::TokenType;

pub(crate) use basic::{basic_authorization, basic_header};
use form::Form;
pub(crate) use form::{form_decode, form_values, lenient_percent_decode};
pub(crate) use rejection::{Rejection, StepUp, escaped, refuse};
pub(crate) use request::{Identification, Presented, Requested, Sensitive};
pub(crate) use response::{Answer, error_response, json_response, success_response};

/// The `grant_type` of RFC 8693 section 2.1.
pub const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
