//! Checkpoints that are spoilt, each in every way: a strict slave refuses in one line that names the
//! file, another goes on without it. What a crash may leave, and what is no loss, is no reason to refuse.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use protos::mesos::internal::{CheckpointResourcesMessage, StatusUpdateRecord};
use protos::mesos::resource::{ReservationInfo, reservation_info};
use protos::mesos::{self, TaskState};

use super::recovery::{begin, come_back};
use super::stage::Stage;

const BOOT: &str = "b1a5e0f7-6f3f-4c5b-9d55-7f6f0f0a8b11\n";
const KERNEL: &str = "/proc/sys/kernel/random/boot_id";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Damage {
    Empty,
    /// The first half of it.
    Cut,
    Noise,
    Missing,
}

/// What becomes of the slave and of the task that it ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// Nothing is lost: the task goes on.
    Same,
    /// It does not know who it was: it is a new slave.
    Another,
    /// The slave is who it was, and does not know the task.
    Unknown,
    /// The task's process is not known: it has failed.
    Failed,
    /// The task's executor cannot be asked to come back: it is lost.
    Lost,
}

use Damage::{Cut, Empty, Missing, Noise};
use Outcome::{Another, Failed, Lost, Same, Unknown};

/// A file, what becomes of a slave that goes on without it, and by which damage a strict one is kept
/// from doing so.
struct Case {
    file: &'static str,
    without: Outcome,
    refused: &'static [Damage],
    /// Damages with an outcome of their own.
    but: &'static [(Damage, Outcome)],
}

const RECORD: &[Damage] = &[Empty, Cut, Noise];
const TEXT: &[Damage] = &[Cut, Noise];

/// Checkpoints below `/w/meta`, RUN being that of the executor's run.
const CASES: [Case; 11] = [
    Case { file: "slaves/S0/slave.info", without: Another, refused: RECORD, but: &[] },
    Case { file: "FRAMEWORK/framework.info", without: Unknown, refused: RECORD, but: &[] },
    Case { file: "FRAMEWORK/framework.pid", without: Same, refused: TEXT, but: &[] },
    Case {
        file: "FRAMEWORK/executors/e/executor.info",
        without: Unknown,
        refused: RECORD,
        but: &[],
    },
    // Half of a number is a number: launchers look whose process it is.
    Case { file: "RUN/pids/forked.pid", without: Failed, refused: &[Noise], but: &[(Cut, Same)] },
    Case { file: "RUN/pids/libprocess.pid", without: Lost, refused: TEXT, but: &[] },
    Case { file: "RUN/tasks/t/task.info", without: Unknown, refused: RECORD, but: &[] },
    // Its end may be torn by a crash.
    Case { file: "RUN/tasks/t/task.updates", without: Same, refused: &[Noise], but: &[] },
    // Nothing tells that this is another boot.
    Case { file: "boot_id", without: Same, refused: TEXT, but: &[] },
    // An empty list is one.
    Case { file: "resources/resources.info", without: Same, refused: TEXT, but: &[] },
    Case { file: "resources/resources.target", without: Same, refused: TEXT, but: &[] },
];

fn path(stage: &mut Stage, file: &str) -> String {
    let framework = "slaves/S0/frameworks/F";
    let state = stage.state();
    let container = state["frameworks"][0]["executors"][0]["container"].as_str().unwrap();
    let run = format!("{framework}/executors/e/runs/{container}");
    format!("/w/meta/{}", file.replace("RUN", &run).replace("FRAMEWORK", framework))
}

/// A slave with a task that runs, a boot and a reservation that it has written down.
fn running(strict: &Arc<AtomicBool>) -> Stage {
    let strict = strict.clone();
    let mut stage = Stage::with(false, move |config| slave::Config {
        strict: strict.load(Ordering::SeqCst),
        ..config
    });
    let slave = stage.slave.clone();
    stage.world.put_file(&slave, KERNEL, BOOT.as_bytes());
    stage.restart();
    stage.told("reregister S0 []");
    let reserved = mesos::Resource {
        name: "cpus".to_owned(),
        r#type: mesos::value::Type::Scalar as i32,
        scalar: Some(mesos::value::Scalar { value: 1.0 }),
        reservations: vec![ReservationInfo {
            role: Some("web".to_owned()),
            r#type: Some(reservation_info::Type::Dynamic as i32),
            ..ReservationInfo::default()
        }],
        ..mesos::Resource::default()
    };
    stage.order(CheckpointResourcesMessage { resources: vec![reserved] });
    begin(&mut stage);
    stage.world.settle();
    stage
}

/// Spoils a checkpoint of a slave that is then down.
fn spoil(stage: &mut Stage, file: &str, damage: Damage) {
    let path = path(stage, file);
    let slave = stage.slave.clone();
    let like = path.replace("resources.target", "resources.info");
    let whole = stage.world.file(&slave, &like).unwrap_or_else(|| panic!("no {like}"));
    let content = match damage {
        Empty => &b""[..],
        Cut => &whole[..whole.len() / 2],
        Noise => &b"\xff\xff\xff\x7fno\nsense"[..],
        Missing => return stage.remove(&path),
    };
    assert!(stage.world.put_file(&slave, &path, content));
}

