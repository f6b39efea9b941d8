use super::{
    Issuer, TokenRules,
    token_document::{self, TokensDocument},
};
use crate::{
    protocol::TokenType,
    records::{Wording, schema::schema_of, values::OneOrMany},
};
use serde::{Deserialize, Deserializer, de::Error as _};

/// The description of the tokens of one server in a document: the key `tokens` of an [`Issuer`], for a server whose
/// record is not in the document.
///
/// The description is one table, or an array of tables, with the keys of [`TokenRules`]. The default of `type` is
/// `access_token`.
///
/// ```
/// use tower_token_exchange::{Issuer, records::ServerTokens};
///
/// let tokens: ServerTokens = toml::from_str(r#"
///     scope_claim = "scp"
///     absent_aud = "https://api.example"
/// "#)?;
/// let server = tokens.describe(Issuer::new("https://as.example").jwks_uri("https://as.example/keys"));
/// assert_eq!(server.statements()[0], "access_token: the claim `scp` has the scope");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[must_use]
pub struct ServerTokens(Vec<TokenRules>);

impl ServerTokens {
    /// Adds the description to the record of the server, as [`Issuer::refine`] does.
    pub fn describe(&self, record: Issuer) -> Issuer {
        let mut record = self.0.iter().cloned().fold(record, Issuer::refine);
        record.wording = Wording::Keys;
        record
    }
}

impl<'de> Deserialize<'de> for ServerTokens {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let tokens = OneOrMany::<TokensDocument>::deserialize(deserializer)?;
        token_document::rules(tokens, Some(&TokenType::ACCESS_TOKEN)).map(Self).map_err(D::Error::custom)
    }
}

schema_of!(ServerTokens as OneOrMany<TokensDocument>, "What the tokens of the server look like.");
