use crate::{
    authority::{Bounded, Decided},
    client_auth::{Authenticated, Resolved},
    protocol::Presented,
    status::StillValid,
    token::Validated,
};

/// Who writes down what becomes of a request: it is shown the value of each stage before the next stage can fail.
pub(crate) trait Observer: Send {
    fn presented(&mut self, presented: &Presented);
    fn authenticated(&mut self, authenticated: &Authenticated);
    fn admitted(&mut self, admitted: &Resolved);
    fn validated(&mut self, validated: &Validated);
    fn bounded(&mut self, bounded: &Bounded);
    fn standing(&mut self, standing: &StillValid);
    fn decided(&mut self, decided: &Decided);
}
