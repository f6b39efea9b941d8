use super::stages::{Authenticated, Bounded, Decided, Issued, Presented, Resolved, StillValid, Validated};
use crate::policy::ShadowOutcome;

/// Records what happens to a request.
///
/// Each method is called as soon as its stage is reached, before the next stage can refuse the request.
pub(crate) trait Observer: Send {
    fn presented(&mut self, presented: &Presented);
    fn authenticated(&mut self, authenticated: &Authenticated);
    fn resolved(&mut self, resolved: &Resolved);
    fn validated(&mut self, validated: &Validated);
    fn bounded(&mut self, bounded: &Bounded);
    fn still_valid(&mut self, still_valid: &StillValid);
    /// Receives the decision that the shadow rules would make, whatever the policy decides.
    fn shadow(&mut self, _: &ShadowOutcome) {}
    fn decided(&mut self, decided: &Decided);
    fn issued(&mut self, _: &Issued) {}
}
