//! A seccomp profile as a program that the kernel runs before each system call.

use std::collections::BTreeSet;
use std::io;

use nix::libc;
pub use nix::libc::sock_filter;
use protos::mesos::seccomp::ContainerSeccompProfile;
use protos::mesos::seccomp::container_seccomp_profile::Syscall;
use protos::mesos::seccomp::container_seccomp_profile::syscall::arg::Operator;
use protos::mesos::seccomp::container_seccomp_profile::syscall::{Action, Arg, Filter};

use super::{answer, syscalls};

const LOAD_WORD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
const AND: u16 = (libc::BPF_ALU | libc::BPF_AND | libc::BPF_K) as u16;
const IF_EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
const IF_GREATER: u16 = (libc::BPF_JMP | libc::BPF_JGT | libc::BPF_K) as u16;
const IF_NOT_LESS: u16 = (libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K) as u16;
const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;

/// Offsets in what the kernel shows of a call.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const ARGUMENTS: u32 = 16;

#[cfg(target_arch = "x86_64")]
const NATIVE: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const NATIVE: u32 = 0xc000_00b7;
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const NATIVE: u32 = 0;

/// Numbers from here on are calls of another kind (x32) under the same architecture.
const FOREIGN: u32 = 0x4000_0000;

/// The kernel takes no longer programs.
const MAX_INSTRUCTIONS: usize = 4096;

/// Where a comparison leads.
#[derive(Clone, Copy)]
enum To {
    /// The next instruction.
    Next,
    /// This argument is as it should be.
    Holds,
    /// The rule does not apply.
    Fails,
}

enum Op {
    Do(u16, u32),
    If(u16, u32, To, To),
}

/// A program for a profile, for a container with these capabilities (numbers of the wire). Calls of
/// other machines' kinds are killed; names that this machine does not have are left out.
///
/// # Errors
/// When the machine is not known, or the profile is too long.
pub fn compile(
    profile: &ContainerSeccompProfile,
    capabilities: &BTreeSet<i32>,
) -> Result<Vec<sock_filter>, String> {
    if NATIVE == 0 {
        return Err("system calls cannot be filtered on this machine".to_owned());
    }
    let mut program = vec![
        instruction(LOAD_WORD, ARCHITECTURE, 0, 0),
        instruction(IF_EQUAL, NATIVE, 0, 2),
        instruction(LOAD_WORD, NUMBER, 0, 0),
        instruction(IF_NOT_LESS, FOREIGN, 0, 1),
        instruction(RETURN, libc::SECCOMP_RET_KILL_PROCESS, 0, 0),
    ];
    let rules = profile.syscalls.iter().filter(|rule| applies(rule, capabilities));
    // What holds without a look at arguments comes first, as it would win anyway.
    let (plain, conditional): (Vec<_>, Vec<_>) =
        rules.partition(|rule| rule.args.iter().all(answer::is_number));
    for rule in plain.into_iter().chain(conditional) {
        let verdict = verdict(rule.action(), answer::of(rule));
        for number in rule.names.iter().filter_map(|name| syscalls::number(name)) {
            program.extend(block(number, &rule.args, verdict)?);
        }
    }
    let default = verdict(profile.default_action(), answer::of_default(profile));
    program.push(instruction(RETURN, default, 0, 0));
    if program.len() > MAX_INSTRUCTIONS {
        return Err(format!("the profile needs {} instructions", program.len()));
    }
    Ok(program)
}

fn instruction(code: u16, k: u32, jt: u8, jf: u8) -> sock_filter {
    sock_filter { code, jt, jf, k }
}

/// Whether a rule is for containers with these capabilities.
fn applies(rule: &Syscall, capabilities: &BTreeSet<i32>) -> bool {
    let named = |filter: &Option<Filter>| filter.clone().unwrap_or_default().capabilities;
    named(&rule.includes).iter().all(|it| capabilities.contains(it))
        && !named(&rule.excludes).iter().any(|it| capabilities.contains(it))
}

/// What the kernel is answered; `number` is what the call's caller, or its tracer, is told.
fn verdict(action: Action, number: Option<u32>) -> u32 {
    match action {
        Action::Unknown | Action::ActKill => libc::SECCOMP_RET_KILL_THREAD,
        Action::ActTrap => libc::SECCOMP_RET_TRAP,
        Action::ActErrno => libc::SECCOMP_RET_ERRNO | number.unwrap_or(libc::EPERM as u32),
        Action::ActTrace => libc::SECCOMP_RET_TRACE | number.unwrap_or_default(),
        Action::ActAllow => libc::SECCOMP_RET_ALLOW,
    }
}

