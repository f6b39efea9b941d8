//! The reasons for refusals, the errors of the protocol, and the errors of a configuration.

pub use crate::{
    protocol::{
        ErrorCode, ErrorProfile, KeyIdError, Reason, ReasonClass, Remedy, ScopeError, TokenTypeError, UnknownNameError,
        document_key,
    },
    records::{ConfigError, ConfigErrorKind, ConfigProblem},
};
