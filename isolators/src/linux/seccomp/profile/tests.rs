use super::*;

const PROFILE: &str = r#"{
    "defaultAction": "SCMP_ACT_ERRNO",
    "archMap": [{"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"]}],
    "syscalls": [
        {"names": ["read", "write"], "action": "SCMP_ACT_ALLOW", "args": [],
         "comment": "", "includes": {}, "excludes": {}},
        {"names": ["clone"], "action": "SCMP_ACT_ALLOW",
         "args": [{"index": 0, "value": 2114060288, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"}],
         "excludes": {"caps": ["CAP_SYS_ADMIN"]}}
    ]}"#;

const MACHINE: Machine = Machine { architecture: "amd64", kernel: (4, 19) };

#[test]
fn seccomp_profile_is_read() {
    let profile = parse(PROFILE, &MACHINE).unwrap();
    assert_eq!(profile.default_action(), Action::ActErrno);
    let architectures = [Architecture::ArchX8664 as i32, Architecture::ArchX86 as i32];
    assert_eq!(profile.architectures, architectures);
    assert_eq!(profile.syscalls[0].names, ["read", "write"]);
    assert_eq!(profile.syscalls[0].includes, None);
    let clone = &profile.syscalls[1];
    assert_eq!(clone.args[0].op(), Operator::CmpMaskedEq);
    assert_eq!(clone.excludes.as_ref().unwrap().capabilities, [Capability::SysAdmin as i32]);
}

#[test]
fn seccomp_profiles_that_make_no_sense_are_refused() {
    for (good, bad) in [
        ("SCMP_ACT_ERRNO", "SCMP_ACT_DANCE"),
        ("SCMP_ARCH_X86_64", "SCMP_ARCH_PDP11"),
        ("SCMP_CMP_MASKED_EQ", "SCMP_CMP_NEAR"),
        ("CAP_SYS_ADMIN", "CAP_FLY"),
        (r#""index": 0"#, r#""index": 6"#),
        (r#"["CAP_SYS_ADMIN"]"#, r#""CAP_SYS_ADMIN""#),
        (r#"["read", "write"]"#, r#"["read", 1]"#),
        (r#""args": []"#, r#""args": 3"#),
        (r#""valueTwo": 0"#, r#""valueTwo": -1"#),
        ("{", "["),
    ] {
        assert!(parse(&PROFILE.replace(good, bad), &MACHINE).is_err(), "{bad}");
    }
}

#[test]
fn seccomp_profiles_with_unknown_keys_are_refused_by_name() {
    for (known, unknown) in [
        ("archMap", "arch_map"),
        ("subArchitectures", "subs"),
        ("comment", "onlyOnTuesdays"),
        ("valueTwo", "value2"),
        ("caps", "capabilities"),
    ] {
        let refused = parse(&PROFILE.replace(known, unknown), &MACHINE).unwrap_err();
        assert!(refused.contains(&format!("unknown key '{unknown}'")), "{refused}");
    }
}

/// A profile with one rule that has something more.
fn with(more: &str) -> Result<ContainerSeccompProfile, String> {
    let text = r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls":
        [{"names": ["mount"], "action": "SCMP_ACT_ERRNO", MORE}]}"#;
    parse(&text.replace("MORE", more), &MACHINE)
}

#[test]
fn seccomp_rules_depend_on_the_machine() {
    for (condition, holds) in [
        (r#""includes": {"arches": ["arm64", "amd64"]}"#, true),
        (r#""includes": {"arches": ["s390x"]}"#, false),
        (r#""excludes": {"arches": ["s390x"]}"#, true),
        (r#""excludes": {"arches": ["amd64"]}"#, false),
        (r#""includes": {"minKernel": "4.8"}"#, true),
        (r#""includes": {"minKernel": "4.19"}"#, true),
        (r#""includes": {"minKernel": "5.1"}"#, false),
        (r#""excludes": {"minKernel": "4.8"}"#, false),
        (r#""excludes": {"minKernel": "4.20"}"#, true),
        (r#""includes": {"arches": ["amd64"], "minKernel": "5.1"}"#, false),
        (r#""includes": {"arches": null, "minKernel": null, "caps": null}"#, true),
    ] {
        assert_eq!(with(condition).unwrap().syscalls.len(), usize::from(holds), "{condition}");
    }
    assert!(with(r#""includes": {"arches": ["x86_64"]}"#).is_err());
    assert!(with(r#""includes": {"minKernel": "new"}"#).is_err());
    assert!(Machine::this().unwrap().kernel > (2, 6));
}

#[test]
fn seccomp_numbers_of_answers_are_kept() {
    let rule = &with(r#""errnoRet": 38"#).unwrap().syscalls[0];
    assert_eq!(answer::of(rule), Some(38));
    assert_eq!(answer::of(&with(r#""errnoRet": null"#).unwrap().syscalls[0]), None);
    assert!(with(r#""errnoRet": 4096"#).is_err());
    assert!(with(r#""errnoRet": "ENOSYS""#).is_err());
    let default = r#"{"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 38}"#;
    assert_eq!(answer::of_default(&parse(default, &MACHINE).unwrap()), Some(38));
    assert!(parse(&default.replace("ERRNO\"", "ALLOW\""), &MACHINE).is_err());
}
