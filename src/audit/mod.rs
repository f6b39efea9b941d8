//! One event for every attempt, whatever became of it.

mod attempt;
mod delivery;
mod event;
mod example;
mod facts;
mod json_lines;
mod outcome;
mod request_ids;
mod sink;

pub use event::{AuditEvent, Granted, Requested, TokenFacts};
pub use json_lines::JsonLinesSink;
pub use outcome::{Outcome, Stage};
pub use sink::TracingSink;

pub(crate) use attempt::{Attempt, Audit};

/// What takes audit events: it answers an [`AuditEvent`] with nothing.
///
/// A token is only released after its event was taken; an error or more than five seconds of silence withholds
/// it. The event of a refused attempt cannot change the answer.
///
/// [`TracingSink`] is there without being asked for, [`JsonLinesSink`] writes lines of JSON, and any service of yours
/// can take its place.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an audit sink",
    label = "not a `tower::Service<AuditEvent, Response = ()>`",
    note = "wrap an async closure: `tower::service_fn(|event: AuditEvent| async move {{ Ok::<_, BoxError>(answer) }})`",
    note = "the service must be `Clone + Send + Sync + 'static`, its future `Send`, its error `Into<tower::BoxError>`"
)]
pub trait AuditSink: crate::plug::Plug<AuditEvent, ()> {}

impl<S: crate::plug::Plug<AuditEvent, ()>> AuditSink for S {}
