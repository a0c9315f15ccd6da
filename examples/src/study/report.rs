//! What came of a study, as CSV and in words.

use std::collections::BTreeSet;
use std::time::Duration;

use super::replay::{JobOutcome, Outcome, Sample};

/// Jain's index of the weighted shares of those who run or wait for something: 1 when all are equal,
/// 1/n when one of n has everything. 1 when there is nothing to share.
pub fn jain(sample: &Sample) -> f64 {
    let busy = sample.shares.iter().filter(|share| share.running + share.waiting > 0);
    let shares: Vec<f64> = busy.map(|share| share.weighted).collect();
    let squares: f64 = shares.iter().map(|share| share * share).sum();
    let sum: f64 = shares.iter().sum();
    if squares == 0.0 { 1.0 } else { sum * sum / (shares.len() as f64 * squares) }
}

/// `time,framework,role,dominant_share,weighted_share,running,waiting`: a line for each framework and
/// sample.
pub fn shares(outcome: &Outcome) -> String {
    let mut csv = "time,framework,role,dominant_share,weighted_share,running,waiting\n".to_owned();
    for sample in &outcome.samples {
        for of in &sample.shares {
            csv.push_str(&format!(
                "{},{},{},{:.6},{:.6},{},{}\n",
                sample.at.as_secs_f64(),
                of.framework,
                of.role,
                of.share,
                of.weighted,
                of.running,
                of.waiting
            ));
        }
    }
    csv
}

/// `time,jain,running,waiting`, then a column for each resource with the part of it that is used: a
/// line for each sample.
pub fn cluster(outcome: &Outcome) -> String {
    let samples = outcome.samples.iter();
    let names: BTreeSet<&String> = samples.flat_map(|sample| sample.used.keys()).collect();
    let mut csv = "time,jain,running,waiting".to_owned();
    names.iter().for_each(|name| csv.push_str(&format!(",{name}")));
    csv.push('\n');
    for sample in &outcome.samples {
        let running: u32 = sample.shares.iter().map(|share| share.running).sum();
        let waiting: u32 = sample.shares.iter().map(|share| share.waiting).sum();
        let (at, jain) = (sample.at.as_secs_f64(), jain(sample));
        csv.push_str(&format!("{at},{jain:.6},{running},{waiting}"));
        for name in &names {
            csv.push_str(&format!(",{:.6}", sample.used.get(*name).copied().unwrap_or(0.0)));
        }
        csv.push('\n');
    }
    csv
}

/// `job,framework,tasks,submitted,first_start,last_start,finished`: a line for each job; empty where
/// it did not come to that.
pub fn jobs(outcome: &Outcome) -> String {
    let mut csv = "job,framework,tasks,submitted,first_start,last_start,finished\n".to_owned();
    let time =
        |time: Option<Duration>| time.map(|t| t.as_secs_f64().to_string()).unwrap_or_default();
    for job in &outcome.jobs {
        let JobOutcome { name, framework, tasks, .. } = job;
        let times = [Some(job.submitted), job.first_start, job.last_start, job.finished].map(time);
        csv.push_str(&format!("{name},{framework},{tasks},{}\n", times.join(",")));
    }
    csv
}

/// The last of `sorted` that is not above the given part of them.
fn quantile(sorted: &[Duration], part: f64) -> Duration {
    let place = (part * sorted.len().saturating_sub(1) as f64).round() as usize;
    sorted.get(place).copied().unwrap_or_default()
}

/// A few lines: fairness, use, and how long jobs waited for their last task to start.
pub fn summary(outcome: &Outcome) -> String {
    let busy = |sample: &&Sample| sample.shares.iter().any(|share| share.waiting > 0);
    let contended: Vec<&Sample> = outcome.samples.iter().filter(busy).collect();
    let mean = |of: &dyn Fn(&Sample) -> f64| {
        contended.iter().map(|sample| of(sample)).sum::<f64>() / contended.len().max(1) as f64
    };
    let mut text = format!(
        "offers: {}, of which nothing was used: {}\njain, mean while somebody waits: {:.4}\n",
        outcome.offers,
        outcome.declined,
        mean(&jain)
    );
    let names: BTreeSet<&String> = outcome.samples.iter().flat_map(|s| s.used.keys()).collect();
    for name in names {
        let used = mean(&|sample| sample.used.get(name).copied().unwrap_or(0.0));
        text.push_str(&format!("{name} used, mean while somebody waits: {used:.4}\n"));
    }
    let frameworks: BTreeSet<&String> = outcome.jobs.iter().map(|job| &job.framework).collect();
    for framework in frameworks {
        let of: Vec<&JobOutcome> =
            outcome.jobs.iter().filter(|j| j.framework == *framework).collect();
        let started = |job: &&JobOutcome| Some(job.last_start?.saturating_sub(job.submitted));
        let mut waits: Vec<Duration> = of.iter().filter_map(started).collect();
        waits.sort_unstable();
        let finished = of.iter().filter(|job| job.finished.is_some()).count();
        text.push_str(&format!(
            "{framework}: {finished} of {} jobs done; wait until all tasks ran: p50 {:.1} s, p95 {:.1} s\n",
            of.len(),
            quantile(&waits, 0.5).as_secs_f64(),
            quantile(&waits, 0.95).as_secs_f64()
        ));
    }
    text
}
