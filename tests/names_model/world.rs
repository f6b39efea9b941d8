//! Small worlds: which records there are, and which parties have tokens.

/// Who signs the tokens of the users of our own issuer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Own {
    /// The server signs with the key of the layer.
    SameKey,
    /// The server behind the layer has a key of its own.
    OtherKey,
    /// Our own issuer has no users.
    NoUsers,
}

/// How a foreign issuer's record names subjects here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mapping {
    Prefix(&'static str),
    Keep,
    /// The claim `login`.
    Claim,
}

/// An issuer of tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Iss {
    Ours,
    F,
    G,
}

/// The records of a world.
#[derive(Clone, Copy, Debug)]
pub struct Records {
    pub own: Own,
    pub f: Mapping,
    pub g: Option<Mapping>,
    /// The tenants of the issuer F.
    pub tenants: &'static [&'static str],
    /// The subject of F that is our client `app`.
    pub app_at_f: Option<&'static str>,
    /// One more client, whose id looks like the name of a foreign subject.
    pub lookalike: Option<&'static str>,
}

/// All records within the bounds.
pub fn all_records() -> Vec<Records> {
    use Mapping::{Claim, Keep, Prefix};
    let mut all = Vec::new();
    for own in [Own::SameKey, Own::OtherKey, Own::NoUsers] {
        for f in [Prefix("f:"), Prefix("f"), Prefix(""), Keep, Claim] {
            for g in [None, Some(Prefix("g:")), Some(Prefix("f:g")), Some(Keep), Some(Claim)] {
                for tenants in [&[][..], &["t"], &["t", "u"]] {
                    for app_at_f in [None, Some("bot")] {
                        for lookalike in [None, Some("f:bot")] {
                            // Only this mapping can lead to the lookalike.
                            if lookalike.is_some() && f != Prefix("f:") {
                                continue;
                            }
                            all.push(Records { own, f, g, tenants, app_at_f, lookalike });
                        }
                    }
                }
            }
        }
    }
    all
}

/// A party that has a token, as its issuer names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holder {
    pub iss: Iss,
    pub tenant: Option<&'static str>,
    pub sub: &'static str,
}

/// The kinds of first tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Type {
    Access,
    Jwt,
    Id,
}

/// A first token.
#[derive(Clone, Copy, Debug)]
pub struct First {
    pub holder: Holder,
    pub token_type: Type,
    /// Whether the token has a false claim `exchanged_from`.
    pub forged: bool,
}

/// The users and clients of our own issuer with tokens. Several are called as foreign subjects may be called here.
const OWN_NAMES: [&str; 8] = ["alice", "f:alice", "f:bot", "f:t|alice", "t|alice", "falice", "g:alice", "app"];
/// The value of `login` differs from the name, and is the name of another subject.
const LOGINS: [(&str, &str); 2] = [("alice", "bot"), ("bot", "alice")];

pub fn login_of(sub: &str) -> &'static str {
    LOGINS.iter().find(|(name, _)| *name == sub).map_or("someone", |(_, login)| login)
}

/// All first tokens of a world.
pub fn first_tokens(records: &Records) -> Vec<First> {
    let mut all = Vec::new();
    let mut add = |holder: Holder, types: &[Type], may_forge: bool| {
        for token_type in types {
            all.push(First { holder, token_type: *token_type, forged: false });
            if may_forge {
                all.push(First { holder, token_type: *token_type, forged: true });
            }
        }
    };
    // A server that signs with the key of the layer is trusted not to write the claim.
    let may_forge = records.own == Own::OtherKey;
    let types: &[Type] = if records.own == Own::NoUsers { &[Type::Access] } else { &[Type::Access, Type::Jwt] };
    for sub in OWN_NAMES {
        add(Holder { iss: Iss::Ours, tenant: None, sub }, types, may_forge);
    }
    let no_tenant: &[Option<&'static str>] = &[None];
    let tenants: Vec<_> = records.tenants.iter().map(|tenant| Some(*tenant)).collect();
    for tenant in if tenants.is_empty() { no_tenant } else { &tenants } {
        for (sub, _) in LOGINS {
            add(Holder { iss: Iss::F, tenant: *tenant, sub }, &[Type::Jwt, Type::Id], sub == "alice");
        }
    }
    if records.g.is_some() {
        for sub in ["alice", "f:alice"] {
            add(Holder { iss: Iss::G, tenant: None, sub }, &[Type::Jwt], sub == "alice");
        }
    }
    all
}

/// Who presents an actor token in the first exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acting {
    /// The client `hub` acts without an actor token.
    Client,
    /// A subject of F shows a token of F.
    AtF(&'static str),
    /// A subject of F shows a token that an exchange issued.
    Exchanged(&'static str),
    /// A user of our own issuer.
    Own(&'static str),
}

pub const ACTING: [Acting; 5] =
    [Acting::Client, Acting::AtF("alice"), Acting::AtF("bot"), Acting::Exchanged("alice"), Acting::Own("alice")];

/// The types of the tokens that the first and the second exchange issue. The third exchange issues an access token.
pub const ROUTES: [[Type; 2]; 3] = [[Type::Access, Type::Access], [Type::Jwt, Type::Access], [Type::Access, Type::Jwt]];
