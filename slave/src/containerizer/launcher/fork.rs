//! A child that is held back: cloned, with its output in place, it becomes the helper, which waits on a
//! pipe to be told what to do. When the slave dies before, the helper reads the pipe's end and goes.
//!
//! The child has the slave's memory until it executes the helper, on a stack of its own, and the thread
//! that made it waits for that (`CLONE_VM`, `CLONE_VFORK`): the tables of a large slave's memory are not
//! copied for each container. So the child may only do what is safe in a signal handler, all memory is
//! prepared before the clone, and no handler of the slave's may run in it.

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use super::Go;
use futures::future::BoxFuture;
use libprocess::subprocess::{Ended, ExitStatus};
use nix::libc;
use nix::sys::signal::{SigSet, SigmaskHow};
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncWriteExt, Interest};
use tokio::net::unix::pipe;

/// Where the helper finds the pipe.
pub(super) const PIPE: RawFd = 3;

/// The child's stack, in bytes: it makes a few system calls on it.
const STACK_BYTES: usize = 64 * 1024;

/// How many signals the kernel has.
const SIGNALS: libc::c_int = 64;

/// What is forked.
pub(super) struct Plan {
    /// The helper's program and arguments.
    pub(super) argv: Vec<String>,
    /// The helper's whole environment, `NAME=value`.
    pub(super) env: Vec<String>,
    pub(super) stdout: OwnedFd,
    pub(super) stderr: OwnedFd,
    /// `CLONE_NEW*` numbers.
    pub(super) namespaces: i32,
}

/// A child that waits.
pub(super) struct Held {
    pub(super) pid: u32,
    process: OwnedFd,
    pipe: OwnedFd,
}

/// The memory that the child needs.
struct Image {
    program: CString,
    argv: Vec<*const libc::c_char>,
    envp: Vec<*const libc::c_char>,
    /// Standard input, output and error, and the pipe's two ends.
    fds: [RawFd; 5],
}

fn strings(texts: &[String]) -> io::Result<Vec<CString>> {
    let all = texts.iter().map(|text| CString::new(text.as_str()));
    all.collect::<Result<_, _>>()
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))
}

fn pointers(texts: &[CString]) -> Vec<*const libc::c_char> {
    texts.iter().map(|text| text.as_ptr()).chain([std::ptr::null()]).collect()
}

/// Forks.
///
/// # Errors
/// When the kernel refuses, or an argument has a zero byte.
pub(super) fn fork(plan: &Plan) -> io::Result<Held> {
    let (argv, env) = (strings(&plan.argv)?, strings(&plan.env)?);
    let program = argv.first().cloned().ok_or(io::ErrorKind::InvalidInput)?;
    let null = File::open("/dev/null")?;
    let (read, write) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC)?;
    let fds = [
        null.as_raw_fd(),
        plan.stdout.as_raw_fd(),
        plan.stderr.as_raw_fd(),
        read.as_raw_fd(),
        write.as_raw_fd(),
    ];
    let image = Image { program, argv: pointers(&argv), envp: pointers(&env), fds };
    let (pid, process) = clone(plan.namespaces, &image)?;
    Ok(Held { pid, process, pipe: write })
}

#[allow(unsafe_code, reason = "the only way to a child in other namespaces")]
fn clone(namespaces: i32, image: &Image) -> io::Result<(u32, OwnedFd)> {
    let shared = libc::CLONE_VM | libc::CLONE_VFORK;
    let flags = libc::SIGCHLD | libc::CLONE_PIDFD | shared | namespaces;
    let mut stack = Vec::<u8>::with_capacity(STACK_BYTES);
    let mut process: RawFd = -1;
    let argument = std::ptr::from_ref(image).cast_mut().cast();
    // A handler in the child would run on the slave's memory: no signal comes while it has handlers.
    let before = SigSet::all().thread_swap_mask(SigmaskHow::SIG_SETMASK)?;
    // SAFETY: the stack and the image outlive the child's use of them, as this thread goes on only when
    // the child has executed the helper or is gone. The child runs `child`, which never returns and
    // neither allocates nor locks nor writes to memory but its stack and this thread's errno. Stacks
    // grow down, the C library aligns their top. The kernel writes the process's descriptor to
    // `process`.
    let pid = unsafe {
        let top = stack.as_mut_ptr().add(STACK_BYTES).cast();
        libc::clone(child, top, flags, argument, &raw mut process)
    };
    let failed = io::Error::last_os_error();
    before.thread_set_mask()?;
    // Process ids are positive.
    let pid = u32::try_from(pid).map_err(|_| failed)?;
    // SAFETY: the kernel made this descriptor for us alone.
    Ok((pid, unsafe { OwnedFd::from_raw_fd(process) }))
}

