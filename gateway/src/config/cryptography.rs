//! The table `[cryptography]`.

use schemars::JsonSchema;
use serde::Deserialize;
use tower_token_exchange::signing::Cryptography;

/// The library for signatures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct CryptographySettings {
    /// The library that makes and verifies signatures. Default: `ring`. `aws-lc-rs` needs a gateway that was built with the
    /// feature `aws-lc-rs`.
    pub(super) signatures: SignatureLibrary,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum SignatureLibrary {
    #[default]
    Ring,
    AwsLcRs,
}

impl SignatureLibrary {
    /// Finds the library among those of a build. The error says what to do.
    pub(super) fn find_in(self, libraries: &[Cryptography]) -> Result<Cryptography, &'static str> {
        let name = match self {
            Self::Ring => "ring",
            Self::AwsLcRs => "aws-lc-rs",
        };
        let help =
            "this gateway was built without the library; build it with the feature `aws-lc-rs`, or remove the key";
        libraries.iter().find(|library| library.as_str() == name).copied().ok_or(help)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_of_another_build_is_refused() {
        for library in Cryptography::ALL {
            let name = format!("\"{}\"", library.as_str());
            let named: SignatureLibrary = serde_json::from_str(&name).unwrap();
            assert_eq!(named.find_in(Cryptography::ALL), Ok(*library));
        }
        let help = SignatureLibrary::AwsLcRs.find_in(&[Cryptography::Ring]).unwrap_err();
        assert_eq!(
            help,
            "this gateway was built without the library; build it with the feature `aws-lc-rs`, or remove the key"
        );
    }
}
