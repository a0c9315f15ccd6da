//! What is done inside of other processes' namespaces, on threads of their own.

use std::fs::File;
use std::io;
use std::path::Path;

use nix::libc;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, setns};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
use nix::unistd::sethostname;

/// Runs something in a namespace. The thread ends with it, so that nothing else is ever there.
fn inside<T: Send>(
    namespace: &Path,
    kind: CloneFlags,
    run: impl FnOnce() -> io::Result<T> + Send,
) -> io::Result<T> {
    let file = File::open(namespace)?;
    std::thread::scope(|scope| {
        let thread = scope.spawn(move || {
            setns(&file, kind)?;
            run()
        });
        thread.join().unwrap_or_else(|_| Err(io::Error::other("the thread panicked")))
    })
}

/// True when a process has the network of the slave itself.
///
/// # Errors
/// When the kernel does not tell.
pub(super) fn is_on_host(pid: u32) -> io::Result<bool> {
    let own = std::fs::read_link("/proc/self/ns/net")?;
    Ok(std::fs::read_link(format!("/proc/{pid}/ns/net"))? == own)
}

/// Keeps a process's network alive after the process, under a name.
///
/// # Errors
/// When the kernel refuses.
pub(super) fn keep(pid: u32, name: &Path) -> io::Result<()> {
    File::create(name)?;
    let none: Option<&Path> = None;
    let source = format!("/proc/{pid}/ns/net");
    Ok(mount(Some(Path::new(&source)), name, none, MsFlags::MS_BIND, none)?)
}

/// Names the host that a process believes to be on.
///
/// # Errors
/// When the kernel refuses.
pub(super) fn name_host(pid: u32, hostname: &str) -> io::Result<()> {
    let namespace = format!("/proc/{pid}/ns/uts");
    let hostname = hostname.to_owned();
    inside(Path::new(&namespace), CloneFlags::CLONE_NEWUTS, move || Ok(sethostname(hostname)?))
}

/// Brings the loopback interface up.
///
/// # Errors
/// When the kernel refuses.
pub(super) fn bring_loopback_up(namespace: &Path) -> io::Result<()> {
    inside(namespace, CloneFlags::CLONE_NEWNET, || {
        let flags = SockFlag::SOCK_CLOEXEC;
        let socket = socket(AddressFamily::Inet, SockType::Datagram, flags, None)?;
        set_up(&socket)
    })
}

#[allow(unsafe_code, reason = "there is no safe wrapper of this ioctl")]
fn set_up(socket: &std::os::fd::OwnedFd) -> io::Result<()> {
    use std::os::fd::AsRawFd;
    let mut name = [0; libc::IFNAMSIZ];
    for (to, from) in name.iter_mut().zip(b"lo") {
        *to = *from as libc::c_char;
    }
    let ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    let request =
        libc::ifreq { ifr_name: name, ifr_ifru: libc::__c_anonymous_ifr_ifru { ifru_flags } };
    // SAFETY: the kernel reads `request`, which outlives the call; the descriptor is open.
    let done = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &request) };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
