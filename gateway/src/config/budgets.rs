use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de::Error};
use tower_token_exchange::limits::{Limits, Rate};

/// How much one peer, one client or one subject may do. A peer is an IPv4 address, or an IPv6 network of 64 bits.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Budgets {
    /// Different wrong secrets for one client from one peer, such as `10/min`, or `off`. Default: `10/min`.
    #[schemars(with = "RateText")]
    #[serde(deserialize_with = "rate_or_off")]
    failed_authentications_per_client: Option<Rate>,
    /// Different wrong secrets for any clients from one peer, or `off`. Default: `100/min`.
    #[schemars(with = "RateText")]
    #[serde(deserialize_with = "rate_or_off")]
    failed_authentications_per_peer: Option<Rate>,
    /// Exchanges, introspections and revocations from one peer, or `off`. Default: `off`.
    #[schemars(with = "RateText")]
    #[serde(deserialize_with = "rate_or_off")]
    attempts_per_peer: Option<Rate>,
    /// Exchanges of one client, or `off`. `client.max_exchanges` replaces the budget for one client. Default: `off`.
    #[schemars(with = "RateText")]
    #[serde(deserialize_with = "rate_or_off")]
    exchanges_per_client: Option<Rate>,
    /// Introspections by one client of tokens of the gateway, or `off`. Default: `off`.
    #[schemars(with = "RateText")]
    #[serde(deserialize_with = "rate_or_off")]
    introspections_per_client: Option<Rate>,
    /// Revocations by one client of tokens of the gateway, or `off`. Default: `off`.
    #[schemars(with = "RateText")]
    #[serde(deserialize_with = "rate_or_off")]
    revocations_per_client: Option<Rate>,
    /// Exchanges for one subject, or `off`. Default: `off`.
    #[schemars(with = "RateText")]
    #[serde(deserialize_with = "rate_or_off")]
    exchanges_per_subject: Option<Rate>,
}

impl Default for Budgets {
    fn default() -> Self {
        Self {
            failed_authentications_per_client: Some(Rate::per_minute(10)),
            failed_authentications_per_peer: Some(Rate::per_minute(100)),
            attempts_per_peer: None,
            exchanges_per_client: None,
            introspections_per_client: None,
            revocations_per_client: None,
            exchanges_per_subject: None,
        }
    }
}

impl Budgets {
    /// The budgets of the layer.
    pub(crate) fn limits(&self) -> Limits {
        Limits::none()
            .failed_authentications_per_client(self.failed_authentications_per_client)
            .failed_authentications_per_peer(self.failed_authentications_per_peer)
            .attempts_per_peer(self.attempts_per_peer)
            .exchanges_per_client(self.exchanges_per_client)
            .introspections_per_client(self.introspections_per_client)
            .revocations_per_client(self.revocations_per_client)
            .exchanges_per_subject(self.exchanges_per_subject)
    }
}

/// A number per second, minute or hour, such as `100/s`, `10/min` or `1000/h`, or `off`.
#[derive(JsonSchema)]
#[schemars(inline)]
struct RateText(
    #[expect(dead_code, reason = "the type exists for its schema")]
    #[schemars(regex(pattern = r"^(off|0*[1-9][0-9]*/(s|min|h))$"))]
    String,
);

fn rate_or_off<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Rate>, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text == "off" {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|error| D::Error::custom(format!("{error}, or `off`")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_defaults_are_those_of_the_library() {
        assert_eq!(Budgets::default().limits(), Limits::default());
    }

    #[test]
    fn a_budget_can_be_off() {
        let read = |value| serde_json::from_value::<Budgets>(value);
        let off = json!({
            "failed_authentications_per_client": "off", "failed_authentications_per_peer": "off", "attempts_per_peer": "5/s",
        });
        assert_eq!(read(off).unwrap().limits(), Limits::none().attempts_per_peer(Rate::per_second(5)));
        let error = read(json!({ "attempts_per_peer": "5/day" })).unwrap_err();
        assert!(error.to_string().contains("such as `100/s`, `10/min` or `1000/h`, or `off`"), "{error}");
    }
}
