//! Many futures as one.

/// All values in order, or the first failure, which drops the others: libprocess's `collect`.
pub use futures::future::try_join_all as collect;

/// All outcomes in order, whatever they are; it never fails: libprocess's `await`.
pub use futures::future::join_all as await_all;

/// The first value; the others are dropped. Failures are passed over, so that with failures alone,
/// or with no future at all, this never ends: race it with [`super::after`].
///
/// Of several that are ready at once the first in order counts.
pub async fn select<T, E>(
    futures: impl IntoIterator<Item = impl Future<Output = Result<T, E>>>,
) -> T {
    let all: Vec<_> = futures.into_iter().map(Box::pin).collect();
    if all.is_empty() {
        return std::future::pending().await;
    }
    match futures::future::select_ok(all).await {
        Ok((value, _)) => value,
        Err(_) => std::future::pending().await,
    }
}
