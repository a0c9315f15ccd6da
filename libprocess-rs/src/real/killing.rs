//! Kills what is left of things that were started. The host's processes are looked at once for all that
//! are to be killed at the same time, on a thread of its own: with hundreds of containers a look takes
//! milliseconds.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, Sender, channel};

use futures::channel::oneshot;
use futures::future::BoxFuture;
use nix::sys::signal::{Signal, kill as signal};
use nix::unistd::Pid as OsPid;

use super::processes::{self, Stat};
use crate::subprocess::{Remains, SubprocessError};

/// Looks at processes that are to be killed and go on forking.
const MAX_STOP_ROUNDS: usize = 64;
/// The process that orphans go to.
const INIT: i32 = 1;

struct Job {
    remains: Remains,
    done: oneshot::Sender<()>,
}

/// Handle to the thread, which is there once it is needed.
#[derive(Default)]
pub(super) struct Killer {
    jobs: OnceLock<Option<Sender<Job>>>,
}

impl Killer {
    pub(super) fn kill(&self, remains: Remains) -> BoxFuture<'static, Result<(), SubprocessError>> {
        let (done, killed) = oneshot::channel();
        let target = crate::subprocess::Target::Tree(remains.pid.unwrap_or_default());
        let sent =
            self.jobs.get_or_init(start).as_ref().map(|jobs| jobs.send(Job { remains, done }));
        Box::pin(async move {
            let gone = || std::io::Error::other("there is no thread that kills");
            let failed = |source| SubprocessError::Signal { target, source };
            match sent {
                Some(Ok(())) => killed.await.map_err(|_| failed(gone())),
                _ => Err(failed(gone())),
            }
        })
    }
}

fn start() -> Option<Sender<Job>> {
    let (jobs, queue) = channel();
    let thread = std::thread::Builder::new().name("killer".to_owned());
    thread.spawn(move || work(&queue)).ok().map(|_| jobs)
}

fn work(queue: &Receiver<Job>) {
    while let Ok(first) = queue.recv() {
        // Whoever asked while processes were looked at waits for the next look.
        let jobs: Vec<Job> = std::iter::once(first).chain(queue.try_iter()).collect();
        let remains: Vec<Remains> = jobs.iter().map(|job| job.remains.clone()).collect();
        kill(&remains, &BTreeSet::new());
        for job in jobs {
            // Who waited may have stopped.
            let _ = job.done.send(());
        }
    }
}

/// Kills all of them, and `others`. Members may be forking: who is stopped forks no more, so once a look
/// finds nobody new, everybody is there to be killed.
pub(super) fn kill(remains: &[Remains], others: &BTreeSet<i32>) {
    let mut stopped = BTreeSet::new();
    for _ in 0..MAX_STOP_ROUNDS {
        let table = processes::table();
        let mut seeds = seeds(&table, remains);
        seeds.extend(others);
        let members = processes::related(&table, seeds);
        let fresh: Vec<i32> = members.difference(&stopped).copied().collect();
        // Members come and go meanwhile.
        let alive = |member: &i32| signal(OsPid::from_raw(*member), Signal::SIGSTOP).is_ok();
        let found = fresh.iter().filter(|member| alive(member)).count();
        stopped.extend(fresh);
        if found == 0 {
            break;
        }
    }
    for member in stopped {
        let _ = signal(OsPid::from_raw(member), Signal::SIGKILL);
    }
}

/// Where members are looked for.
fn seeds(table: &[Stat], remains: &[Remains]) -> BTreeSet<i32> {
    let alive: BTreeSet<i32> = table.iter().map(|stat| stat.pid).collect();
    let roots = remains.iter().filter_map(|one| {
        let pid = i32::try_from(one.pid?).ok()?;
        // The number of a process that was reaped is given away only when nobody is left in its group
        // or session: who has it now is a stranger, and so is everybody related to it.
        (pid > INIT && (!one.reaped || !alive.contains(&pid))).then_some(pid)
    });
    let mut seeds: BTreeSet<i32> = roots.collect();
    if remains.iter().any(|one| one.mark.is_some()) {
        let marked = |stat: &&Stat| {
            let mut marks = remains.iter().filter_map(|one| one.mark.as_ref());
            marks.any(|(name, value)| processes::is_marked(stat.pid, (name, value)))
        };
        seeds.extend(runaways(table).filter(marked).map(|stat| stat.pid));
    }
    seeds
}

/// Processes that left their parents and their session, which are known by their environment alone. Those
/// that descend from this process are found by their descent.
fn runaways(table: &[Stat]) -> impl Iterator<Item = &Stat> {
    let parents: BTreeMap<i32, i32> = table.iter().map(|stat| (stat.pid, stat.parent)).collect();
    let own = i32::try_from(std::process::id()).unwrap_or(i32::MAX);
    table.iter().filter(move |stat| {
        let alone = stat.session == stat.pid || !parents.contains_key(&stat.session);
        let away = stat.state != b'Z' && stat.session > 0 && (stat.parent == INIT || alone);
        let mut ancestors = std::iter::successors(Some(stat.pid), |pid| parents.get(pid).copied());
        // A process that was forked while the table was read may seem its own ancestor.
        away && !ancestors.by_ref().take(parents.len()).any(|pid| pid == own)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: i32, session: i32) -> Stat {
        Stat { pid, state: b'S', parent: 1, group: session, session }
    }

    fn remains(reaped: bool) -> Remains {
        Remains { pid: Some(7), reaped, mark: None }
    }

    #[test]
    fn remains_of_a_reaped_process_do_not_include_who_has_its_number_now() {
        let left = [process(8, 7)];
        assert_eq!(seeds(&left, &[remains(true)]), BTreeSet::from([7]));
        let stranger = [process(7, 7)];
        assert_eq!(seeds(&stranger, &[remains(true)]), BTreeSet::new());
        assert_eq!(seeds(&stranger, &[remains(false)]), BTreeSet::from([7]));
    }

    #[test]
    fn daemon_that_left_its_session_is_killed_by_its_mark() {
        let value = format!("killing-{}", std::process::id());
        let mut command = std::process::Command::new("setsid");
        command.args(["--fork", "sh", "-c", "setsid --fork sleep 1000 & exec true"]);
        assert!(command.env("MARK", &value).status().unwrap().success());
        let daemon = || {
            let table = processes::table();
            let marked = |stat: &&Stat| {
                let comm = std::fs::read_to_string(format!("/proc/{}/comm", stat.pid));
                comm.is_ok_and(|comm| comm == "sleep\n")
                    && processes::is_marked(stat.pid, ("MARK", &value))
            };
            table.iter().filter(marked).any(|stat| stat.state != b'Z')
        };
        while !daemon() {
            std::thread::yield_now();
        }
        let mark = Some(("MARK".to_owned(), value.clone()));
        kill(&[Remains { pid: None, reaped: true, mark }], &BTreeSet::new());
        while daemon() {
            std::thread::yield_now();
        }
    }
}
