//! `cgroups/blkio`: how much a container reads from and writes to block devices. Version 2 has the
//! controller `io` instead, without statistics here.

use std::collections::BTreeMap;

use protos::ids::ContainerId;
use protos::mesos::ResourceStatistics;
use protos::mesos::cgroup_info::blkio::{Operation, Statistics, Value, cfq, throttling};
use protos::mesos::device::Number;

use super::{CgroupError, Controller, Group, Version};

const BLKIO: &str = "blkio";

/// The controller.
#[derive(Debug, Default)]
pub struct Blkio;

/// Lines of a control file by device; None are totals of all devices.
type ByDevice = BTreeMap<Option<(u64, u64)>, Vec<Value>>;

/// Reads lines `major:minor Operation count`, `major:minor count` and `Total count`; others are left
/// out.
pub fn parse(text: &str) -> ByDevice {
    let mut found = ByDevice::new();
    for line in text.lines() {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let parsed = match fields.as_slice() {
            [device, operation, value] => Some((Some(*device), Some(*operation), *value)),
            ["Total", value] => Some((None, Some("Total"), *value)),
            [device, value] => Some((Some(*device), None, *value)),
            _ => None,
        };
        let Some((device, operation, value)) = parsed else { continue };
        let number = |text: &str| {
            let (major, minor) = text.split_once(':')?;
            Some((major.parse::<u64>().ok()?, minor.parse::<u64>().ok()?))
        };
        let Ok(value) = value.parse() else { continue };
        let device = match device.map(number) {
            None => None,
            Some(Some(device)) => Some(device),
            Some(None) => continue,
        };
        let op = operation.map(|name| kind(name) as i32);
        found.entry(device).or_default().push(Value { op, value: Some(value) });
    }
    found
}

fn kind(name: &str) -> Operation {
    match name {
        "Total" => Operation::Total,
        "Read" => Operation::Read,
        "Write" => Operation::Write,
        "Sync" => Operation::Sync,
        "Async" => Operation::Async,
        "Discard" => Operation::Discard,
        _ => Operation::Unknown,
    }
}

fn number(device: Option<(u64, u64)>) -> Option<Number> {
    device.map(|(major_number, minor_number)| Number { major_number, minor_number })
}

/// Throttling statistics of all devices.
fn throttling(serviced: &ByDevice, bytes: &ByDevice) -> Vec<throttling::Statistics> {
    let mut devices: Vec<_> = serviced.keys().chain(bytes.keys()).copied().collect();
    devices.sort_unstable();
    devices.dedup();
    let of = |table: &ByDevice, device| table.get(&device).cloned().unwrap_or_default();
    let statistics = devices.into_iter().map(|device| throttling::Statistics {
        device: number(device),
        io_serviced: of(serviced, device),
        io_service_bytes: of(bytes, device),
    });
    statistics.collect()
}

/// Puts the values of one file into the statistics of a device.
type Fill = fn(&mut cfq::Statistics, Vec<Value>);

/// Statistics of the CFQ scheduler, which kernels before 5.0 have.
fn cfq(group: &Group, suffix: &str) -> Vec<cfq::Statistics> {
    let table = |name: &str| {
        let file = format!("blkio.{name}{suffix}");
        group.read(BLKIO, &file).map(|text| parse(&text)).unwrap_or_default()
    };
    let mut devices: BTreeMap<Option<(u64, u64)>, cfq::Statistics> = BTreeMap::new();
    let fields: [(&str, Fill); 8] = [
        ("sectors", |it, values| it.sectors = values.first().and_then(|value| value.value)),
        ("time", |it, values| it.time = values.first().and_then(|value| value.value)),
        ("io_serviced", |it, values| it.io_serviced = values),
        ("io_service_bytes", |it, values| it.io_service_bytes = values),
        ("io_service_time", |it, values| it.io_service_time = values),
        ("io_wait_time", |it, values| it.io_wait_time = values),
        ("io_merged", |it, values| it.io_merged = values),
        ("io_queued", |it, values| it.io_queued = values),
    ];
    for (name, fill) in fields {
        for (device, values) in table(name) {
            let statistics = devices.entry(device).or_default();
            statistics.device = number(device);
            fill(statistics, values);
        }
    }
    devices.into_values().collect()
}

impl Controller for Blkio {
    const NAME: &'static str = "cgroups/blkio";

    fn controllers(version: Version) -> Option<&'static [&'static str]> {
        match version {
            Version::V1 => Some(&[BLKIO]),
            Version::V2 => Some(&["io"]),
        }
    }

    fn usage(
        &mut self,
        _: &ContainerId,
        group: &Group,
        into: &mut ResourceStatistics,
    ) -> Result<(), CgroupError> {
        if group.version() == Version::V2 {
            return Ok(());
        }
        let table = |file| group.read(BLKIO, file).map(|text| parse(&text));
        let serviced = table("blkio.throttle.io_serviced")?;
        let bytes = table("blkio.throttle.io_service_bytes")?;
        into.blkio_statistics = Some(Statistics {
            cfq: cfq(group, ""),
            cfq_recursive: cfq(group, "_recursive"),
            throttling: throttling(&serviced, &bytes),
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cgroups::fake::Fake;

    #[test]
    fn blkio_usage_is_told_by_device_and_operation() {
        let fake = Fake::separate(&[
            (BLKIO, "blkio.throttle.io_serviced", "8:0 Read 2\n8:0 Total 3\nTotal 3\n"),
            (BLKIO, "blkio.throttle.io_service_bytes", "8:0 Read 4096\nnonsense\nTotal 4096\n"),
        ]);
        let mut used = ResourceStatistics::default();
        Blkio.usage(&ContainerId::new("c"), &fake.group, &mut used).unwrap();
        let statistics = used.blkio_statistics.unwrap();
        assert!(statistics.cfq.is_empty());
        let [total, disk] = statistics.throttling.as_slice() else { panic!("two entries") };
        assert_eq!(total.device, None);
        assert_eq!(total.io_serviced[0].op(), Operation::Total);
        assert_eq!(disk.device, Some(Number { major_number: 8, minor_number: 0 }));
        assert_eq!(disk.io_serviced.len(), 2);
        assert_eq!(disk.io_service_bytes[0].value(), 4096);
    }

    #[test]
    fn blkio_cfq_is_told_where_the_kernel_has_it() {
        let fake = Fake::separate(&[
            (BLKIO, "blkio.time", "8:16 77\n"),
            (BLKIO, "blkio.io_merged", "8:16 Read 1\n8:16 Sync 2\n"),
        ]);
        let statistics = cfq(&fake.group, "");
        assert_eq!(statistics.len(), 1);
        assert_eq!(statistics[0].time, Some(77));
        assert_eq!(statistics[0].io_merged.len(), 2);
    }
}
