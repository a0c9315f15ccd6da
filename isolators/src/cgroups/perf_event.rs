//! `cgroups/perf_event`: hardware and kernel events of a container, counted by the tool `perf` for
//! `perf_duration` in each `perf_interval`.

use std::collections::BTreeMap;
use std::time::Duration;

use libprocess::Ctx;
use libprocess::subprocess::{Command, Ended, Output};
use protos::ids::ContainerId;
use protos::mesos::{PerfStatistics, ResourceStatistics};

use super::{CgroupError, CgroupIsolator, Controller, Group, Version};
use crate::options::Options;

/// The controller.
#[derive(Debug)]
pub struct PerfEvent {
    events: Vec<String>,
    interval: Duration,
    duration: Duration,
    samples: BTreeMap<ContainerId, PerfStatistics>,
}

impl PerfEvent {
    /// As the flags say.
    ///
    /// # Errors
    /// When a count would take longer than the time to the next, or an event has no field in the
    /// statistics.
    pub fn new(options: &Options) -> Result<Self, CgroupError> {
        let other = |text: String| Err(CgroupError::Other(text));
        let (interval, duration) = (options.perf_interval, options.perf_duration);
        if duration > interval {
            return other("--perf_duration is longer than --perf_interval".to_owned());
        }
        let events = options.perf_events.as_deref().unwrap_or_default();
        let events: Vec<String> =
            events.split(',').filter(|event| !event.is_empty()).map(str::to_owned).collect();
        if let Some(event) =
            events.iter().find(|event| set(&mut Default::default(), event, 1).is_err())
        {
            return other(format!("--perf_events has '{event}', which is not known"));
        }
        Ok(Self { events, interval, duration, samples: BTreeMap::new() })
    }
}

/// Sets the field of an event: its name in lower case, with `_` for `-`.
fn set(into: &mut PerfStatistics, event: &str, value: u64) -> Result<(), String> {
    let field = event.trim_end_matches(":u").to_ascii_lowercase().replace('-', "_");
    if ["timestamp", "duration"].contains(&field.as_str()) {
        return Err(format!("{field} is no event"));
    }
    let mut document = protos::json::to_json(into);
    let Some(object) = document.as_object_mut() else { return Err("no object".to_owned()) };
    object.insert(field.clone(), value.into());
    let read: PerfStatistics =
        protos::json::from_json(&document).map_err(|error| error.to_string())?;
    // Fields that the message does not have are left out when reading.
    let is_known = protos::json::to_json(&read).get(&field).is_some();
    *into = read;
    if is_known { Ok(()) } else { Err(format!("there is no {field}")) }
}

/// The command that counts events of some cgroups for a while, on all CPUs.
fn command(events: &[String], groups: &[String], duration: Duration) -> Command {
    let mut argv: Vec<String> =
        ["perf", "stat", "--all-cpus", "--field-separator", ",", "--log-fd", "1"]
            .map(str::to_owned)
            .into();
    for group in groups {
        for event in events {
            argv.extend(["--event".into(), event.clone(), "--cgroup".into(), group.clone()]);
        }
    }
    argv.extend(["--".into(), "sleep".into(), duration.as_secs_f64().to_string()]);
    Command {
        program: "perf".to_owned(),
        argv,
        env: BTreeMap::from([
            (
                "PATH".to_owned(),
                "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".into(),
            ),
            ("LC_ALL".to_owned(), "C".to_owned()),
        ]),
        stdout: Output::Collect,
        stderr: Output::Null,
        die_with_parent: true,
        ..Command::default()
    }
}

/// Reads lines `value,unit,event,cgroup,…` (older tools: without unit). Events that the host cannot
/// count are 0; a line that is not understood is left out.
pub fn parse(text: &str, timestamp: f64, duration: f64) -> BTreeMap<String, PerfStatistics> {
    let mut found: BTreeMap<String, PerfStatistics> = BTreeMap::new();
    for line in text.lines() {
        let fields: Vec<&str> = line.split(',').collect();
        let (value, event, group) = match fields.as_slice() {
            [value, event, group] => (value, event, group),
            [value, _, event, group, ..] => (value, event, group),
            _ => continue,
        };
        let value = match *value {
            "<not supported>" | "<not counted>" => 0.0,
            number => match number.parse::<f64>() {
                Ok(number) => number,
                Err(_) => continue,
            },
        };
        let empty = || PerfStatistics { timestamp, duration, ..PerfStatistics::default() };
        let statistics = found.entry((*group).to_owned()).or_insert_with(empty);
        match *event {
            "cpu-clock" => statistics.cpu_clock = Some(value),
            "task-clock" => statistics.task_clock = Some(value),
            // An event that nobody asked for.
            event => drop(set(statistics, event, value as u64)),
        }
    }
    found
}

