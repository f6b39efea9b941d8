//! What the clients received.

use super::tokens::Issued;
use std::{collections::BTreeMap, sync::Mutex};

#[derive(Default)]
pub(crate) struct Ledger {
    counters: Mutex<BTreeMap<String, u64>>,
    wrong: Mutex<Vec<String>>,
    issued: Mutex<Vec<String>>,
    revoked: Mutex<Vec<Issued>>,
}

impl Ledger {
    pub(crate) fn count(&self, what: impl Into<String>) {
        *self.counters.lock().unwrap().entry(what.into()).or_default() += 1;
    }

    /// Notes an answer that no fault explains.
    pub(crate) fn wrong(&self, what: String) {
        self.wrong.lock().unwrap().push(what);
    }

    pub(crate) fn all_wrong(&self) -> Vec<String> {
        self.wrong.lock().unwrap().clone()
    }

    /// Notes the name of a token that a client received.
    pub(crate) fn issued(&self, token: &Issued) {
        self.count("tokens issued");
        self.issued.lock().unwrap().push(token.jti.clone());
    }

    pub(crate) fn all_issued(&self) -> Vec<String> {
        self.issued.lock().unwrap().clone()
    }

    /// Notes a token whose revocation was confirmed.
    pub(crate) fn revoked(&self, token: Issued) {
        self.count("revocations confirmed");
        self.revoked.lock().unwrap().push(token);
    }

    pub(crate) fn all_revoked(&self) -> Vec<Issued> {
        self.revoked.lock().unwrap().clone()
    }

    /// A token whose revocation was confirmed, a different one for each number.
    pub(crate) fn some_revoked(&self, number: usize) -> Option<Issued> {
        let revoked = self.revoked.lock().unwrap();
        (!revoked.is_empty()).then(|| revoked[number % revoked.len()].clone())
    }

    pub(crate) fn counters(&self) -> String {
        let counters = self.counters.lock().unwrap();
        counters.iter().map(|(what, count)| format!("{count:>8} {what}\n")).collect()
    }
}
