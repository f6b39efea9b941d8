//! The clients, the targets and the rules of the layer. The story prints the records of each exchange.

use tower_token_exchange::{
    Client, Target,
    policy::{Rule, Subjects},
};

/// The services that may exchange tokens.
pub(crate) fn clients(secret_of: impl Fn(&str) -> String) -> Vec<Client> {
    ["orders", "billing", "reports"].map(|id| Client::new(id).secret(secret_of(id))).into()
}

/// The services that a token can be for.
pub(crate) fn targets() -> Vec<Target> {
    let orders = Target::new("orders")
        .audience_claim("https://orders.example") // `aud` of tokens for orders
        .served_by("orders") // the client that may exchange such tokens
        .scopes(["orders:read", "orders:write"]);
    let billing = Target::new("billing")
        .audience_claim("https://billing.example")
        .served_by("billing")
        .allow_clients(["orders"]) // the clients that may get a token for billing
        .scopes(["invoices:read", "invoices:write"])
        .translate("orders:read", ["invoices:read"]); // the meaning of a scope of the subject token at billing
    let ledger = Target::new("ledger")
        .audience_claim("https://ledger.example")
        .resource("https://ledger.example/api") // a name that clients can use in `resource`
        .allow_clients(["billing", "reports"])
        .scopes(["entries:read", "entries:write"])
        .translate("invoices:read", ["entries:read"])
        .translate("reports:read", ["entries:read"]);
    let archive = Target::new("archive")
        .audience_claim("https://archive.example")
        .allow_clients(["orders"])
        .scopes(["orders:read"]);
    let reports =
        Target::new("reports").audience_claim("https://reports.example").served_by("reports").scopes(["reports:read"]);
    vec![orders, billing, ledger, archive, reports]
}

/// What clients may do within these records. Without a rule, nothing is allowed.
pub(crate) fn rules() -> Vec<Rule> {
    let orders_may_bill = Rule::allow("orders", Subjects::any(), "billing") // client, subjects, target
        .scopes(["invoices:read"])
        .id("orders may bill");
    let billing_may_look_up =
        Rule::allow("billing", Subjects::any(), "ledger").scopes(["entries:read"]).id("billing may look up");
    let orders_may_archive = Rule::allow("orders", Subjects::any(), "archive")
        .scopes(["orders:read"])
        .impersonation() // the default is delegation
        .id("orders may archive as the user");
    vec![orders_may_bill, billing_may_look_up, orders_may_archive]
}

/// Returns the lines of this file that define a record.
pub(crate) fn source(name: &str) -> Vec<&'static str> {
    let start = format!("    let {name} =");
    let lines = include_str!("records.rs").lines().skip_while(|line| !line.starts_with(&start));
    let mut is_over = false;
    lines.take_while(|line| !std::mem::replace(&mut is_over, line.contains(';'))).collect()
}
