//! Threads that make files durable side by side: the file system's journal takes them in one go.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

/// Most files that are synced at a time.
const SIDE_BY_SIDE: usize = 16;

type Task = Box<dyn FnOnce() + Send>;

/// The threads, beside the one that waits for them: as many as were needed at a time so far.
#[derive(Default)]
pub(super) struct Syncers {
    threads: Vec<Sender<Task>>,
}

impl Syncers {
    /// Syncs all. Positions of those that failed, with why.
    pub(super) fn sync<T: Send + Sync + 'static>(
        &mut self,
        all: &Arc<Vec<T>>,
        sync: fn(&T) -> io::Result<()>,
    ) -> Vec<(usize, io::Error)> {
        let helpers = all.len().min(SIDE_BY_SIDE).saturating_sub(1);
        self.grow(helpers);
        let (failed, failures) = channel();
        let (all, next) = (all.clone(), Arc::new(AtomicUsize::new(0)));
        // Whoever has time takes the next.
        let run = move || {
            while let Some((at, one)) = take(&all, &next) {
                if let Err(error) = sync(one) {
                    // Whom it is for waits until nobody can send any more.
                    let _ = failed.send((at, error));
                }
            }
        };
        for thread in self.threads.iter().take(helpers) {
            // One that is gone leaves its part to the others.
            let _ = thread.send(Box::new(run.clone()));
        }
        run();
        drop(run);
        failures.iter().collect()
    }

    fn grow(&mut self, wanted: usize) {
        while self.threads.len() < wanted {
            let (sender, tasks) = channel();
            let thread = std::thread::Builder::new().name("sync".to_owned());
            match thread.spawn(move || work(&tasks)) {
                Ok(_) => self.threads.push(sender),
                // Fewer do it as well.
                Err(_) => return,
            }
        }
    }
}

fn take<'a, T>(all: &'a [T], next: &AtomicUsize) -> Option<(usize, &'a T)> {
    let at = next.fetch_add(1, Ordering::Relaxed);
    all.get(at).map(|one| (at, one))
}

fn work(tasks: &Receiver<Task>) {
    tasks.iter().for_each(|task| task());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_are_synced_once_and_failures_are_told_by_position() {
        let mut syncers = Syncers::default();
        for count in [0, 1, 7, 200] {
            let all: Vec<(usize, AtomicUsize)> =
                (0..count).map(|at| (at, AtomicUsize::new(0))).collect();
            let all = Arc::new(all);
            let mut failed = syncers.sync(&all, |(at, synced)| {
                synced.fetch_add(1, Ordering::Relaxed);
                if at % 5 == 3 { Err(io::Error::from_raw_os_error(5)) } else { Ok(()) }
            });
            failed.sort_by_key(|(at, _)| *at);
            let failed: Vec<usize> = failed.into_iter().map(|(at, _)| at).collect();
            assert_eq!(failed, (0..count).filter(|at| at % 5 == 3).collect::<Vec<_>>());
            assert!(all.iter().all(|(_, synced)| synced.load(Ordering::Relaxed) == 1));
        }
        assert_eq!(syncers.threads.len(), SIDE_BY_SIDE - 1);
    }
}
