use super::{ErrorCode, named_values};
use http::StatusCode;

/// Defines [`Reason`] from its table. Each row has the meaning, the name, the code, the answer to the client and the remedy. A
/// remedy has the methods of settings in braces.
macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $name:ident = $code:literal, $answer:expr, $remedy:literal;)+) => {
        /// The reason for which the layer refused an attempt.
        ///
        /// The reason is for the audit, the metrics and outer layers. The client does not see the reason. The layer
        /// puts the reason into the extensions of every error response that the layer makes. The codes are stable.
        /// [`reasons`](crate::manual::reasons) lists every code with its meaning and its remedy.
        ///
        /// ```
        /// use tower_token_exchange::{Reason, error::{ErrorCode, ReasonClass}};
        ///
        /// assert_eq!(Reason::TokenExpired.code(), "token_expired");
        /// assert_eq!(Reason::TokenExpired.class(), ReasonClass::Token);
        /// assert_eq!(Reason::TokenExpired.error(), ErrorCode::InvalidRequest);
        /// assert_eq!(Reason::TokenExpired.meaning(), "The token has expired.");
        /// ```
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Reason {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Reason {
            /// Every reason, in the order in which an exchange can meet the reasons.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The stable code, in `snake_case`.
            pub const fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)+ }
            }

            /// The meaning of the reason, in one or two sentences.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$name => concat!($($doc,)+).trim_ascii(),)+ }
            }

            /// What the operator can do about the refusal.
            pub const fn remedy(self) -> Remedy {
                Remedy::new(match self { $(Self::$name => $remedy,)+ })
            }

            pub(super) const fn answer(self) -> ClientAnswer {
                match self { $(Self::$name => $answer,)+ }
            }
        }
    };
}

mod remedy;
mod table;

use super::reason_class::ReasonClass;
pub use remedy::{Remedy, document_key};
pub use table::Reason;

named_values!(Reason, code, "a reason code");

impl Reason {
    /// The class of the reason.
    pub const fn class(self) -> ReasonClass {
        self.answer().class
    }

    /// The `error` in the answer to the client, unless an [`ErrorProfile`](crate::error::ErrorProfile) sets another code.
    pub const fn error(self) -> ErrorCode {
        self.answer().error
    }

    /// The `error_description` in the answer to the client. Reasons that an outsider must not tell apart share one text.
    pub const fn description(self) -> &'static str {
        self.answer().description
    }

    /// Whether the reason shows a defect in a plug that would have widened a grant. The layer caught the defect, but an
    /// operator must look at once.
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

    /// The HTTP status of the answer, unless an [`ErrorProfile`](crate::error::ErrorProfile) sets another status.
    ///
    /// The class [`Client`](ReasonClass::Client) is answered with 401 if the client sent an `Authorization` header.
    pub const fn status(self) -> StatusCode {
        self.answer().status
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{HashMap, HashSet};

    #[test]
    fn every_code_is_unique_and_in_snake_case() {
        let codes: HashSet<_> = Reason::ALL.iter().map(|reason| reason.code()).collect();
        assert_eq!(codes.len(), Reason::ALL.len());
        assert!(codes.iter().all(|code| code.bytes().all(|b| b == b'_' || b.is_ascii_lowercase())));
    }

    #[test]
    fn every_answer_follows_the_grammar_of_rfc_6749() {
        for reason in Reason::ALL {
            let allowed = |byte: u8| matches!(byte, 0x20..=0x21 | 0x23..=0x5b | 0x5d..=0x7e);
            assert!(reason.description().bytes().all(allowed), "{reason}");
            assert!(reason.error().as_str().bytes().all(allowed), "{reason}");
        }
    }

    #[test]
    fn every_opaque_class_has_one_answer() {
        let mut answers = HashMap::new();
        for reason in Reason::ALL {
            let answer = (reason.error(), reason.description(), reason.status());
            let expected = match reason.class() {
                ReasonClass::Request | ReasonClass::Access | ReasonClass::Failure => continue,
                // By default, a client cannot tell a stolen token from an invalid token.
                ReasonClass::Denied => answers.entry(ReasonClass::Token),
                class => answers.entry(class),
            };
            assert_eq!(*expected.or_insert(answer), answer, "{reason}");
        }
    }

    #[test]
    fn every_code_can_be_read_back() {
        for reason in Reason::ALL {
            assert_eq!(reason.to_string().parse(), Ok(*reason));
            let json = serde_json::to_string(reason).unwrap();
            assert_eq!(serde_json::from_str::<Reason>(&json).unwrap(), *reason);
        }
        let error = "a\nb".parse::<Reason>().unwrap_err();
        assert_eq!(error.to_string(), "`a\\u{a}b` is not a reason code");
    }
}
