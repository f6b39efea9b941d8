//! Why an exchange is refused, and what is wrong with a configuration.

pub use crate::{
    protocol::{
        ErrorCode, ErrorProfile, KeyIdError, Reason, ReasonClass, ScopeError, TokenTypeError, UnknownNameError,
    },
    records::{ConfigError, ConfigErrorKind, ConfigProblem},
};
