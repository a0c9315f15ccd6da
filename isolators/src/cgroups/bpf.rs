//! Device rules as a program that the kernel runs at each access (version 2 has no control file for
//! them).

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::Path;

use nix::libc;

use super::devices::{Kind, Rule};

/// One instruction, as the kernel lays it out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct Instruction {
    code: u8,
    /// Destination in the low half, source in the high half.
    registers: u8,
    offset: i16,
    immediate: i32,
}

const LOAD_WORD: u8 = 0x61;
const MOVE: u8 = 0xbf;
const MOVE_NUMBER: u8 = 0xb7;
const AND_NUMBER: u8 = 0x57;
const SHIFT_RIGHT: u8 = 0x77;
const JUMP_UNLESS_EQUAL: u8 = 0x55;
const EXIT: u8 = 0x95;

/// Registers: the verdict, the context, then what is loaded from it.
const VERDICT: u8 = 0;
const CONTEXT: u8 = 1;
const KIND: u8 = 2;
const ACCESS: u8 = 3;
const MAJOR: u8 = 4;
const MINOR: u8 = 5;
const SCRATCH: u8 = 6;

const KIND_BLOCK: i32 = 1;
const KIND_CHAR: i32 = 2;
const ACCESS_MKNOD: i32 = 1;
const ACCESS_READ: i32 = 2;
const ACCESS_WRITE: i32 = 4;

fn op(code: u8, to: u8, from: u8, offset: i16, immediate: i32) -> Instruction {
    Instruction { code, registers: (from << 4) | to, offset, immediate }
}

/// A program that answers 1 when one of the rules allows the access, else 0.
pub fn program(rules: &[Rule]) -> Vec<Instruction> {
    let mut program = vec![
        op(LOAD_WORD, KIND, CONTEXT, 0, 0),
        op(MOVE, ACCESS, KIND, 0, 0),
        op(AND_NUMBER, KIND, 0, 0, 0xffff),
        op(SHIFT_RIGHT, ACCESS, 0, 0, 16),
        op(LOAD_WORD, MAJOR, CONTEXT, 4, 0),
        op(LOAD_WORD, MINOR, CONTEXT, 8, 0),
    ];
    for rule in rules {
        program.extend(allow(rule));
    }
    program.extend([op(MOVE_NUMBER, VERDICT, 0, 0, 0), op(EXIT, 0, 0, 0, 0)]);
    program
}

/// Answers 1 when the rule holds, else goes on behind itself.
fn allow(rule: &Rule) -> Vec<Instruction> {
    let kind = if rule.kind == Kind::Block { KIND_BLOCK } else { KIND_CHAR };
    let mut denied = ACCESS_MKNOD | ACCESS_READ | ACCESS_WRITE;
    let given = [(rule.mknod, ACCESS_MKNOD), (rule.read, ACCESS_READ), (rule.write, ACCESS_WRITE)];
    for (_, bit) in given.iter().filter(|(is_given, _)| *is_given) {
        denied &= !bit;
    }
    // Each check is `(register, number)`: the rule holds when all are equal.
    let mut checks = vec![op(JUMP_UNLESS_EQUAL, KIND, 0, 0, kind)];
    checks.push(op(MOVE, SCRATCH, ACCESS, 0, 0));
    checks.push(op(AND_NUMBER, SCRATCH, 0, 0, denied));
    checks.push(op(JUMP_UNLESS_EQUAL, SCRATCH, 0, 0, 0));
    for (register, number) in [(MAJOR, rule.major), (MINOR, rule.minor)] {
        // Device numbers fit: the kernel has 20 bits for the larger.
        if let Some(number) = number.and_then(|number| i32::try_from(number).ok()) {
            checks.push(op(JUMP_UNLESS_EQUAL, register, 0, 0, number));
        }
    }
    let end = checks.len() + 2;
    for (at, check) in checks.iter_mut().enumerate() {
        if check.code == JUMP_UNLESS_EQUAL {
            // At most eight instructions.
            check.offset = i16::try_from(end - at - 1).unwrap_or(i16::MAX);
        }
    }
    checks.extend([op(MOVE_NUMBER, VERDICT, 0, 0, 1), op(EXIT, 0, 0, 0, 0)]);
    checks
}

const PROG_LOAD: libc::c_int = 5;
const PROG_ATTACH: libc::c_int = 8;
const TYPE_CGROUP_DEVICE: u32 = 15;
const ATTACH_CGROUP_DEVICE: u32 = 6;
const ALLOW_MULTI: u32 = 2;