/// What the child does: takes its place and becomes the helper.
#[allow(unsafe_code, reason = "between clone and exec there are only system calls")]
extern "C" fn child(image: *mut libc::c_void) -> libc::c_int {
    // SAFETY: `clone` hands over an image that it keeps.
    let image = unsafe { &*image.cast_const().cast::<Image>() };
    let [null, out, err, read, _] = image.fds;
    // SAFETY: all calls are async-signal-safe, all pointers are to memory made before the clone.
    unsafe {
        libc::setsid();
        let placed = libc::dup2(null, 0) == 0
            && libc::dup2(out, 1) == 1
            && libc::dup2(err, 2) == 2
            && if read == PIPE {
                libc::fcntl(PIPE, libc::F_SETFD, 0) == 0
            } else {
                libc::dup2(read, PIPE) == PIPE
            };
        // Nobody but the slave may hold the pipe's other end: when the slave dies, the child must.
        let closed = libc::syscall(libc::SYS_close_range, PIPE + 1, libc::c_int::MAX, 0);
        if !placed || closed != 0 {
            let sorry = b"cannot place the container's output; Linux before 5.9 cannot\n";
            libc::write(2, sorry.as_ptr().cast(), sorry.len());
            libc::_exit(125);
        }
        // Handlers are the child's own: those of the slave go, then signals may come.
        for signal in 1..=SIGNALS {
            // The kernel's structure, not the C library's; all zero it is the default action.
            let default = [0_u64; 4];
            let size = size_of::<u64>();
            libc::syscall(libc::SYS_rt_sigaction, signal, default.as_ptr(), 0_usize, size);
        }
        let mut none = std::mem::zeroed::<libc::sigset_t>();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
        libc::execve(image.program.as_ptr(), image.argv.as_ptr(), image.envp.as_ptr());
        let sorry = b"cannot execute the helper mesos-containerizer\n";
        libc::write(2, sorry.as_ptr().cast(), sorry.len());
        libc::_exit(127)
    }
}

impl Held {
    /// Splits it: what lets the child go with what the helper is to read, and its end.
    pub(super) fn split(self, message: Vec<u8>) -> (Go, BoxFuture<'static, Ended>) {
        let (pid, pipe) = (self.pid, self.pipe);
        let go: Go = Box::new(move || {
            Box::pin(async move {
                let failed = |error: io::Error| format!("cannot start the helper: {error}");
                let mut pipe = pipe::Sender::from_owned_fd(pipe).map_err(failed)?;
                pipe.write_all(&message).await.map_err(failed)
            })
        });
        (go, Box::pin(ended(self.process, pid)))
    }
}

/// Ready when a child has ended and been reaped.
async fn ended(process: OwnedFd, pid: u32) -> Ended {
    gone(process).await;
    let pid = nix::unistd::Pid::from_raw(i32::try_from(pid).unwrap_or(i32::MAX));
    use nix::sys::wait::WaitStatus;
    let raw = match nix::sys::wait::waitpid(pid, None) {
        Ok(WaitStatus::Exited(_, code)) => Some(code << 8),
        Ok(WaitStatus::Signaled(_, signal, core)) => {
            Some(signal as i32 | if core { 0x80 } else { 0 })
        }
        _ => None,
    };
    let status = raw.map(|raw| ExitStatus { raw });
    Ended { status, stdout: bytes::Bytes::new(), stderr: bytes::Bytes::new() }
}

/// Ready when the process is gone; for any process, ours or not.
#[allow(unsafe_code, reason = "the runtime wants a promise about the descriptor")]
pub(super) async fn gone(process: OwnedFd) {
    // SAFETY: the descriptor is owned, stays open until the watcher is dropped, and is no other's.
    let watched = unsafe { AsyncFd::register_with_interest(process, Interest::READABLE) };
    // A descriptor of a process becomes readable when it ends.
    if let Ok(process) = watched {
        let _ = process.readable().await;
    }
}

/// A descriptor of a process that need not be a child.
///
/// # Errors
/// When there is no such process.
#[allow(unsafe_code, reason = "the kernel's call has no safe front yet")]
pub(super) fn open(pid: u32) -> io::Result<OwnedFd> {
    // SAFETY: the call takes two numbers.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, libc::PIDFD_NONBLOCK) };
    match RawFd::try_from(fd) {
        Ok(fd) if fd >= 0 => {
            // SAFETY: the kernel made this descriptor for us alone.
            Ok(unsafe { OwnedFd::from_raw_fd(fd) })
        }
        _ => Err(io::Error::last_os_error()),
    }
}
