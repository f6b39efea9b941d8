use super::stages::{Authenticated, Bounded, Decided, Issued, Presented, Proven, Resolved, StillValid, Validated};
use crate::policy::ShadowOutcome;

/// The code that is told about each stage that an exchange reaches.
///
/// Each method is called as soon as its stage is reached, before the next stage can refuse the request.
pub(crate) trait Observer: Send {
    fn presented(&mut self, presented: &Presented<'_>);
    fn authenticated(&mut self, authenticated: &Authenticated);
    fn proven(&mut self, proven: &Proven);
    fn resolved(&mut self, resolved: &Resolved);
    fn validated(&mut self, validated: &Validated);
    fn bounded(&mut self, bounded: &Bounded);
    fn still_valid(&mut self, still_valid: &StillValid);
    /// Receives the shadow outcome, if the decision has one. The decision can allow or refuse the exchange.
    fn shadow(&mut self, _: &ShadowOutcome) {}
    fn decided(&mut self, decided: &Decided);
    fn issued(&mut self, _: &Issued) {}
}
