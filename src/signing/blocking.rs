use super::{Signature, SigningRequest};
use std::{
    fmt,
    future::Future,
    num::NonZeroUsize,
    panic,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    thread,
};
use tokio::{sync::Semaphore, task};
use tower::{BoxError, Service};
use tracing::Span;

type SignFunction = dyn Fn(SigningRequest) -> Result<Signature, BoxError> + Send + Sync;

/// A signing service that runs a blocking function outside of the threads of the runtime.
///
/// A signature that takes longer than about 100 µs in a thread of the runtime delays every other request in that thread. This
/// service runs the function with [`tokio::task::spawn_blocking`], so the thread of the runtime goes on with other requests.
/// Use it for a function that computes for long, and for a function that waits, such as a call to a hardware module by
/// PKCS#11. A client of a key management service that is `async` needs no such service.
///
/// A [`LocalSigner`](super::LocalSigner) with a key for RSA or ES384 signs in this way when it becomes a [`Signer`](super::Signer), with
/// the default bounds. The page [`signatures`](crate::manual::signatures) has the durations of signatures.
///
/// At most [`max_running`](Self::max_running) functions run at a time. At most [`max_waiting`](Self::max_waiting) further
/// signatures wait, in the order of their arrival. Each signature beyond these is refused, so the exchange is answered with 503
/// (`signer_unavailable`). All clones share the bounds.
///
/// ```
/// use tower_token_exchange::signing::{
///     Algorithm, BlockingSigner, KeyId, LocalSigner, Signature, Signer, SigningRequest,
/// };
///
/// # struct Module(LocalSigner);
/// # impl Module { fn sign(&self, input: &[u8]) -> Result<Vec<u8>, std::io::Error> { Ok(self.0.sign(input).unwrap()) } }
/// # let key_id = KeyId::try_from("slot-1")?;
/// # let key = LocalSigner::generate(Algorithm::ES256)?.with_key_id(key_id.clone());
/// # let public_keys = key.published_keys().key_set();
/// # let module = Module(key);
/// // The call to the module blocks its thread until the module answers.
/// let sign = move |request: SigningRequest| module.sign(&request.signing_input).map(Signature::new);
/// let service = BlockingSigner::new(sign).max_running(2).max_waiting(100);
/// let signer = Signer::new(key_id, Algorithm::ES256, service, public_keys)?;
/// # let _ = signer;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct BlockingSigner {
    sign: Arc<SignFunction>,
    running: usize,
    waiting: usize,
    /// A permit for each signature that may run.
    turns: Arc<Semaphore>,
    /// A permit for each signature that may run or wait.
    places: Arc<Semaphore>,
}

/// The signatures that wait if nothing else is set.
const DEFAULT_WAITING: usize = 1024;
/// The most signatures that run or wait. A semaphore of tokio has at least this many permits on every platform.
const MOST: usize = Semaphore::MAX_PERMITS / 2;

#[derive(Debug, thiserror::Error)]
enum BlockingSignError {
    #[error(
        "{0} signatures run or wait already; permit more with `max_running` and `max_waiting`, or use a faster key"
    )]
    Full(usize),
    #[error("the runtime is being shut down; send the request to another instance")]
    ShutDown,
}

impl BlockingSigner {
    /// A signing service that calls this function for each signature, in threads that may block.
    pub fn new<E: Into<BoxError>>(
        sign: impl Fn(SigningRequest) -> Result<Signature, E> + Send + Sync + 'static,
    ) -> Self {
        let running = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        Self::with_bounds(Arc::new(move |request| sign(request).map_err(Into::into)), running, DEFAULT_WAITING)
    }

    /// Sets how many functions run at a time, at least 1. Default: the number of processors that the process may use.
    #[must_use]
    pub fn max_running(self, signatures: usize) -> Self {
        Self::with_bounds(self.sign, signatures, self.waiting)
    }

    /// Sets how many further signatures wait. Default: 1024.
    #[must_use]
    pub fn max_waiting(self, signatures: usize) -> Self {
        Self::with_bounds(self.sign, self.running, signatures)
    }

    fn with_bounds(sign: Arc<SignFunction>, running: usize, waiting: usize) -> Self {
        let (running, waiting) = (running.clamp(1, MOST), waiting.min(MOST));
        let semaphore = |permits| Arc::new(Semaphore::new(permits));
        Self { sign, running, waiting, turns: semaphore(running), places: semaphore(running + waiting) }
    }
}

impl Service<SigningRequest> for BlockingSigner {
    type Response = Signature;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Signature, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: SigningRequest) -> Self::Future {
        let Self { sign, turns, places, running, waiting } = self.clone();
        Box::pin(async move {
            let place = places.try_acquire_owned().map_err(|_full| BlockingSignError::Full(running + waiting))?;
            let turn = turns.acquire_owned().await?;
            let span = Span::current();
            let signed = task::spawn_blocking(move || {
                // A request that is given up does not stop the function, so the function holds the place and the turn.
                let _held = (place, turn);
                span.in_scope(|| sign(request))
            });
            match signed.await {
                Ok(signature) => signature,
                Err(error) => match error.try_into_panic() {
                    Ok(panic) => panic::resume_unwind(panic),
                    Err(_cancelled) => Err(BlockingSignError::ShutDown.into()),
                },
            }
        })
    }
}

impl fmt::Debug for BlockingSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlockingSigner")
            .field("max_running", &self.running)
            .field("max_waiting", &self.waiting)
            .finish_non_exhaustive()
    }
}
