//! The number with which a filter answers a call that it refuses. The wire has no field for it: it
//! travels as an argument that compares nothing, at an index that no call has; that of the default
//! action as the argument of an entry that names no call.

use protos::mesos::seccomp::ContainerSeccompProfile;
use protos::mesos::seccomp::container_seccomp_profile::Syscall;
use protos::mesos::seccomp::container_seccomp_profile::syscall::Arg;
use protos::mesos::seccomp::container_seccomp_profile::syscall::arg::Operator;

/// Calls have six arguments.
const BEHIND: u32 = 6;

/// The kernel has no larger numbers of errors.
pub const MAX: u32 = 4095;

/// A number as an argument.
pub fn arg(number: u32) -> Arg {
    Arg { index: BEHIND, op: Operator::Unknown as i32, value: number.into(), value_two: 0 }
}

/// The default action's number as an entry of a profile.
pub fn entry(action: i32, number: u32) -> Syscall {
    Syscall { action, args: vec![arg(number)], ..Syscall::default() }
}

/// True for what [`arg`] makes.
pub fn is_number(arg: &Arg) -> bool {
    arg.index == BEHIND && arg.op() == Operator::Unknown
}

/// The number of an entry, if it has one.
pub fn of(rule: &Syscall) -> Option<u32> {
    let arg = rule.args.iter().find(|arg| is_number(arg))?;
    u32::try_from(arg.value).ok().filter(|number| *number <= MAX)
}

/// The number of a profile's default action, if it has one.
pub fn of_default(profile: &ContainerSeccompProfile) -> Option<u32> {
    profile.syscalls.iter().find(|rule| rule.names.is_empty()).and_then(of)
}
