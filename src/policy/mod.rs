//! The policies that ship: a [table](Table) of rules, and those that put others together ([`all`], [`any_deny`]). Any
//! other policy is a [`tower::Service`] of your own.

mod actors;
mod all;
mod any_deny;
mod bucket;
mod checks;
mod explain;
mod fit;
mod index;
mod login;
mod mismatch;
mod names;
mod reach;
mod rule;
mod rule_document;
mod rule_text;
mod spread;
mod subjects;
mod table;
mod verdict;

pub use actors::Actors;
pub use all::{All, BoxPolicy, all, boxed};
pub use any_deny::{AnyDeny, any_deny};
pub use explain::{Effect, RuleTrace};
pub use mismatch::Mismatch;
pub use names::Names;
pub use rule::Rule;
pub use subjects::Subjects;
pub use table::Table;
