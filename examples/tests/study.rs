//! Traces through both allocators.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

use std::time::Duration;

use allocator::{Catalogue, Config};
use examples::study::{Outcome, Study, plot, replay, report};

const SECOND: Duration = Duration::from_secs(1);

fn run(trace: &str, name: &str) -> Outcome {
    let catalogue = Catalogue::default().with("priority", examples::priority::factory());
    replay(Study {
        trace: trace.parse().unwrap(),
        factory: catalogue.get(name).unwrap(),
        config: Config::default(),
        refuse_for: Duration::ZERO,
        sample_every: SECOND,
        limit: 1000 * SECOND,
        seed: 3,
    })
    .unwrap()
}

fn running(outcome: &Outcome, second: u32) -> Vec<u32> {
    let sample = outcome.samples.iter().find(|sample| sample.at >= second * SECOND).unwrap();
    sample.shares.iter().map(|share| share.running).collect()
}

const TWO: &str = "\
    0,slave,s,,20,cpus:1;mem:1000,
    0,framework,low,low,1,,
    0,framework,high,high,3,,
    1,job,j,low,40,cpus:1;mem:100,30
    1,job,k,high,40,cpus:1;mem:100,30
";

#[test]
fn hierarchical_allocator_shares_by_weight() {
    let outcome = run(TWO, "hierarchical");
    assert_eq!(running(&outcome, 5), [15, 5], "high before low");
    assert!(outcome.jobs.iter().all(|job| job.finished.is_some()));
    let contended = outcome.samples.iter().find(|sample| sample.at >= 5 * SECOND).unwrap();
    assert!(report::jain(contended) > 0.99);
}

#[test]
fn priority_allocator_gives_the_heaviest_role_all_it_can_use() {
    let outcome = run(TWO, "priority");
    assert_eq!(running(&outcome, 5), [20, 0], "high before low");
    let end = |name: &str| {
        outcome.jobs.iter().find(|job| job.framework == name).and_then(|job| job.finished).unwrap()
    };
    assert!(end("high") < end("low"));
    let contended = outcome.samples.iter().find(|sample| sample.at >= 5 * SECOND).unwrap();
    assert_eq!(report::jain(contended), 0.5);
}

#[test]
fn priority_allocator_keeps_a_slave_for_a_large_task_and_fills_the_others() {
    let trace = "\
        0,slave,s,,2,cpus:4;mem:2000,
        0,framework,small,low,1,,
        0,framework,big,high,2,,
        1,job,fill,small,1000,cpus:1;mem:100,10
        4,job,wide,big,1,cpus:4;mem:100,10
    ";
    let wait = |name: &str| {
        let outcome = run(trace, name);
        let wide = outcome.jobs.iter().find(|job| job.name == "wide").unwrap().clone();
        let used: f64 = outcome.samples.iter().take(30).map(|sample| sample.used["cpus"]).sum();
        (wide.first_start.unwrap() - wide.submitted, used / 30.0)
    };
    let (kept, used) = wait("priority");
    assert!(kept <= 10 * SECOND, "{kept:?}");
    assert!(used > 0.75, "{used}");
}

#[test]
fn study_is_the_same_twice_and_tells_everything() {
    let outcome = run(TWO, "hierarchical");
    assert_eq!(outcome, run(TWO, "hierarchical"));
    let lines = |csv: String| csv.lines().count();
    assert_eq!(lines(report::shares(&outcome)), 1 + 2 * outcome.samples.len());
    assert_eq!(lines(report::cluster(&outcome)), 1 + outcome.samples.len());
    assert_eq!(lines(report::jobs(&outcome)), 3);
    assert!(report::cluster(&outcome).starts_with("time,jain,running,waiting,cpus,mem\n"));
    assert!(report::summary(&outcome).contains("high: 1 of 1 jobs done"));
    let chart = plot::svg("two", &plot::series(&outcome));
    assert_eq!(chart.matches("<polyline").count(), 5);
}
