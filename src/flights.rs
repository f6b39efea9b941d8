//! One question at a time: whoever asks the same as another waits for the same answer.

use crate::locks;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, Weak},
};
use tokio::sync::OnceCell;

/// The questions that are being asked. Whoever asks the same at the same time waits for the same answer.
pub(crate) struct Flights<Answer>(Mutex<HashMap<[u8; 32], Weak<OnceCell<Answer>>>>);

impl<Answer> Default for Flights<Answer> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<Answer: Clone> Flights<Answer> {
    /// Returns the answer to a question that is being asked already, or asks. If the caller that asks is gone, another caller
    /// asks.
    pub(crate) async fn join(&self, name: [u8; 32], ask: impl Future<Output = Answer>) -> Answer {
        // Dropped after the cell.
        let _flight = Flight { flights: self, name };
        let cell = {
            let mut flights = locks::lock(&self.0);
            match flights.get(&name).and_then(Weak::upgrade) {
                Some(cell) => cell,
                None => {
                    let cell = Arc::new(OnceCell::new());
                    flights.insert(name, Arc::downgrade(&cell));
                    cell
                }
            }
        };
        cell.get_or_init(|| ask).await.clone()
    }
}

struct Flight<'a, Answer> {
    flights: &'a Flights<Answer>,
    name: [u8; 32],
}

impl<Answer> Drop for Flight<'_, Answer> {
    fn drop(&mut self) {
        let mut flights = locks::lock(&self.flights.0);
        if flights.get(&self.name).is_some_and(|cell| cell.strong_count() == 0) {
            flights.remove(&self.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        sync::atomic::{AtomicUsize, Ordering},
        time::Duration,
    };

    #[tokio::test(start_paused = true)]
    async fn the_same_question_is_asked_once() {
        let (flights, asked) = (Flights::default(), AtomicUsize::new(0));
        let ask = || async {
            asked.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_secs(1)).await;
            asked.load(Ordering::Relaxed)
        };
        let (a, b, other) =
            tokio::join!(flights.join([1; 32], ask()), flights.join([1; 32], ask()), flights.join([2; 32], ask()));
        assert_eq!([a, b, other], [2; 3]);
        assert_eq!(asked.load(Ordering::Relaxed), 2);
        assert!(locks::lock(&flights.0).is_empty());
        assert_eq!(flights.join([1; 32], ask()).await, 3);

        // A caller that is gone leaves the question to the next.
        let gone =
            async { tokio::time::timeout(Duration::from_millis(10), flights.join([1; 32], ask())).await.is_err() };
        let (gone, stays) = tokio::join!(gone, flights.join([1; 32], ask()));
        assert!(gone && stays == 5);
        assert!(locks::lock(&flights.0).is_empty());
    }
}
