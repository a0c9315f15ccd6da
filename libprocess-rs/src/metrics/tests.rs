use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use super::*;
use crate::http::{Request, Response};
use crate::sim::World;
use crate::toolbox::{await_all, background};
use crate::{Node, NodeConfig, Process, Routes};

const SECOND: Duration = Duration::from_secs(1);

#[derive(Default)]
struct Probe {
    value: f64,
}

impl Process for Probe {
    fn routes(_: &mut Routes<Self>) {}
}

fn stage() -> (World, Node) {
    let mut world = World::new(3);
    let address = SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 1), 5050);
    let node = world.node(address, NodeConfig::default());
    (world, node)
}

fn get(world: &mut World, node: &Node, target: &str) -> String {
    let response = world.http(node, "GET", target);
    assert_eq!(response.status, 200, "{target}");
    text(&response)
}

fn text(response: &Response) -> String {
    String::from_utf8(response.bytes().to_vec()).unwrap()
}

#[test]
fn snapshot_is_sorted_with_statistics_in_their_place() {
    let (mut world, node) = stage();
    let probe = node.spawn("probe", Probe { value: 2.5 }).unwrap();
    let metrics = node.metrics();
    metrics.counter("b").add(7);
    metrics.counter("b-side").increment();
    metrics.gauge("b/gauge", &probe, |probe| probe.value);
    metrics.gauge_at("a/uptime", &probe, |_, _| 1.0);
    metrics.gauge_later("c/none", || std::future::ready(None));
    metrics.gauge_fn("c/nan", || f64::NAN);
    metrics.push_gauge("quote\"d\n").set(-0.5);
    metrics.push_gauge("minus").set(-120.0);
    metrics.push_gauge_over("b", SECOND).set(1e300);
    let expected = concat!(
        r#"{"a/uptime":1.0,"b":1e300,"b-side":1.0,"b/count":1.0,"b/gauge":2.5,"b/max":1e300,"#,
        r#""b/min":1e300,"b/p50":1e300,"b/p90":1e300,"b/p95":1e300,"b/p99":1e300,"#,
        r#""b/p999":1e300,"b/p9999":1e300,"minus":-120.0,"quote\"d\n":-0.5}"#,
    );
    assert_eq!(get(&mut world, &node, "/metrics/snapshot").replace("1e+300", "1e300"), expected);
    node.terminate(probe.pid(), true);
    let jsonp = get(&mut world, &node, "/metrics/snapshot?jsonp=f");
    assert!(jsonp.starts_with(r#"f({"b":"#) && jsonp.ends_with("})"), "{jsonp}");
    assert!(!jsonp.contains("gauge"));
    let parsed: serde_json::Value = serde_json::from_str(&jsonp[2..jsonp.len() - 1]).unwrap();
    assert_eq!(parsed["quote\"d\n"], -0.5);
}

#[test]
fn snapshot_of_nothing_is_an_empty_object() {
    let (mut world, node) = stage();
    assert_eq!(get(&mut world, &node, "/metrics/snapshot"), "{}");
    assert_eq!(get(&mut world, &node, "/metrics/prometheus"), "");
}

#[test]
fn snapshot_with_a_timeout_leaves_out_only_what_is_late() {
    let (mut world, node) = stage();
    let slow = node.clone();
    node.metrics().gauge_later("slow", move || {
        let pause = slow.sleep(SECOND);
        async move {
            pause.await;
            Some(1.0)
        }
    });
    node.metrics().gauge_fn("quick", || 2.0);
    node.metrics().counter("count").add(3);
    let start = world.now();
    let some = get(&mut world, &node, "/metrics/snapshot?timeout=200ms");
    assert_eq!(some, r#"{"count":3.0,"quick":2.0}"#);
    assert_eq!(world.now() - start, Duration::from_millis(200));
    let all = get(&mut world, &node, "/metrics/snapshot?timeout=1.5secs");
    assert_eq!(all, r#"{"count":3.0,"quick":2.0,"slow":1.0}"#);
    assert_eq!(world.http(&node, "GET", "/metrics/snapshot?timeout=5").status, 400);
}

#[test]
fn snapshots_beyond_the_rate_limit_wait_for_their_turn() {
    let (mut world, node) = stage();
    let start = world.now();
    let answers = (0..4).map(|n| {
        let form = if n % 2 == 0 { "snapshot" } else { "prometheus" };
        let request = Request::new("GET", &format!("/metrics/{form}")).unwrap();
        let (answer, asked) = (node.http(request), node.clone());
        async move {
            assert_eq!(answer.await.status, 200);
            (asked.now() - start).as_millis() / 100
        }
    });
    let mut all = background(&node, await_all(answers));
    world.run_until(SECOND * 60, |_| all.is_done()).unwrap();
    assert_eq!(all.take().unwrap(), [0, 5, 10, 15]);
}

#[test]
fn prometheus_form_has_legal_and_distinct_names() {
    let (mut world, node) = stage();
    let metrics = node.metrics();
    metrics.counter("a/b").add(3);
    metrics.gauge_fn("a_b", || f64::INFINITY);
    metrics.push_gauge("9.lives").set(9.0);
    metrics.timer("store", Unit::Milliseconds).record(Duration::from_micros(1500));
    let expected = "\
        # TYPE _9_lives gauge\n_9_lives 9\n\
        # TYPE a_b counter\na_b 3\n\
        # TYPE a_b_2 gauge\na_b_2 +Inf\n\
        # TYPE store_ms gauge\nstore_ms 1.5\n\
        # TYPE store_ms_window_min gauge\nstore_ms_window_min 1.5\n\
        # TYPE store_ms_window_max gauge\nstore_ms_window_max 1.5\n\
        # TYPE store_ms_window summary\n\
        store_ms_window{quantile=\"0.5\"} 1.5\nstore_ms_window{quantile=\"0.9\"} 1.5\n\
        store_ms_window{quantile=\"0.95\"} 1.5\nstore_ms_window{quantile=\"0.99\"} 1.5\n\
        store_ms_window{quantile=\"0.999\"} 1.5\nstore_ms_window{quantile=\"0.9999\"} 1.5\n\
        store_ms_window_count 1\n";
    assert_eq!(get(&mut world, &node, "/metrics/prometheus"), expected);
}

#[test]
fn timer_measures_by_the_nodes_time_and_forgets_beyond_its_window() {
    let (mut world, node) = stage();
    let timer = node.metrics().timer_over("step", Unit::Seconds, SECOND * 10);
    assert_eq!(get(&mut world, &node, "/metrics/snapshot"), "{}");
    let mut step = background(&node, timer.time(node.sleep(SECOND * 3)));
    let abandoned = timer.start();
    world.run_until(SECOND * 60, |_| step.is_done()).unwrap();
    assert_eq!(step.take(), Some(()));
    drop(abandoned);
    assert_eq!(timer.last(), Some(3.0));
    assert_eq!(timer.statistics().unwrap().count, 1);
    world.run_for(SECOND * 11);
    assert_eq!(get(&mut world, &node, "/metrics/snapshot"), r#"{"step_secs":3.0}"#);
    node.metrics().remove("step_secs");
    assert_eq!(get(&mut world, &node, "/metrics/snapshot"), "{}");
}

#[test]
fn statistics_interpolate_between_values() {
    let mut series = TimeSeries::new(WINDOW, CAPACITY);
    for value in (0..=10).rev() {
        series.push(Time::EPOCH, f64::from(value));
    }
    let s = series.statistics().unwrap();
    assert_eq!((s.count, s.min, s.max, s.p50, s.p90), (11, 0.0, 10.0, 5.0, 9.0));
    let close = |a: f64, b: f64| (a - b).abs() < 1e-9;
    assert!(close(s.p95, 9.5) && close(s.p99, 9.9) && close(s.p999, 9.99));
    assert!(close(s.p9999, 9.999));
}

#[test]
fn series_that_is_full_keeps_its_newer_half_whole() {
    let mut series = TimeSeries::new(WINDOW, 1000);
    for n in 0..5000_u32 {
        series.push(Time::from_nanos(u64::from(n)), f64::from(n));
        assert!(series.values().count() <= 1000);
    }
    let kept: Vec<f64> = series.values().map(|(_, value)| value).collect();
    assert!(kept.is_sorted());
    assert_eq!(kept[kept.len() - 500..], (4500..5000).map(f64::from).collect::<Vec<_>>());
    assert!(kept[0] < 4000.0, "older values are thinned out, not cut off: {}", kept[0]);
}

#[test]
fn counters_and_push_gauges_are_the_same_by_name() {
    let metrics = Metrics::default();
    metrics.counter("c").add(2);
    metrics.counter("c").increment();
    assert_eq!(metrics.counter("c").get(), 3);
    metrics.counter("c").reset();
    assert_eq!(metrics.counter("c").get(), 0);
    metrics.push_gauge("g").add(1.5);
    metrics.push_gauge("g").increment();
    metrics.push_gauge("g").decrement();
    assert_eq!(metrics.push_gauge("g").get(), 1.5);
}

#[test]
fn gauge_that_makes_counters_of_its_node_does_not_lock_up() {
    let (mut world, node) = stage();
    let other = node.clone();
    node.metrics().gauge_fn("asks", move || {
        other.metrics().counter("asked").increment();
        other.metrics().counter("asked").get() as f64
    });
    assert_eq!(get(&mut world, &node, "/metrics/snapshot"), r#"{"asks":1.0}"#);
    assert_eq!(get(&mut world, &node, "/metrics/snapshot"), r#"{"asked":1.0,"asks":2.0}"#);
}

#[test]
fn snapshot_of_a_hundred_thousand_counters_is_whole() {
    let (mut world, node) = stage();
    for n in 0..100_000_u64 {
        node.metrics().counter(&format!("test/counter_{n:06}")).add(n);
    }
    let page = get(&mut world, &node, "/metrics/snapshot");
    let parsed: serde_json::Value = serde_json::from_str(&page).unwrap();
    assert_eq!(parsed.as_object().unwrap().len(), 100_000);
    assert_eq!(parsed["test/counter_099999"], 99_999.0);
}

#[test]
fn rate_limits_are_read_as_number_and_duration() {
    assert_eq!(parse_rate_limit("2/1secs"), Ok(Some((2, SECOND))));
    assert_eq!(parse_rate_limit("10/1mins"), Ok(Some((10, SECOND * 60))));
    assert_eq!(parse_rate_limit(""), Ok(None));
    for bad in ["2", "2/", "/1secs", "0/1secs", "-1/1secs", "2/0secs", "2/1", "x/1secs"] {
        assert_eq!(parse_rate_limit(bad), Err(BadRate(bad.to_owned())));
    }
}

#[test]
fn metrics_without_a_node_still_count() {
    let metrics = Metrics::default();
    metrics.counter_over("windowed", SECOND).increment();
    let snapshot = futures::executor::block_on(metrics.snapshot());
    assert_eq!(snapshot["windowed"], 1.0);
    assert_eq!(snapshot["windowed/count"], 1.0);
}
