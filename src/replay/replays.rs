use super::{UseKey, UseKind, UseOnce, Used};
use crate::{
    clock::Clock,
    metrics::ReplayTimer,
    plug::{BoxPlug, Failing, ask},
    protocol::{ClientId, NumericDate, Reason, Rejection, refuse},
};

const FAILING: Failing = Failing { unavailable: Reason::ReplayStoreUnavailable, panicked: Reason::ReplayStorePanicked };

pub(crate) type ReplayPart = BoxPlug<UseOnce, Used>;

/// The replay store of a layer. Clones ask the same store.
#[derive(Clone)]
pub(crate) struct Replays {
    store: ReplayPart,
    clock: Clock,
}

impl Replays {
    pub(crate) fn new(store: ReplayPart, clock: Clock) -> Self {
        Self { store, clock }
    }

    /// Uses something that expires at `expires_at`. Whatever was used before is refused, and so is everything that the store
    /// cannot remember.
    pub(crate) async fn use_once(
        &self,
        key: UseKey,
        client_id: &ClientId,
        expires_at: NumericDate,
    ) -> Result<(), Rejection> {
        let question = UseOnce::new(key, client_id, self.clock.now().into(), expires_at);
        let timer = ReplayTimer::start();
        let answer = ask(&self.store, question, FAILING).await;
        timer.record(key.kind().as_str(), answer.as_ref().map_or("error", |used| used.as_str()));
        match answer? {
            Used::First => Ok(()),
            Used::Again => Err(refuse(match key.kind() {
                UseKind::ClientAssertion => Reason::ClientAssertionUsedAgain,
                UseKind::DpopProof => Reason::DpopProofUsedAgain,
                UseKind::SubjectToken => Reason::SubjectTokenUsedAgain,
            })),
            Used::Full => Err(refuse(Reason::ReplayStoreFull)),
            Used::ShareUsed => Err(refuse(Reason::ReplayShareUsed).with_detail(format_args!("client `{client_id}`"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{plug::boxed, replay::MemoryReplayStore};

    #[tokio::test]
    async fn each_kind_has_its_own_refusal() {
        let replays = Replays::new(boxed(MemoryReplayStore::default()), Clock::default());
        let far = NumericDate::from_seconds(u64::MAX);
        for (kind, reason) in [
            (UseKind::ClientAssertion, Reason::ClientAssertionUsedAgain),
            (UseKind::DpopProof, Reason::DpopProofUsedAgain),
            (UseKind::SubjectToken, Reason::SubjectTokenUsedAgain),
        ] {
            let key = UseKey::new(kind, "orders", "1");
            let mut answers = Vec::new();
            for _ in 0..2 {
                let answer = replays.use_once(key, &"orders".into(), far).await;
                answers.push(answer.err().map(|rejection| rejection.reason()));
            }
            assert_eq!(answers, [None, Some(reason)]);
        }
    }
}
