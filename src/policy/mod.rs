//! The policies that ship: a table of rules. Any other policy is a [`tower::Service`] of your own.

mod rule;
mod rule_document;
mod table;

pub use rule::{Actors, Names, Rule, Subjects};
pub use table::Table;
