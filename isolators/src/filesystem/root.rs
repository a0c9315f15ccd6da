//! What a container finds in a root of its own beside its image: processes, devices, the kernel.

use std::path::Path;

use crate::launch::{self, LaunchInfo, MS_NODEV, MS_NOEXEC, MS_NOSUID, MS_RDONLY, MS_STRICTATIME};
use crate::volume::target::text;

/// Device files that every program expects.
const DEVICES: [&str; 6] = ["full", "null", "random", "tty", "urandom", "zero"];

/// Links in `/dev`, with where they lead.
const LINKS: [(&str, &str); 6] = [
    ("/proc/self/fd", "fd"),
    ("/proc/self/fd/0", "stdin"),
    ("/proc/self/fd/1", "stdout"),
    ("/proc/self/fd/2", "stderr"),
    ("/proc/kcore", "core"),
    ("pts/ptmx", "ptmx"),
];

/// Parts of `/proc` through which the whole host could be changed.
const READ_ONLY: [&str; 5] =
    ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// What tells too much of the host.
const MASKED: [&str; 9] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/kcore",
    "/proc/keys",
    "/proc/key-users",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/sys/firmware",
];

/// Adds the root, and what is mounted in it.
pub fn fill(info: &mut LaunchInfo, rootfs: &Path) {
    let root = text(rootfs);
    let at = |path: &str| format!("{root}{path}");
    let locked = MS_NOSUID | MS_NODEV | MS_NOEXEC;
    let option = |text: &str| Some(text.to_owned());
    info.rootfs = Some(root.clone());
    info.mounts.push(launch::bind(root.clone(), root.clone(), true));
    info.mounts.push(launch::filesystem("proc", at("/proc"), locked, None));
    // Kernels differ in what they have; what is not there cannot be bound.
    for path in READ_ONLY.into_iter().filter(|path| Path::new(path).exists()) {
        info.mounts.push(launch::bind(at(path), at(path), true));
        info.mounts.push(launch::read_only(at(path)));
    }
    info.mounts.push(launch::filesystem("sysfs", at("/sys"), locked | MS_RDONLY, None));
    let dev = option("mode=755,size=65536k");
    info.mounts.push(launch::filesystem("tmpfs", at("/dev"), MS_NOSUID | MS_STRICTATIME, dev));
    let pts = option("newinstance,ptmxmode=0666");
    info.mounts.push(launch::filesystem("devpts", at("/dev/pts"), MS_NOSUID | MS_NOEXEC, pts));
    let shm = option("mode=1777");
    let flags = MS_NOSUID | MS_NODEV | MS_STRICTATIME;
    info.mounts.push(launch::filesystem("tmpfs", at("/dev/shm"), flags, shm));
    for device in DEVICES {
        let path = format!("/dev/{device}");
        info.mounts.push(launch::bind(path.clone(), at(&path), false));
    }
    for (source, name) in LINKS {
        info.file_operations.push(launch::symlink(source, at(&format!("/dev/{name}"))));
    }
    info.masked_paths.extend(MASKED.map(str::to_owned));
}
