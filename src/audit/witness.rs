use crate::{
    authority::{Bounded, Decided, Standing},
    client::{Admitted, Authenticated},
    protocol::Presented,
    verify::Validated,
};

/// Who writes down what becomes of a request: it is shown the value of each stage before the next stage can fail.
pub(crate) trait Witness: Send {
    fn presented(&mut self, presented: &Presented);
    fn authenticated(&mut self, authenticated: &Authenticated);
    fn admitted(&mut self, admitted: &Admitted);
    fn validated(&mut self, validated: &Validated);
    fn bounded(&mut self, bounded: &Bounded);
    fn standing(&mut self, standing: &Standing);
    fn decided(&mut self, decided: &Decided);
}
