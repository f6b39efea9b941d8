use super::ErrorCode;
use http::StatusCode;
use std::fmt;

/// Makes [`Reason`] out of its table: the meaning, the name and the stable code, what the client is told, and what the
/// operator can do about it.
macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $name:ident = $code:literal, $told:expr, $remedy:literal;)+) => {
        /// Why an attempt was refused: for audit, metrics and outer layers, never for the client.
        ///
        /// The layer puts it into the extensions of every error response that it makes. The codes are stable. All of
        /// them, with what to do about each, are listed in [`reasons`](crate::manual::reasons).
        ///
        /// ```
        /// use tower_token_exchange::{Reason, error::{ErrorCode, ReasonClass}};
        ///
        /// assert_eq!(Reason::TokenExpired.code(), "token_expired");
        /// assert_eq!(Reason::TokenExpired.class(), ReasonClass::Token);
        /// assert_eq!(Reason::TokenExpired.error(), ErrorCode::InvalidRequest);
        /// assert_eq!(Reason::TokenExpired.meaning(), "`exp` has passed.");
        /// ```
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Reason {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Reason {
            /// Every reason there is.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The stable code, in `snake_case`.
            pub const fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)+ }
            }

            /// What it means, in one sentence.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$name => concat!($($doc,)+).trim_ascii(),)+ }
            }

            /// What the operator can do about it, in a sentence or two: whose mistake it is, and the setting that
            /// decides, where there is one.
            pub const fn remedy(self) -> &'static str {
                match self { $(Self::$name => $remedy,)+ }
            }

            pub(super) const fn told(self) -> Told {
                match self { $(Self::$name => $told,)+ }
            }
        }
    };
}

mod table;

use super::reason_class::ReasonClass;
pub use table::Reason;

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl serde::Serialize for Reason {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

impl Reason {
    /// The class that it belongs to.
    pub const fn class(self) -> ReasonClass {
        self.told().class
    }

    /// The `error` that the client is told, unless an [`ErrorProfile`](crate::error::ErrorProfile) says otherwise.
    pub const fn error(self) -> ErrorCode {
        self.told().error
    }

    /// The `error_description` that the client is told: one fixed text for each class.
    pub const fn description(self) -> &'static str {
        self.told().description
    }

    /// Whether it shows a defect that could have widened what was granted, had the layer not caught it: somebody must
    /// look at once.
    ///
    /// ```
    /// use tower_token_exchange::Reason;
    ///
    /// assert!(Reason::PolicyWidened.is_alarm());
    /// assert!(!Reason::PolicyDenied.is_alarm());
    /// ```
    pub const fn is_alarm(self) -> bool {
        matches!(self, Self::PolicyWidened)
    }

    /// The status of the answer, unless an [`ErrorProfile`](crate::error::ErrorProfile) says otherwise. A refused client that
    /// tried an `Authorization` header gets 401 instead.
    pub const fn status(self) -> StatusCode {
        self.told().status
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{HashMap, HashSet};

    #[test]
    fn codes_are_unique_and_in_snake_case() {
        let codes: HashSet<_> = Reason::ALL.iter().map(|reason| reason.code()).collect();
        assert_eq!(codes.len(), Reason::ALL.len());
        assert!(codes.iter().all(|code| code.bytes().all(|b| b == b'_' || b.is_ascii_lowercase())));
    }

    #[test]
    fn what_the_client_is_told_fits_the_grammar_of_rfc_6749_section_5_2() {
        for reason in Reason::ALL {
            let allowed = |byte: u8| matches!(byte, 0x20..=0x21 | 0x23..=0x5b | 0x5d..=0x7e);
            assert!(reason.description().bytes().all(allowed), "{reason}");
            assert!(reason.error().as_str().bytes().all(allowed), "{reason}");
        }
    }

    #[test]
    fn a_class_that_says_nothing_has_one_answer() {
        let mut answers = HashMap::new();
        for reason in Reason::ALL {
            let told = (reason.error(), reason.description(), reason.status());
            let known = match reason.class() {
                ReasonClass::Request | ReasonClass::Failure => continue,
                // By default, a good token in the wrong hands is told from a bad one by nothing.
                ReasonClass::Denied => answers.entry(ReasonClass::Token),
                class => answers.entry(class),
            };
            assert_eq!(*known.or_insert(told), told, "{reason}");
        }
    }
}
