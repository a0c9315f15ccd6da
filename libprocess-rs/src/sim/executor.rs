//! Polls the futures of simulated nodes: waking one puts it on the world's queue.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Wake, Waker};

use futures::future::BoxFuture;

use super::queue::{Entry, LifeId};
use super::state::Shared;

/// A future with its waker.
pub(super) struct Task {
    future: BoxFuture<'static, ()>,
    waker: Arc<TaskWaker>,
}

struct TaskWaker {
    shared: Weak<Shared>,
    life: LifeId,
    task: u64,
    /// A poll lies in the queue.
    queued: AtomicBool,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.queued.swap(true, Ordering::Relaxed) {
            return;
        }
        if let Some(shared) = self.shared.upgrade() {
            let (life, task) = (self.life, self.task);
            shared.with(|state| state.push_now(Entry::Poll { life, task }));
        }
    }
}

impl Shared {
    /// Gives a life a future to poll; a dead one drops it.
    pub(super) fn spawn(self: &Arc<Self>, life: LifeId, future: BoxFuture<'static, ()>) {
        let refused = self.with(|state| {
            let task = state.next_id();
            let Some(alive) = state.lives.get_mut(life) else {
                return Some(future);
            };
            let waker = Arc::new(TaskWaker {
                shared: Arc::downgrade(self),
                life,
                task,
                queued: AtomicBool::new(true),
            });
            alive.tasks.insert(task, Task { future, waker });
            state.push_now(Entry::Poll { life, task });
            None
        });
        // Dropped outside the lock: a future's end may wake others.
        drop(refused);
    }

    /// Polls a task once.
    pub(super) fn poll(&self, life: LifeId, id: u64) {
        let taken = self.with(|state| state.lives.get_mut(life)?.tasks.swap_remove(&id));
        let Some(mut task) = taken else {
            return;
        };
        task.waker.queued.store(false, Ordering::Relaxed);
        let waker = Waker::from(task.waker.clone());
        let polled = task.future.as_mut().poll(&mut Context::from_waker(&waker));
        if polled.is_pending() {
            let refused = self.with(|state| match state.lives.get_mut(life) {
                Some(alive) => {
                    alive.tasks.insert(id, task);
                    None
                }
                None => Some(task),
            });
            drop(refused);
        }
    }
}
