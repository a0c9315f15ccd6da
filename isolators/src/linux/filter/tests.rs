use protos::mesos::capability_info::Capability;

use super::*;

fn rule(name: &str, action: Action, args: Vec<Arg>) -> Syscall {
    Syscall { names: vec![name.to_owned()], action: action as i32, args, ..Syscall::default() }
}

fn profile(default: Action, syscalls: Vec<Syscall>) -> ContainerSeccompProfile {
    ContainerSeccompProfile { default_action: default as i32, architectures: vec![], syscalls }
}

/// Runs a program as the kernel would.
fn verdict_of(program: &[sock_filter], number: u32, args: [u64; 6]) -> u32 {
    let mut data = vec![number, NATIVE, 0, 0];
    data.extend(args.iter().flat_map(|arg| [*arg as u32, (*arg >> 32) as u32]));
    let (mut at, mut accumulator) = (0, 0);
    loop {
        let sock_filter { code, jt, jf, k } = program[at];
        at += 1;
        let holds = match code {
            LOAD_WORD => {
                accumulator = data[k as usize / 4];
                continue;
            }
            AND => {
                accumulator &= k;
                continue;
            }
            RETURN => return k,
            IF_EQUAL => accumulator == k,
            IF_GREATER => accumulator > k,
            IF_NOT_LESS => accumulator >= k,
            other => panic!("unknown instruction {other:#x}"),
        };
        at += usize::from(if holds { jt } else { jf });
    }
}

/// Whether a value compares to another as an operator wants.
type Expected = fn(u64, u64) -> bool;

const ALLOWED: u32 = libc::SECCOMP_RET_ALLOW;

#[test]
fn filter_lets_named_calls_pass_and_answers_the_rest_with_the_default() {
    let rules =
        vec![rule("read", Action::ActAllow, vec![]), rule("teleport", Action::ActAllow, vec![])];
    let program = compile(&profile(Action::ActErrno, rules), &BTreeSet::new()).unwrap();
    let number = |name| syscalls::number(name).unwrap();
    assert_eq!(verdict_of(&program, number("read"), [0; 6]), ALLOWED);
    let denied = libc::SECCOMP_RET_ERRNO | libc::EPERM as u32;
    assert_eq!(verdict_of(&program, number("write"), [0; 6]), denied);
    let foreign = number("read") | FOREIGN;
    assert_eq!(verdict_of(&program, foreign, [0; 6]), libc::SECCOMP_RET_KILL_PROCESS);
}

#[test]
fn filter_compares_arguments_in_all_their_bits() {
    let big: u64 = (7 << 32) | 5;
    let values = [0, 5, big - 1, big, big + 1, (8 << 32) | 1, u64::MAX];
    let cases: [(Operator, Expected); 6] = [
        (Operator::CmpEq, |it, to| it == to),
        (Operator::CmpNe, |it, to| it != to),
        (Operator::CmpGt, |it, to| it > to),
        (Operator::CmpGe, |it, to| it >= to),
        (Operator::CmpLt, |it, to| it < to),
        (Operator::CmpLe, |it, to| it <= to),
    ];
    let number = syscalls::number("personality").unwrap();
    for (op, expected) in cases {
        let arg = Arg { index: 2, op: op as i32, value: big, value_two: 0 };
        let rules = vec![rule("personality", Action::ActAllow, vec![arg])];
        let program = compile(&profile(Action::ActErrno, rules), &BTreeSet::new()).unwrap();
        for value in values {
            let verdict = verdict_of(&program, number, [0, 0, value, 0, 0, 0]);
            assert_eq!(verdict == ALLOWED, expected(value, big), "{op:?} {value:#x}");
        }
    }
}

