//! Tasks of whole slaves that try to outlive their kill, or to write where they should not.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use cluster_tests::cluster::{Cluster, free_port, wait_for};
use cluster_tests::recorder::{Recorder, command};
use protos::mesos::TaskInfo;

use super::{find, run};

/// Processes that run with that word in their command line.
fn running(mark: &str) -> usize {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let lines = entries.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    lines.filter(|line| String::from_utf8_lossy(line).contains(mark)).count()
}

/// A daemon by a double fork, one with a session of its own, one that is deaf to signals, and one that
/// is all of that; the task itself is deaf.
const HIDE: &str = "(sleep MARK & ) ; setsid sleep MARK & \
    (trap '' TERM HUP INT; sleep MARK & wait) & \
    (setsid sh -c 'trap \"\" TERM HUP INT; (setsid sh -c \"trap \\\"\\\" TERM; sleep MARK & wait\" &) & wait' &) ; \
    trap '' TERM; echo hidden; while true; do sleep 0.2; done";

fn as_user(task: TaskInfo, user: &str) -> TaskInfo {
    let mut task = task;
    task.command.get_or_insert_default().user = Some(user.to_owned());
    task
}

/// A slave whose tasks may be other users', who reach their sandboxes.
fn with_users(flags: &[&str]) -> Cluster {
    let mut cluster = Cluster::start(&["--allocation_interval=50ms"], 0, &[]);
    fs::set_permissions(cluster.directory(), fs::Permissions::from_mode(0o755)).unwrap();
    let slave = cluster.slave(0, free_port(), flags);
    cluster.slaves.push(slave);
    cluster.wait_for_slaves(1);
    cluster
}

/// One that has forgotten where it came from besides, which only a cgroup or its executor knows.
const FORGET: &str = "(setsid env -i sleep MARK &) ; ";

fn goes_whole(launcher: &str) {
    let runtime = tempfile::tempdir().unwrap();
    let root = format!("--cgroups_root=hiding-{}", free_port());
    let runtime = format!("--runtime_dir={}", runtime.path().display());
    let flags = [launcher, &root, &runtime, "--isolation=posix/cpu"];
    let cluster = with_users(&flags);
    let recorder = Recorder::start(cluster.master.address);
    for (number, user) in ["root", "nobody"].into_iter().enumerate() {
        for killed in [true, false] {
            let task = format!("{user}-{killed}");
            // A time that nobody else sleeps.
            let mark = format!("97{}.{number}{}", std::process::id(), u8::from(killed));
            let forgets = killed || launcher.ends_with("linux");
            let line = format!("{}{HIDE}", if forgets { FORGET } else { "" });
            recorder.run(as_user(command(&task, &line.replace("MARK", &mark)), user));
            recorder.wait_for(&task, "TASK_RUNNING");
            let all = 4 + usize::from(forgets);
            wait_for("it to hide", || (running(&format!("sleep\0{mark}")) == all).then_some(()));
            let end = if killed {
                recorder.kill(&task, Duration::from_millis(500));
                ("TASK_KILLED", "-")
            } else {
                // Its executor goes first: the slave alone is left to find them.
                let meta = cluster.slave_dir(0).join("meta");
                let pid = find(&find(&meta, &format!("executors/{task}")).unwrap(), "forked.pid");
                run("kill", &["-KILL", &fs::read_to_string(pid.unwrap()).unwrap()]);
                ("TASK_FAILED", "REASON_EXECUTOR_TERMINATED")
            };
            assert_eq!(recorder.end(&task), end, "{task}");
            wait_for("all of it to be gone", || (running(&mark) == 0).then_some(()));
        }
    }
}

#[test]
fn task_that_hides_its_processes_goes_whole_under_the_linux_launcher() {
    goes_whole("--launcher=linux");
}

#[test]
fn task_that_hides_its_processes_goes_whole_under_the_posix_launcher() {
    goes_whole("--launcher=posix");
}

/// Tries to make, change and remove things at and below places, but for its own sandbox; says what it
/// could.
const WRITE: &str = "find PLACES 2>/dev/null | while read -r it; do \
    case $it in $PWD|$PWD/*) continue;; esac; test -h $it && continue; \
    if test -d $it; then (: > $it/added) 2>/dev/null && echo made $it/added; \
    elif test -f $it; then (: >> $it) 2>/dev/null && echo wrote $it; \
    rm -f $it 2>/dev/null; test -e $it || echo removed $it; fi; \
    chmod o+w $it 2>/dev/null && echo changed $it; \
    mv $it $it.moved 2>/dev/null && echo moved $it; \
    done; ls VICTIM/ 2>/dev/null; cat VICTIM/kept 2>/dev/null; true";

#[test]
fn user_writes_nowhere_but_in_its_sandbox_and_sees_no_others_under_filesystem_linux() {
    let runtime = tempfile::tempdir().unwrap();
    fs::set_permissions(runtime.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let root = format!("--cgroups_root=writing-{}", free_port());
    let runtime_dir = format!("--runtime_dir={}", runtime.path().display());
    let isolation = "--isolation=filesystem/linux,namespaces/pid,namespaces/ipc,linux/nnp";
    let cluster = with_users(&["--launcher=linux", &root, &runtime_dir, isolation]);
    let recorder = Recorder::start(cluster.master.address);
    let work_dir = cluster.slave_dir(0);
    // As a slave makes them.
    let volume = work_dir.join("volumes/roles/web/v");
    fs::create_dir_all(&volume).unwrap();
    fs::write(volume.join("data"), "precious").unwrap();
    // What others make with care for nothing.
    recorder.run(as_user(command("victim", "umask 000; echo kept > kept; sleep 1000"), "daemon"));
    recorder.wait_for("victim", "TASK_RUNNING");
    let sandbox = find(&work_dir.join("slaves"), "executors/victim").unwrap().join("runs/latest");
    wait_for("the victim to write", || sandbox.join("kept").exists().then_some(()));
    let script = WRITE.replace("VICTIM", &sandbox.display().to_string());
    let places =
        format!("{} {} /etc/hostname", cluster.directory().display(), runtime.path().display());
    recorder.run(as_user(command("attacker", &script.replace("PLACES", &places)), "nobody"));
    assert_eq!(recorder.end("attacker"), ("TASK_FINISHED", "-"));
    let own = find(&work_dir.join("slaves"), "executors/attacker").unwrap().join("runs/latest");
    assert_eq!(fs::read_to_string(own.join("stdout")).unwrap(), "");
}