fn restart(stage: &mut Stage) {
    stage.told.lock().unwrap().clear();
    stage.heard.lock().unwrap().clear();
    stage.restart();
}

/// The slave has ended, and has said why in one line that names the file.
fn assert_refuses(stage: &mut Stage, file: &str, what: &str) {
    stage.world.run_for(Duration::from_secs(3));
    let exits = stage.exits.lock().unwrap().clone();
    let [reason] = &exits[..] else { panic!("{what}: {exits:?}") };
    let name = file.rsplit('/').next().unwrap();
    assert!(reason.starts_with("recovery failed: ") && reason.contains(name), "{what}: {reason}");
    assert_eq!(reason.lines().count(), 1, "{what}: {reason}");
    assert_eq!(*stage.told.lock().unwrap(), Vec::<String>::new(), "{what}");
}

fn assert_goes_on(stage: &mut Stage, outcome: Outcome, errors: usize, what: &str) {
    let told = match outcome {
        Another => "register",
        Unknown => "reregister S0 []",
        Same | Failed | Lost => "reregister S0 [\"t\"]",
    };
    if outcome == Same {
        come_back(stage, Some(TaskState::TaskFinished));
    }
    stage.told(told);
    stage.acknowledge("t", 1);
    match outcome {
        Same => stage.told("t TASK_FINISHED TaskFinished -"),
        Failed => stage.told("t TASK_FAILED TaskFailed REASON_EXECUTOR_TERMINATED"),
        Lost => stage.told("t TASK_LOST TaskLost REASON_EXECUTOR_REREGISTRATION_TIMEOUT"),
        Another | Unknown => {}
    }
    let response = stage.world.http(&stage.slave, "GET", "/metrics/snapshot");
    let snapshot: serde_json::Value = serde_json::from_slice(&response.bytes()).unwrap();
    assert_eq!(snapshot["slave/recovery_errors"], errors as f64, "{what}");
    assert_eq!(*stage.exits.lock().unwrap(), Vec::<String>::new(), "{what}");
}

#[test]
fn checkpoint_that_is_spoilt_is_refused_by_a_strict_slave_and_left_out_by_another() {
    for case in &CASES {
        for damage in [Empty, Cut, Noise, Missing] {
            for is_strict in [true, false] {
                let what = format!("{} {damage:?}, strict: {is_strict}", case.file);
                let strict = Arc::new(AtomicBool::new(is_strict));
                let mut stage = running(&strict);
                spoil(&mut stage, case.file, damage);
                restart(&mut stage);
                let is_bad = case.refused.contains(&damage);
                if is_bad && is_strict {
                    assert_refuses(&mut stage, case.file, &what);
                    continue;
                }
                let own = case.but.iter().find(|(it, _)| *it == damage);
                let outcome = own.map_or(case.without, |(_, outcome)| *outcome);
                eprintln!("{what}: {outcome:?}");
                assert_goes_on(&mut stage, outcome, usize::from(is_bad), &what);
            }
        }
    }
}

#[test]
fn link_to_what_is_newest_that_leads_nowhere_is_as_none() {
    // Its target is gone, it is gone, and it is none.
    for (link, target, outcome) in [
        ("slaves/latest", "slaves/S0", Another),
        ("FRAMEWORK/executors/e/runs/latest", "RUN", Unknown),
    ] {
        for (removed, replaced) in [(target, false), (link, false), (link, true)] {
            for is_strict in [true, false] {
                let what = format!("{removed} is gone, replaced: {replaced}, strict: {is_strict}");
                let strict = Arc::new(AtomicBool::new(is_strict));
                let mut stage = running(&strict);
                let (removed, link) = (path(&mut stage, removed), path(&mut stage, link));
                stage.remove(&removed);
                if replaced {
                    let slave = stage.slave.clone();
                    assert!(stage.world.put_file(&slave, &link, b"no link"));
                }
                restart(&mut stage);
                if replaced && is_strict {
                    assert_refuses(&mut stage, "latest", &what);
                } else {
                    assert_goes_on(&mut stage, outcome, usize::from(replaced), &what);
                }
            }
        }
    }
}

#[test]
fn update_log_that_is_spoilt_in_its_middle_keeps_what_is_before_and_takes_more() {
    let strict = Arc::new(AtomicBool::new(false));
    let mut stage = running(&strict);
    let log = path(&mut stage, "RUN/tasks/t/task.updates");
    let slave = stage.slave.clone();
    let whole = stage.world.file(&slave, &log).unwrap();
    let spoilt = [&whole[..], b"\x02\x00\x00\x00\xff\xff", &whole[..]].concat();
    assert!(stage.world.put_file(&slave, &log, &spoilt));
    restart(&mut stage);
    assert_goes_on(&mut stage, Same, 1, "spoilt in the middle");
    let sound = stage.world.file(&slave, &log).unwrap();
    let (records, used) = slave::checkpoint::decode_all::<StatusUpdateRecord>(&sound).unwrap();
    // An update, its acknowledgement, and the last update.
    assert_eq!((records.len(), used), (3, sound.len()));
    strict.store(true, Ordering::SeqCst);
    restart(&mut stage);
    stage.told("t TASK_FINISHED TaskFinished -");
}