impl Controller for PerfEvent {
    const NAME: &'static str = "cgroups/perf_event";

    fn controllers(_: Version) -> Option<&'static [&'static str]> {
        Some(&["perf_event"])
    }

    fn started(host: &mut CgroupIsolator<Self>, cx: &mut Ctx<CgroupIsolator<Self>>) {
        if !host.controller.events.is_empty() {
            sample(host, cx);
        }
    }

    fn usage(
        &mut self,
        id: &ContainerId,
        _: &Group,
        into: &mut ResourceStatistics,
    ) -> Result<(), CgroupError> {
        into.perf = self.samples.get(id).copied();
        Ok(())
    }

    fn cleanup(&mut self, id: &ContainerId) {
        self.samples.remove(id);
    }
}

type Host = CgroupIsolator<PerfEvent>;

/// Counts once, and arms the next count.
fn sample(host: &mut Host, cx: &mut Ctx<Host>) {
    let perf = &host.controller;
    cx.after(perf.interval, sample);
    let groups: BTreeMap<String, ContainerId> =
        host.groups().map(|(id, group)| (group.path().to_owned(), id.clone())).collect();
    if groups.is_empty() {
        return;
    }
    let (began, duration) = (cx.now().as_secs_f64(), perf.duration.as_secs_f64());
    let names: Vec<String> = groups.keys().cloned().collect();
    let running = cx.subprocesses().spawn(command(&perf.events, &names, perf.duration));
    let counted = async move {
        let child = running.await.map_err(|error| error.to_string())?;
        let Ended { status, stdout, .. } = child.ended.await;
        match status {
            Some(status) if status.success() => Ok(String::from_utf8_lossy(&stdout).into_owned()),
            status => Err(format!("it ended with {status:?}")),
        }
    };
    cx.defer(counted, move |this, counted: Result<String, String>, cx| {
        let text = match counted {
            Ok(text) => text,
            Err(reason) => {
                slog::warn!(cx.log(), "perf cannot count"; "reason" => reason);
                return;
            }
        };
        for (group, statistics) in parse(&text, began, duration) {
            let id = groups.get(&group);
            if let Some(id) = id.filter(|id| this.groups().any(|(known, _)| known == *id)) {
                this.controller.samples.insert(id.clone(), statistics);
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn perf_lines_are_read_by_cgroup() {
        let text = "420.06,msec,cpu-clock,mesos/a,420062845,100.00,2.019,CPUs utilized\n\
                    <not supported>,,cycles,mesos/a,0,100.00,,\n\
                    12,,L1-dcache-loads,mesos/b,1,100.00,,\n\
                    7,context-switches,mesos/b\n\n# noise\n";
        let found = parse(text, 5.0, 1.0);
        let (a, b) = (&found["mesos/a"], &found["mesos/b"]);
        assert_eq!((a.timestamp, a.duration), (5.0, 1.0));
        assert_eq!((a.cpu_clock(), a.cycles), (420.06, Some(0)));
        assert_eq!((b.l1_dcache_loads(), b.context_switches()), (12, 7));
    }

    #[test]
    fn perf_flags_that_make_no_sense_are_refused() {
        let with = |events: &str, seconds| Options {
            perf_events: Some(events.to_owned()),
            perf_duration: Duration::from_secs(seconds),
            ..Options::default()
        };
        assert!(PerfEvent::new(&with("cycles,cpu-clock", 10)).is_ok());
        assert!(PerfEvent::new(&with("cycles,bicycles", 10)).is_err());
        assert!(PerfEvent::new(&with("cycles", 61)).is_err());
    }
}
