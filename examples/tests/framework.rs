//! The example framework on a real cluster: master and slave here, executors in processes.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail their test")]

use std::net::Ipv4Addr;
use std::sync::Arc;

use coordination::{Leader, StandaloneDetector};
use libprocess::real;
use slave::containerizer::ContainerizerOptions;

async fn run_framework(work_dir: &std::path::Path) -> std::process::Output {
    let config = |node| real::Config { ip: Ipv4Addr::LOCALHOST, node, ..real::Config::default() };
    let log = slog::Logger::root(slog::Discard, slog::o!());
    let at_master = real::start(config(master::node_config(log.clone()))).await.unwrap();
    let master = master::start(&at_master, master::Config::default()).unwrap();
    let at_slave = real::start(config(slave::node_config(log))).await.unwrap();
    let settings = slave::Config {
        work_dir: work_dir.to_owned(),
        resources: "cpus:2;mem:512".parse().unwrap(),
        switch_user: false,
        ..slave::Config::default()
    };
    let options = ContainerizerOptions {
        isolation: "posix/cpu,posix/mem".to_owned(),
        fetcher: settings.helpers.fetcher.clone(),
        frameworks_home: None,
        ..ContainerizerOptions::default()
    };
    let detector = Arc::new(StandaloneDetector::new(Some(Leader::of(master.pid().clone()))));
    slave::start_with(&at_slave, settings, options, detector).unwrap();
    let program = env!("CARGO_BIN_EXE_test-framework");
    let executor = env!("CARGO_BIN_EXE_test-executor");
    let address = at_master.address().to_string();
    let mut framework = tokio::process::Command::new(program);
    framework.args([&address, executor, "4"]).env("LIBPROCESS_IP", "127.0.0.1");
    framework.output().await.unwrap()
}

#[test]
fn test_framework_runs_its_tasks_in_its_own_executor() {
    let work_dir = std::env::temp_dir().join(format!("framework-{}", libprocess::Uuid::new_v4()));
    let ended = real::run(run_framework(&work_dir));
    let stdout = String::from_utf8_lossy(&ended.stdout);
    let stderr = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{stdout}{stderr}");
    for task in 0..4 {
        assert!(stdout.contains(&format!("Task {task} is TASK_FINISHED")), "{stdout}");
        assert!(stdout.contains(&format!("default says: working on {task}")), "{stdout}");
    }
    std::fs::remove_dir_all(work_dir).unwrap();
}