/// Answers `verdict` for a call whose arguments hold; else goes on behind itself.
fn block(number: u32, args: &[Arg], verdict: u32) -> Result<Vec<sock_filter>, String> {
    // Each part ends where its argument holds.
    let mut parts =
        vec![vec![Op::Do(LOAD_WORD, NUMBER), Op::If(IF_EQUAL, number, To::Next, To::Fails)]];
    parts.extend(args.iter().filter(|arg| !answer::is_number(arg)).map(compare));
    let length: usize = parts.iter().map(Vec::len).sum();
    let mut program = Vec::new();
    let mut holds = 0;
    for part in parts {
        holds += part.len();
        for op in part {
            let at = program.len();
            let jump = |to: To| {
                let target = match to {
                    To::Next => at + 1,
                    To::Holds => holds,
                    To::Fails => length + 1,
                };
                u8::try_from(target - at - 1).map_err(|_| "a rule is too long".to_owned())
            };
            program.push(match op {
                Op::Do(code, k) => instruction(code, k, 0, 0),
                Op::If(code, k, yes, no) => instruction(code, k, jump(yes)?, jump(no)?),
            });
        }
    }
    program.push(instruction(RETURN, verdict, 0, 0));
    Ok(program)
}

/// Compares one argument, whose halves the kernel shows apart.
fn compare(arg: &Arg) -> Vec<Op> {
    let base = ARGUMENTS + 8 * arg.index;
    let (low, high) =
        if cfg!(target_endian = "little") { (base, base + 4) } else { (base + 4, base) };
    let halves = |value: u64| (value as u32, (value >> 32) as u32);
    let (value_low, value_high) = halves(arg.value);
    // Compares the high half; when it is equal, the low half decides.
    let decide = |greater: To, less: To, code: u16, yes: To, no: To| {
        vec![
            Op::Do(LOAD_WORD, high),
            Op::If(IF_GREATER, value_high, greater, To::Next),
            Op::If(IF_EQUAL, value_high, To::Next, less),
            Op::Do(LOAD_WORD, low),
            Op::If(code, value_low, yes, no),
        ]
    };
    match arg.op() {
        Operator::CmpEq => decide(To::Fails, To::Fails, IF_EQUAL, To::Holds, To::Fails),
        Operator::CmpNe => decide(To::Holds, To::Holds, IF_EQUAL, To::Fails, To::Holds),
        Operator::CmpGt => decide(To::Holds, To::Fails, IF_GREATER, To::Holds, To::Fails),
        Operator::CmpGe => decide(To::Holds, To::Fails, IF_NOT_LESS, To::Holds, To::Fails),
        Operator::CmpLt => decide(To::Fails, To::Holds, IF_NOT_LESS, To::Fails, To::Holds),
        Operator::CmpLe => decide(To::Fails, To::Holds, IF_GREATER, To::Fails, To::Holds),
        Operator::CmpMaskedEq => {
            let (wanted_low, wanted_high) = halves(arg.value_two);
            vec![
                Op::Do(LOAD_WORD, high),
                Op::Do(AND, value_high),
                Op::If(IF_EQUAL, wanted_high, To::Next, To::Fails),
                Op::Do(LOAD_WORD, low),
                Op::Do(AND, value_low),
                Op::If(IF_EQUAL, wanted_low, To::Holds, To::Fails),
            ]
        }
        // Nothing is as an unknown comparison wants it.
        Operator::Unknown => {
            vec![Op::Do(LOAD_WORD, low), Op::If(IF_EQUAL, 0, To::Fails, To::Fails)]
        }
    }
}

/// Has the kernel run a program before each system call of this thread and of all that comes from
/// it. The thread must have given up gaining privileges, or have CAP_SYS_ADMIN.
///
/// # Errors
/// When the kernel refuses.
#[allow(unsafe_code, reason = "there is no safe wrapper of seccomp(2)")]
pub fn install(program: &[sock_filter]) -> io::Result<()> {
    let length = u16::try_from(program.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let program = libc::sock_fprog { len: length, filter: program.as_ptr().cast_mut() };
    // SAFETY: the kernel only reads the program, which outlives the call.
    let done = unsafe {
        libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &raw const program)
    };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
