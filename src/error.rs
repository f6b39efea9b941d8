//! The reasons for refusals, the errors of the protocol, and the errors of a configuration.

pub use crate::{
    protocol::{
        ErrorCode, ErrorProfile, KeyIdError, Reason, ReasonClass, Remedy, ScopeError, TokenTypeError, UnknownNameError,
    },
    records::{ConfigError, ConfigErrorKind, ConfigProblem},
};
