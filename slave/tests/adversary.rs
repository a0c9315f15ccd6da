//! Containers whose processes try to get out, as an unprivileged user and as root with nothing given:
//! to outlive their end, to see or touch others, to gain rights. Needs root and busybox-static.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

mod confined;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use confined::{Host, NOBODY};
use isolators::Options;
use libprocess::real::run;
use protos::mesos;

/// Processes that run with that word in their command line.
fn running(mark: &str) -> usize {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let lines = entries.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    lines.filter(|line| String::from_utf8_lossy(line).contains(mark)).count()
}

/// Four ways to hide: a double fork, a session of one's own, deafness to signals, and all at once,
/// again and again for a while.
const HIDE: &str = "(sleep MARK & ) ; setsid sleep MARK & \
    (trap '' TERM HUP INT; sleep MARK & wait) & \
    (setsid sh -c 'trap \"\" TERM HUP INT; (setsid sh -c \"trap \\\"\\\" TERM; sleep MARK & wait\" &) & wait' &) ; \
    trap '' TERM; echo hidden; while true; do sleep 0.2; done";

#[test]
fn container_that_hides_its_processes_in_every_way_ends_whole() {
    run(async {
        for (number, user) in [None, Some("nobody")].into_iter().enumerate() {
            let host = Host::start("posix/cpu", Options::default()).await;
            let id = host.id();
            // A time that nobody else sleeps.
            let mark = format!("98{}.{number}", std::process::id());
            let config = host.config(&id, &HIDE.replace("MARK", &mark), user);
            let said = config.directory.join("stdout");
            host.containerizer.launch(&id, config).await.unwrap();
            let all = || fs::read_to_string(&said).is_ok_and(|said| said.contains("hidden"));
            let sleeping = format!("sleep\0{mark}");
            host.until("it to hide", || all() && running(&sleeping) == 4).await;
            host.containerizer.destroy(&id).await.unwrap();
            assert_eq!(running(&mark), 0, "as {user:?}");
        }
    });
}

#[test]
fn user_without_rights_gains_none() {
    run(async {
        let none = mesos::CapabilityInfo::default();
        let isolating = Options {
            effective_capabilities: Some(none.clone()),
            bounding_capabilities: Some(none),
            ..Options::default()
        };
        let isolation = "linux/capabilities,linux/nnp";
        let host = Host::start(isolation, isolating).await;
        // A program that makes root of who runs it, and one with capabilities of its own.
        let tools = host.directory.join("tools");
        fs::create_dir(&tools).unwrap();
        fs::set_permissions(&tools, fs::Permissions::from_mode(0o755)).unwrap();
        for name in ["id", "chown", "setpriv"] {
            let source = Path::new("/usr/bin").join(name);
            fs::copy(source, tools.join(name)).unwrap();
            fs::set_permissions(tools.join(name), fs::Permissions::from_mode(0o4755)).unwrap();
        }
        let script = format!(
            "cd {tools}; ./id -u; ./chown nobody /etc/hosts 2>/dev/null && echo chowned; \
             ./setpriv --reuid=0 id -u 2>/dev/null; \
             chroot / true 2>/dev/null && echo changed root; \
             mount -t tmpfs none /mnt 2>/dev/null && echo mounted; \
             mknod /tmp/adversary-$$ c 1 1 2>/dev/null && echo made a device; \
             kill -0 1 2>/dev/null && echo signalled; \
             nice -n -5 true 2>&1 | grep -q . || echo hurried; \
             ls /root >/dev/null 2>&1 && echo read; \
             grep -E '^Cap(Eff|Prm|Bnd|Amb)' /proc/self/status | cut -f2 | sort -u; true",
            tools = tools.display()
        );
        let (_, said) = host.run(&script, Some("nobody"), |_| {}).await;
        assert_eq!(said, format!("{NOBODY}\n0000000000000000\n"));
        // Neither is root, without capabilities, the root that there is outside.
        let script = "mount -t tmpfs none /mnt 2>/dev/null && echo mounted; \
                      chroot / true 2>/dev/null && echo changed root; \
                      kill -0 1 2>/dev/null && echo signalled; \
                      chown nobody /etc/hosts 2>/dev/null && echo chowned; true";
        let (_, said) = host.run(script, None, |_| {}).await;
        // Its user is the owner of the host's first process: that alone may be signalled.
        assert!(["", "signalled\n"].contains(&said.as_str()), "{said}");
    });
}

#[test]
fn user_sees_and_touches_nobody_elses_container() {
    run(async {
        let isolation = "filesystem/linux,namespaces/pid,namespaces/ipc,linux/nnp";
        let host = Host::start(isolation, Options::default()).await;
        let other = host.id();
        let victim = host.config(&other, "echo secret > kept; exec sleep 1000", None);
        let sandbox = victim.directory.clone();
        // As slaves make them.
        fs::set_permissions(&sandbox, fs::Permissions::from_mode(0o750)).unwrap();
        host.containerizer.launch(&other, victim).await.unwrap();
        host.until("the victim to write", || sandbox.join("kept").exists()).await;
        let pid = host.containerizer.status(&other).await.unwrap().executor_pid.unwrap();
        let script = format!(
            "cat {sandbox}/kept 2>/dev/null; echo x > {sandbox}/added 2>/dev/null; \
             ls /proc/{pid}/root 2>/dev/null; kill -9 {pid} 2>/dev/null && echo killed; \
             nsenter -t {pid} -m true 2>/dev/null && echo entered; \
             cat /proc/1/environ 2>/dev/null | grep -c {sandbox}; \
             kill -9 -1; true",
            sandbox = sandbox.display()
        );
        let (_, said) = host.run(&script, Some("nobody"), |_| {}).await;
        let denied = ["Permission denied", "No such process", "Directory nonexistent"];
        let harmless = |line: &str| {
            line.is_empty() || line == "0" || denied.iter().any(|it| line.ends_with(it))
        };
        assert!(said.lines().all(harmless), "{said}");
        assert!(!sandbox.join("added").exists());
        assert!(Path::new(&format!("/proc/{pid}")).exists());
        host.containerizer.destroy(&other).await.unwrap();
    });
}
