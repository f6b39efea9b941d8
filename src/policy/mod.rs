//! The policies that ship: a table of rules. Any other policy is a [`tower::Service`] of your own.

mod actors;
mod bucket;
mod checks;
mod fit;
mod index;
mod login;
mod names;
mod rule;
mod rule_document;
mod spread;
mod subjects;
mod table;
mod verdict;

pub use actors::Actors;
pub use names::Names;
pub use rule::Rule;
pub use subjects::Subjects;
pub use table::Table;
