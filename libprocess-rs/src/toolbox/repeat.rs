//! Asynchronous loops.

use std::ops::ControlFlow;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::{Ctx, Gone, Handle, Process};

/// Rounds that may follow each other without giving others a turn.
const ROUNDS: u32 = 256;

/// Gives way once.
#[derive(Default)]
struct Yield(bool);

impl Future for Yield {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.0, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// Waits for what `next` makes and gives it to `body`, again and again until that breaks:
/// libprocess's `loop`. It stands still when its future is dropped, and gives others a turn even
/// when all it waits for is there already.
///
/// ```
/// use std::ops::ControlFlow::{Break, Continue};
/// use libprocess::toolbox::{Queue, repeat};
///
/// let queue = Queue::new();
/// (1..=4).for_each(|n| queue.put(n));
/// let mut sum = 0;
/// let all = repeat(
///     || queue.get(),
///     |n| {
///         sum += n;
///         std::future::ready(if n == 4 { Break(sum) } else { Continue(()) })
///     },
/// );
/// # assert_eq!(futures::executor::block_on(all), 10);
/// ```
pub async fn repeat<T, R, N, B>(mut next: impl FnMut() -> N, mut body: impl FnMut(T) -> B) -> R
where
    N: Future<Output = T>,
    B: Future<Output = ControlFlow<R>>,
{
    loop {
        for _ in 0..ROUNDS {
            let value = next().await;
            if let ControlFlow::Break(result) = body(value).await {
                return result;
            }
        }
        Yield::default().await;
    }
}

/// As [`repeat`] with both steps run inside a process, each as an event of its own.
///
/// # Errors
/// [`Gone`] when the process ends before the loop breaks.
pub async fn repeat_in<P, T, R, N>(
    process: Handle<P>,
    mut next: impl FnMut(&mut P, &mut Ctx<P>) -> N + Send + 'static,
    mut body: impl FnMut(&mut P, T, &mut Ctx<P>) -> ControlFlow<R> + Send + 'static,
) -> Result<R, Gone>
where
    P: Process,
    T: Send + 'static,
    R: Send + 'static,
    N: Future<Output = T> + Send + 'static,
{
    loop {
        // The steps travel into the process and back, for it may run on another thread.
        let made = process.ask(move |p, cx| {
            let future = next(p, cx);
            (next, future)
        });
        let (back, future) = made.await?;
        next = back;
        let value = future.await;
        let judged = process.ask(move |p, cx| {
            let flow = body(p, value, cx);
            (body, flow)
        });
        let (back, flow) = judged.await?;
        body = back;
        if let ControlFlow::Break(result) = flow {
            return Ok(result);
        }
    }
}