#[test]
fn filter_masks_arguments_and_wants_all_of_them() {
    let masked = Arg { index: 0, op: Operator::CmpMaskedEq as i32, value: 0xf0, value_two: 0x50 };
    let equal = Arg { index: 1, op: Operator::CmpEq as i32, value: 9, value_two: 0 };
    let rules = vec![rule("clone", Action::ActAllow, vec![masked, equal])];
    let program = compile(&profile(Action::ActKill, rules), &BTreeSet::new()).unwrap();
    let number = syscalls::number("clone").unwrap();
    let verdict = |a, b| verdict_of(&program, number, [a, b, 0, 0, 0, 0]);
    assert_eq!(verdict(0x5f, 9), ALLOWED);
    assert_eq!(verdict(0x6f, 9), libc::SECCOMP_RET_KILL_THREAD);
    assert_eq!(verdict(0x5f, 8), libc::SECCOMP_RET_KILL_THREAD);
}

#[test]
fn filter_rules_depend_on_capabilities() {
    let admin = Capability::SysAdmin as i32;
    let with = |capabilities: Vec<i32>| Some(Filter { capabilities });
    let mut included = rule("mount", Action::ActAllow, vec![]);
    included.includes = with(vec![admin]);
    let mut excluded = rule("clone", Action::ActAllow, vec![]);
    excluded.excludes = with(vec![admin]);
    let profile = profile(Action::ActErrno, vec![included, excluded]);
    let verdict = |capabilities: &[i32], name| {
        let program = compile(&profile, &capabilities.iter().copied().collect()).unwrap();
        verdict_of(&program, syscalls::number(name).unwrap(), [0; 6]) == ALLOWED
    };
    assert!(verdict(&[admin], "mount") && !verdict(&[], "mount"));
    assert!(!verdict(&[admin], "clone") && verdict(&[], "clone"));
}

#[test]
fn filter_answers_with_the_numbers_of_rules_and_default() {
    let equal = Arg { index: 0, op: Operator::CmpEq as i32, value: 1, value_two: 0 };
    let rules = vec![
        answer::entry(Action::ActErrno as i32, libc::ENOSYS as u32),
        rule("clone", Action::ActErrno, vec![equal, answer::arg(7)]),
        rule("clone", Action::ActAllow, vec![]),
        rule("mount", Action::ActErrno, vec![answer::arg(5)]),
        rule("ptrace", Action::ActTrace, vec![answer::arg(9)]),
        rule("read", Action::ActErrno, vec![]),
    ];
    let program = compile(&profile(Action::ActErrno, rules.clone()), &BTreeSet::new()).unwrap();
    let verdict =
        |name, first| verdict_of(&program, syscalls::number(name).unwrap(), [first, 0, 0, 0, 0, 0]);
    let errno = |number: i32| libc::SECCOMP_RET_ERRNO | number as u32;
    assert_eq!(verdict("mount", 0), errno(5));
    assert_eq!(verdict("ptrace", 0), libc::SECCOMP_RET_TRACE | 9);
    assert_eq!(verdict("read", 0), errno(libc::EPERM));
    assert_eq!(verdict("write", 0), errno(libc::ENOSYS));
    let conditional = compile(&profile(Action::ActAllow, vec![rules[1].clone()]), &BTreeSet::new());
    let verdict = |first| {
        let clone = syscalls::number("clone").unwrap();
        verdict_of(conditional.as_ref().unwrap(), clone, [first, 0, 0, 0, 0, 0])
    };
    assert_eq!((verdict(1), verdict(2)), (errno(7), ALLOWED));
}

#[test]
fn filter_is_obeyed_by_the_kernel() {
    let rules = ["mkdir", "mkdirat"]
        .map(|name| rule(name, Action::ActErrno, vec![answer::arg(libc::ENOTTY as u32)]))
        .into();
    let program = compile(&profile(Action::ActAllow, rules), &BTreeSet::new()).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_owned();
    // Only the thread that asks is filtered.
    let filtered = std::thread::spawn(move || {
        nix::sys::prctl::set_no_new_privs().unwrap();
        install(&program).unwrap();
        let denied = std::fs::create_dir(path.join("a")).unwrap_err();
        std::fs::write(path.join("b"), "x").unwrap();
        denied.raw_os_error()
    });
    assert_eq!(filtered.join().unwrap(), Some(libc::ENOTTY));
    std::fs::create_dir(directory.path().join("a")).unwrap();
}
