//! How the kernel tells that a cgroup ran out of memory, and how hard memory is to get.

use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, RawFd};

use futures::FutureExt;
use nix::errno::Errno;
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::controller::Alarm;
use super::{CgroupError, Group, Version};

const MEMORY: &str = "memory";

/// Listens for the cgroup running out of memory. The kernel's killer stays on: by the time of the
/// alarm, a process may have been killed already.
///
/// # Errors
/// When the kernel does not let us listen.
pub fn listen(group: &Group) -> Result<Alarm, CgroupError> {
    match group.version() {
        Version::V1 => listen_v1(group),
        Version::V2 => listen_v2(group),
    }
}

fn listen_v1(group: &Group) -> Result<Alarm, CgroupError> {
    let event = register(group, "memory.oom_control", "")?;
    let group = group.clone();
    let alarm = async move {
        let Ok(event) = readable(event) else {
            return false;
        };
        loop {
            let Ok(mut ready) = event.readable().await else { return false };
            // The removal of a cgroup wakes its listeners as well.
            match event.get_ref().read() {
                Ok(_) => return group.exists(MEMORY),
                Err(Errno::EAGAIN) => ready.clear_ready(),
                Err(_) => return false,
            }
        }
    };
    Ok(alarm.boxed())
}

/// Asks for a version 1 event; its count is read from the descriptor.
fn register(group: &Group, file: &str, argument: &str) -> Result<EventFd, CgroupError> {
    let path = group.directory(MEMORY)?.join(file);
    let control = File::open(&path).map_err(|error| CgroupError::new("open", &path, error))?;
    let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
    let event = EventFd::from_flags(flags)
        .map_err(|error| CgroupError::new("listen to", &path, error.into()))?;
    let line = format!("{} {} {argument}", event.as_raw_fd(), control.as_raw_fd());
    group.write(MEMORY, "cgroup.event_control", line.trim_end())?;
    Ok(event)
}

/// What the reactor wants to see of an inotify instance.
struct Watched(Inotify);

impl AsRawFd for Watched {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

/// Has a descriptor watched by the reactor, until it is dropped.
#[allow(unsafe_code, reason = "only the caller knows that the descriptor stays the same")]
fn readable<T: AsRawFd>(owner: T) -> std::io::Result<AsyncFd<T>> {
    // SAFETY: both types that come here own their descriptor and neither close nor change it before
    // they are dropped, which happens inside of what is returned.
    unsafe { AsyncFd::register_with_interest(owner, Interest::READABLE) }.map_err(Into::into)
}

fn listen_v2(group: &Group) -> Result<Alarm, CgroupError> {
    let path = group.directory(MEMORY)?.join("memory.events");
    let failed = |error: Errno| CgroupError::new("listen to", &path, error.into());
    let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK).map_err(failed)?;
    inotify.add_watch(&path, AddWatchFlags::IN_MODIFY).map_err(failed)?;
    let group = group.clone();
    let alarm = async move {
        let Ok(inotify) = readable(Watched(inotify)) else {
            return false;
        };
        loop {
            match oom_count(&group) {
                None => return false,
                Some(0) => {}
                Some(_) => return true,
            }
            let Ok(mut ready) = inotify.readable().await else { return false };
            match inotify.get_ref().0.read_events() {
                Ok(_) => {}
                Err(Errno::EAGAIN) => ready.clear_ready(),
                Err(_) => return false,
            }
        }
    };
    Ok(alarm.boxed())
}

/// How often a version 2 cgroup ran out of memory; None when it is gone.
fn oom_count(group: &Group) -> Option<u64> {
    let events = group.table(MEMORY, "memory.events").ok()?;
    Some(events.get("oom").copied().unwrap_or_default())
}

/// Counts how often the kernel found memory hard to get (version 1).
#[derive(Debug)]
pub struct Pressure {
    levels: [(EventFd, u64); 3],
}

impl Pressure {
    /// Begins to count.
    ///
    /// # Errors
    /// When the kernel does not let us listen.
    pub fn listen(group: &Group) -> Result<Self, CgroupError> {
        let level = |name| Ok((register(group, "memory.pressure_level", name)?, 0));
        Ok(Self { levels: [level("low")?, level("medium")?, level("critical")?] })
    }

    /// Counts of the levels low, medium and critical.
    pub fn counts(&mut self) -> [u64; 3] {
        for (event, count) in &mut self.levels {
            // Nothing to read means that nothing happened since.
            *count += event.read().unwrap_or_default();
        }
        [self.levels[0].1, self.levels[1].1, self.levels[2].1]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cgroups::fake::Fake;

    #[test]
    fn oom_counter_v2_is_read_from_events() {
        let fake = Fake::unified(&[("memory.events", "low 0\nmax 3\noom 2\noom_kill 1\n")]);
        assert_eq!(oom_count(&fake.group), Some(2));
    }

    #[tokio::test]
    async fn oom_alarm_v2_rings_when_the_counter_rises() {
        let fake = Fake::unified(&[("memory.events", "oom 0\n")]);
        let mut alarm = listen(&fake.group).unwrap();
        assert!(futures::poll!(&mut alarm).is_pending());
        std::fs::write(fake.path().join("mesos/c/memory.events"), "oom 1\n").unwrap();
        let limit = std::time::Duration::from_secs(30);
        assert!(tokio::time::timeout(limit, alarm).await.unwrap());
    }

    #[tokio::test]
    async fn oom_alarm_v2_ends_when_the_cgroup_goes() {
        let fake = Fake::unified(&[("memory.events", "oom 0\n")]);
        let mut alarm = listen(&fake.group).unwrap();
        assert!(futures::poll!(&mut alarm).is_pending());
        std::fs::remove_file(fake.path().join("mesos/c/memory.events")).unwrap();
        let limit = std::time::Duration::from_secs(30);
        assert!(!tokio::time::timeout(limit, alarm).await.unwrap());
    }
}
