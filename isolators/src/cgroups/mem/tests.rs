use protos::resources::Resources;

use super::*;
use crate::cgroups::fake::Fake;
use crate::setup::Limits;

fn allocation(mem: f64, limit: Option<f64>) -> Allocation {
    let resources: Resources = format!("mem:{mem}").parse().unwrap();
    Allocation { resources, limits: Limits { cpus: None, mem: limit } }
}

fn v1() -> Fake {
    Fake::separate(&[
        (MEMORY, "memory.soft_limit_in_bytes", ""),
        (MEMORY, "memory.limit_in_bytes", "9223372036854771712"),
        (MEMORY, "memory.memsw.limit_in_bytes", ""),
        (MEMORY, "memory.max_usage_in_bytes", "67108864"),
        (MEMORY, "memory.usage_in_bytes", "5000"),
        (MEMORY, "memory.stat", "cache 1\nrss 2\ntotal_cache 30\ntotal_rss 40\ntotal_swap 5\n"),
    ])
}

fn prepared(fake: &Fake, limit_swap: bool) -> (Mem, ContainerId) {
    let id = ContainerId::new("c");
    let mut mem = Mem { limit_swap, ..Mem::default() };
    mem.prepare(&id, &fake.group, &ContainerSetup::default()).unwrap();
    (mem, id)
}

#[test]
fn mem_limits_have_a_minimum_and_may_be_infinite() {
    assert_eq!(limits(&allocation(1.0, None)), (MIN_MEMORY, Hard::Bytes(MIN_MEMORY)));
    assert_eq!(limits(&allocation(64.0, Some(128.0))), (64 << 20, Hard::Bytes(128 << 20)));
    assert_eq!(limits(&allocation(64.0, Some(f64::INFINITY))), (64 << 20, Hard::Infinite));
}

#[test]
fn mem_hard_limit_is_never_lowered() {
    assert!(is_written(true, Some(Hard::Bytes(9)), Hard::Bytes(1)));
    assert!(!is_written(false, Some(Hard::Bytes(9)), Hard::Bytes(9)));
    assert!(is_written(false, Some(Hard::Bytes(9)), Hard::Bytes(10)));
    assert!(is_written(false, Some(Hard::Bytes(9)), Hard::Infinite));
    assert!(!is_written(false, Some(Hard::Infinite), Hard::Bytes(9)));
}

#[test]
fn mem_score_falls_with_the_guarantee() {
    assert_eq!(oom_score(0, 1000), 1000);
    assert_eq!(oom_score(250, 1000), 750);
    assert_eq!(oom_score(2000, 1000), 0);
}

#[test]
fn mem_update_v1_raises_and_keeps_the_hard_limit() {
    let fake = v1();
    let (mut mem, id) = prepared(&fake, true);
    mem.update(&id, &fake.group, &allocation(64.0, None)).unwrap();
    assert_eq!(fake.text(MEMORY, "memory.soft_limit_in_bytes"), (64 << 20).to_string());
    assert_eq!(fake.text(MEMORY, "memory.limit_in_bytes"), (64 << 20).to_string());
    assert_eq!(fake.text(MEMORY, "memory.memsw.limit_in_bytes"), (64 << 20).to_string());
    mem.update(&id, &fake.group, &allocation(48.0, None)).unwrap();
    assert_eq!(fake.text(MEMORY, "memory.soft_limit_in_bytes"), (48 << 20).to_string());
    assert_eq!(fake.text(MEMORY, "memory.limit_in_bytes"), (64 << 20).to_string());
    mem.update(&id, &fake.group, &allocation(48.0, Some(f64::INFINITY))).unwrap();
    assert_eq!(fake.text(MEMORY, "memory.limit_in_bytes"), "-1");
}

#[test]
fn mem_update_after_recovery_does_not_lower_the_hard_limit() {
    let fake = v1();
    fake.group.write(MEMORY, "memory.limit_in_bytes", &(128 << 20).to_string()).unwrap();
    let (mut mem, id) = (Mem::default(), ContainerId::new("c"));
    mem.recover(&id, &fake.group, &ContainerSetup::default()).unwrap();
    mem.update(&id, &fake.group, &allocation(64.0, None)).unwrap();
    assert_eq!(fake.text(MEMORY, "memory.limit_in_bytes"), (128 << 20).to_string());
}

#[test]
fn mem_update_v2_writes_low_and_max() {
    let fake = Fake::unified(&[("memory.low", ""), ("memory.max", "max")]);
    let (mut mem, id) = prepared(&fake, false);
    mem.update(&id, &fake.group, &allocation(64.0, Some(96.0))).unwrap();
    assert_eq!(fake.text("", "memory.low"), (64 << 20).to_string());
    assert_eq!(fake.text("", "memory.max"), (96 << 20).to_string());
    mem.update(&id, &fake.group, &allocation(64.0, Some(f64::INFINITY))).unwrap();
    assert_eq!(fake.text("", "memory.max"), "max");
}

#[test]
fn mem_limitation_v1_tells_limit_usage_and_statistics() {
    let fake = v1();
    fake.group.write(MEMORY, "memory.limit_in_bytes", &(64 << 20).to_string()).unwrap();
    let limitation = Mem::default().limitation(&fake.group);
    let head = "Memory limit exceeded: Requested: 64MB Maximum Used: 64MB\ncache 1\n";
    assert!(limitation.message().starts_with(head), "{}", limitation.message());
    assert_eq!(limitation.reason(), Reason::ContainerLimitationMemory);
    assert_eq!(limitation.resources[0].scalar.unwrap().value, 64.0);
}

#[test]
fn mem_limitation_v2_tells_kinds_of_memory() {
    let fake = Fake::unified(&[
        ("memory.max", "67108864"),
        ("memory.peak", "67104768"),
        ("memory.stat", "anon 5\nfile 6\nkernel 7\nsock 8\n"),
    ]);
    let limitation = Mem::default().limitation(&fake.group);
    let text = "Memory limit exceeded: Requested: 64MB Maximum Used: 65532KB\n\
                anon 5\nfile 6\nkernel 7";
    assert_eq!(limitation.message(), text);
    assert_eq!(limitation.resources[0].scalar.unwrap().value, 64.0);
}

#[test]
fn mem_usage_is_read_from_totals() {
    let fake = v1();
    let (mut mem, id) = prepared(&fake, false);
    let mut used = ResourceStatistics::default();
    mem.usage(&id, &fake.group, &mut used).unwrap();
    assert_eq!((used.mem_total_bytes(), used.mem_rss_bytes()), (5000, 40));
    assert_eq!((used.mem_cache_bytes(), used.mem_file_bytes()), (30, 30));
    assert_eq!((used.mem_swap_bytes(), used.mem_mapped_file_bytes), (5, None));
}

#[test]
fn mem_usage_v2_has_no_swap() {
    let fake = Fake::unified(&[
        ("memory.current", "9000"),
        ("memory.stat", "anon 5\nfile 6\nkernel 7\nsock 8\nfile_mapped 9\nunevictable 1\n"),
    ]);
    let (mut mem, id) = prepared(&fake, true);
    let mut used = ResourceStatistics::default();
    mem.usage(&id, &fake.group, &mut used).unwrap();
    assert_eq!((used.mem_total_bytes(), used.mem_rss_bytes()), (9000, 5));
    assert_eq!((used.mem_kmem_usage_bytes(), used.mem_kmem_tcp_usage_bytes()), (7, 8));
    assert_eq!(used.mem_total_memsw_bytes, None);
}
