//! Slaves and frameworks of ours that prove who they are to a master that asks for it.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

use cluster_tests::cluster::{Cluster, free_port, text, wait_for};

/// Files of credentials: the master's, a slave's, and a false one.
struct Files(tempfile::TempDir);

impl Files {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            std::fs::write(directory.path().join(name), text).unwrap();
        };
        write("all", "host burrow\nops carrot\n");
        write("slave", r#"{"principal": "host", "secret": "burrow"}"#);
        write("false", "host carrot");
        Self(directory)
    }

    fn flag(&self, flag: &str, name: &str) -> String {
        format!("--{flag}={}", self.0.path().join(name).display())
    }
}

#[test]
fn slave_with_a_credential_is_let_in_and_stays_through_a_new_master() {
    let files = Files::new();
    let credentials = files.flag("credentials", "all");
    let flags = ["--authenticate_agents=true", &credentials, "--allocation_interval=100ms"];
    let credential = files.flag("credential", "slave");
    let mut cluster = Cluster::start(&flags, 1, &[&credential, "--resources=cpus:2;mem:256"]);
    let log = cluster.slaves[0].log() + &cluster.master.log();
    assert!(log.contains("authenticated") && !log.contains("burrow"), "{log}");
    cluster.restart_master();
    cluster.wait_for_slaves(1);
    // One that says nothing of itself is not heard; one that lies ends.
    let silent = cluster.slave(1, free_port(), &["--resources=cpus:2;mem:256"]);
    wait_for("the silent one to be refused", || {
        cluster.master.log().contains("it is not authenticated").then_some(())
    });
    let lie = files.flag("credential", "false");
    let mut liar = cluster.slave(2, free_port(), &[&lie, "--resources=cpus:2;mem:256"]);
    assert_eq!(liar.ended(), Some(1));
    assert!(liar.log().contains("the master refused the credential"), "{}", liar.log());
    cluster.wait_for_slaves(1);
    drop(silent);
}

#[test]
fn framework_with_a_secret_runs_its_task_and_one_with_a_false_one_is_told() {
    let files = Files::new();
    let credentials = files.flag("credentials", "all");
    let flags = ["--authenticate_frameworks=true", &credentials, "--allocation_interval=100ms"];
    let cluster = Cluster::start(&flags, 1, &["--resources=cpus:2;mem:256"]);
    let run = |name: &str, more: &[&str]| {
        let name = format!("--name={name}");
        cluster.execute(&[&[&name, "--command=echo hi"], more].concat())
    };
    let done = run("good", &["--principal=ops", "--secret=carrot"]);
    assert!(done.status.success(), "{:?}", text(&done));
    let refused = run("bad", &["--principal=ops", "--secret=burrow"]);
    let (_, said) = text(&refused);
    assert!(!refused.status.success() && said.contains("refused the credential"), "{said}");
    let unknown = run("none", &["--principal=ops"]);
    assert!(!unknown.status.success(), "{:?}", text(&unknown));
    let state = cluster.master.json("/state");
    assert_eq!(state["completed_frameworks"][0]["principal"], "ops");
}
