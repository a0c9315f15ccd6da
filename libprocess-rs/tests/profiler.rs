//! A real profile of a program that is busy; alone in its OS process, which samples are taken of.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]
#![cfg(feature = "profiler")]

use std::net::Ipv4Addr;

use libprocess::http::{Request, Response};
use libprocess::{Node, NodeConfig, real};

async fn ask(node: &Node, target: &str) -> Response {
    node.http(Request::new("POST", target).unwrap()).await
}

#[inline(never)]
fn busy_function(rounds: u64) -> u64 {
    (0..rounds).fold(1, |sum, n| std::hint::black_box(sum ^ n.wrapping_mul(2_654_435_761)))
}

#[test]
fn profile_of_a_busy_program_names_what_it_does() {
    real::run(async {
        let node = NodeConfig { profiler: true, ..NodeConfig::default() };
        let config = real::Config { ip: Ipv4Addr::LOCALHOST, node, ..real::Config::default() };
        let node = real::start(config).await.unwrap();
        loop {
            assert_eq!(ask(&node, "/profiler/start").await.status, 200);
            assert_eq!(ask(&node, "/profiler/start").await.status, 400);
            std::hint::black_box(busy_function(50_000_000));
            let folded = ask(&node, "/profiler/stop?format=folded").await;
            assert_eq!(folded.status, 200);
            if String::from_utf8_lossy(&folded.bytes()).contains("busy_function") {
                break;
            }
        }
        assert_eq!(ask(&node, "/profiler/stop").await.status, 400);
        assert_eq!(ask(&node, "/profiler/start").await.status, 200);
        let profile = ask(&node, "/profiler/stop").await;
        assert_eq!(profile.status, 200);
        assert!(profile.bytes().starts_with(&[0x1f, 0x8b]), "compressed");
        node.close();
    });
}