/// The first fields of the kernel's `bpf_attr` for loading.
#[repr(C)]
struct Load {
    kind: u32,
    count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
    kernel_version: u32,
    flags: u32,
}

/// The fields of the kernel's `bpf_attr` for attaching.
#[repr(C)]
struct Attach {
    target: u32,
    program: u32,
    kind: u32,
    flags: u32,
}

/// Calls `bpf(2)`.
#[allow(unsafe_code, reason = "there is no safe wrapper of bpf(2)")]
fn bpf<T>(command: libc::c_int, attributes: &T) -> io::Result<i32> {
    let size = std::mem::size_of::<T>();
    // SAFETY: the kernel reads `size` bytes of `attributes`, which outlives the call, as do the
    // buffers it points to; it writes nothing, as no log is asked for.
    let result =
        unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_ref(attributes), size) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result as i32) }
}

/// Loads a program and attaches it to a cgroup for as long as that exists.
///
/// # Errors
/// When the kernel refuses.
pub fn attach(program: &[Instruction], cgroup: &Path) -> io::Result<()> {
    let directory = File::open(cgroup)?;
    let license = c"Apache-2.0";
    let load = Load {
        kind: TYPE_CGROUP_DEVICE,
        count: u32::try_from(program.len()).unwrap_or(u32::MAX),
        instructions: program.as_ptr() as u64,
        license: license.as_ptr() as u64,
        log_level: 0,
        log_size: 0,
        log: 0,
        kernel_version: 0,
        flags: 0,
    };
    let loaded = owned(bpf(PROG_LOAD, &load)?);
    let attach = Attach {
        target: directory.as_raw_fd() as u32,
        program: loaded.as_raw_fd() as u32,
        kind: ATTACH_CGROUP_DEVICE,
        flags: ALLOW_MULTI,
    };
    bpf(PROG_ATTACH, &attach).map(drop)
}

#[allow(unsafe_code, reason = "the kernel hands out a bare number")]
fn owned(descriptor: i32) -> OwnedFd {
    // SAFETY: the kernel has just opened it for us; nobody else knows it.
    unsafe { OwnedFd::from_raw_fd(descriptor) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cgroups::devices::defaults;

    /// Runs a program as the kernel would.
    fn verdict(program: &[Instruction], kind: i64, access: i64, numbers: (i64, i64)) -> i64 {
        let context = [kind | (access << 16), numbers.0, numbers.1];
        let mut registers = [0i64; 11];
        let mut at = 0;
        loop {
            let Instruction { code, registers: pair, offset, immediate } = program[at];
            let (to, from) = (usize::from(pair & 15), usize::from(pair >> 4));
            at += 1;
            match code {
                LOAD_WORD => registers[to] = context[offset as usize / 4],
                MOVE => registers[to] = registers[from],
                MOVE_NUMBER => registers[to] = immediate.into(),
                AND_NUMBER => registers[to] &= i64::from(immediate),
                SHIFT_RIGHT => registers[to] >>= immediate,
                JUMP_UNLESS_EQUAL if registers[to] != i64::from(immediate) => {
                    at += offset as usize;
                }
                JUMP_UNLESS_EQUAL => {}
                EXIT => return registers[0],
                other => panic!("unknown instruction {other:#x}"),
            }
        }
    }

    #[test]
    fn bpf_program_allows_what_a_rule_allows_and_nothing_else() {
        let program = program(&defaults());
        let (block, char, mknod, read, write) = (1, 2, 1, 2, 4);
        assert_eq!(verdict(&program, char, read | write, (1, 3)), 1);
        assert_eq!(verdict(&program, char, read, (136, 77)), 1);
        assert_eq!(verdict(&program, block, mknod, (8, 0)), 1);
        assert_eq!(verdict(&program, block, read, (8, 0)), 0);
        assert_eq!(verdict(&program, block, read | mknod, (8, 0)), 0);
        assert_eq!(verdict(&program, char, read, (1, 1)), 0);
        assert_eq!(verdict(&program, block, read, (1, 3)), 0);
    }

    #[test]
    fn bpf_instructions_have_the_size_that_the_kernel_expects() {
        assert_eq!(std::mem::size_of::<Instruction>(), 8);
        assert_eq!(std::mem::size_of::<Load>(), 48);
    }
}
