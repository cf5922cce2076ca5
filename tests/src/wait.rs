//! Waiting for a state.

use std::future::Future;
use std::time::{Duration, Instant};

/// How often a state is looked at.
const EVERY: Duration = Duration::from_millis(25);

/// How long a test waits for something that takes a second on an idle machine. Generous: the
/// machines that run the tests have two cores and neighbours.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Calls `look` until it gives a value; gives up after `limit` with the last thing it saw.
///
/// `look` answers `Ok(Some(x))` when the state is reached, `Ok(None)` or `Err` when it is not
/// yet; the error is what the message ends with.
///
/// # Errors
/// When `limit` has passed.
pub async fn until<T, F, Fut>(what: &str, limit: Duration, mut look: F) -> anyhow::Result<T>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = anyhow::Result<Option<T>>>,
{
    let started = Instant::now();
    loop {
        let last = match look().await {
            Ok(Some(value)) => return Ok(value),
            Ok(None) => None,
            Err(error) => Some(error),
        };
        if started.elapsed() > limit {
            return match last {
                Some(error) => Err(error.context(format!("waited {limit:?} for {what}"))),
                None => Err(anyhow::anyhow!("waited {limit:?} for {what}")),
            };
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// [`until`] for a plain condition.
///
/// # Errors
/// When `limit` has passed.
pub async fn until_true(
    what: &str,
    limit: Duration,
    mut look: impl FnMut() -> bool,
) -> anyhow::Result<()> {
    until(what, limit, || {
        let reached = look();
        async move { Ok(reached.then_some(())) }
    })
    .await
}
