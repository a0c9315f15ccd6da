//! `/system/stats.json`: load, processors and memory of the host, which are metrics too.
//!
//! All of it is read from files under `/proc` by way of the node's disk, so that a simulated node
//! tells what its simulated files say.

use std::path::Path;

use bytes::Bytes;
use futures::future::join3;
use serde_json::{Number, Value};

use crate::http::{Answer, Request, Response};
use crate::{Ctx, Help, Process, Routes};

const STATS: Help = Help::new(
    "Load, processors and memory of this host",
    "A JSON object: `avg_load_1min`, `avg_load_5min`, `avg_load_15min`; `cpus_total`, the number of \
     processors; `mem_total_bytes` and `mem_free_bytes`. What cannot be found out is absent.\n\n\
     `jsonp=F` wraps the answer in a call of `F`.",
);

const LOAD: &str = "/proc/loadavg";
const STAT: &str = "/proc/stat";
const MEMORY: &str = "/proc/meminfo";

type Reader = fn(&str) -> Option<Number>;

/// Metric, JSON key, file and how its text is read; sorted by key.
const STATS_READ: [(&str, &str, &str, Reader); 6] = [
    ("system/load_15min", "avg_load_15min", LOAD, |text| load(text, 2)),
    ("system/load_1min", "avg_load_1min", LOAD, |text| load(text, 0)),
    ("system/load_5min", "avg_load_5min", LOAD, |text| load(text, 1)),
    ("system/cpus_total", "cpus_total", STAT, processors),
    ("system/mem_free_bytes", "mem_free_bytes", MEMORY, |text| memory(text, "MemFree:")),
    ("system/mem_total_bytes", "mem_total_bytes", MEMORY, |text| memory(text, "MemTotal:")),
];

/// Tells of the host that its node runs on.
pub(crate) struct SystemProcess;

impl Process for SystemProcess {
    fn routes(routes: &mut Routes<Self>) {
        routes.any("/stats.json", STATS, Self::stats);
    }

    fn initialize(&mut self, cx: &mut Ctx<Self>) {
        for (metric, _, file, read) in STATS_READ {
            let disk = cx.disk();
            cx.node().metrics().gauge_later(metric, move || {
                let bytes = disk.read(Path::new(file));
                async move { read(&text(&bytes.await.ok()?)).and_then(|number| number.as_f64()) }
            });
        }
    }
}

impl SystemProcess {
    fn stats(&mut self, request: Request, cx: &mut Ctx<Self>) -> Answer {
        let disk = cx.disk();
        let read = |file| disk.read(Path::new(file));
        let files = join3(read(LOAD), read(STAT), read(MEMORY));
        Answer::later(async move {
            let (load, stat, memory) = files.await;
            let contents = [(LOAD, load), (STAT, stat), (MEMORY, memory)]
                .map(|(file, bytes)| (file, bytes.ok().map(|bytes| text(&bytes))));
            let known = STATS_READ.iter().filter_map(|(_, key, file, read)| {
                let (_, text) = contents.iter().find(|(name, _)| name == file)?;
                Some(((*key).to_owned(), Value::Number(read(text.as_ref()?)?)))
            });
            Response::json(&Value::Object(known.collect()), request.param("jsonp"))
        })
    }
}

fn text(bytes: &Bytes) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The average that stands at `place` in `0.61 0.44 0.38 2/345 6789`.
fn load(text: &str, place: usize) -> Option<Number> {
    Number::from_f64(text.split_whitespace().nth(place)?.parse().ok()?)
}

/// Lines `cpu0`, `cpu1`, ...; the one that only says `cpu` is their sum.
fn processors(text: &str) -> Option<Number> {
    let is_processor = |line: &&str| {
        line.strip_prefix("cpu").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    };
    let count = text.lines().filter(is_processor).count();
    (count > 0).then(|| Number::from(count))
}

/// Bytes of a line such as `MemFree:  1234 kB`.
fn memory(text: &str, name: &str) -> Option<Number> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let kilobytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(Number::from(kilobytes.checked_mul(1024)?))
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddrV4};

    use super::*;
    use crate::NodeConfig;
    use crate::sim::World;

    fn ask(world: &mut World, files: &[(&str, &str)], target: &str) -> String {
        let address = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 5050);
        let node = world.node(address, NodeConfig::default());
        for (path, content) in files {
            assert!(world.put_file(&node, path, content.as_bytes()));
        }
        String::from_utf8(world.http(&node, "GET", target).bytes().to_vec()).unwrap()
    }

    const FILES: [(&str, &str); 3] = [
        (LOAD, "0.61 1.00 12.5 2/345 6789\n"),
        (STAT, "cpu  1 2 3\ncpu0 1 2 3\ncpu1 1 2 3\nintr 5\n"),
        (MEMORY, "MemTotal:   2048 kB\nMemFree:       1 kB\n"),
    ];

    #[test]
    fn stats_come_from_the_nodes_files() {
        let stats = ask(&mut World::new(1), &FILES, "/system/stats.json");
        let expected = concat!(
            r#"{"avg_load_15min":12.5,"avg_load_1min":0.61,"avg_load_5min":1.0,"#,
            r#""cpus_total":2,"mem_free_bytes":1024,"mem_total_bytes":2097152}"#,
        );
        assert_eq!(stats, expected);
        let metrics = ask(&mut World::new(1), &FILES, "/metrics/snapshot");
        assert!(metrics.contains(r#""system/cpus_total":2.0,"system/load_15min":12.5"#));
    }

    #[test]
    fn stats_that_cannot_be_read_are_absent() {
        let garbage = [(LOAD, "one two"), (MEMORY, "MemTotal: 99999999999999999999 kB\nMemFree:")];
        assert_eq!(ask(&mut World::new(1), &garbage, "/system/stats.json"), "{}");
        assert_eq!(ask(&mut World::new(1), &[], "/metrics/snapshot"), "{}");
    }
}
