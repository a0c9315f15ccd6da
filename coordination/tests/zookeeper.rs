//! Groups over a real ZooKeeper server. Needs Java and Debian's package `zookeeper`, which
//! `cargo xtask test` installs.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

#[path = "zookeeper/server.rs"]
mod server;

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use coordination::election::{Contender, GroupContender, GroupDetector};
use coordination::group::zookeeper::ZooKeeperConnect;
use coordination::group::{Group, GroupError, Member, SessionGroup};
use coordination::log::Network;
use coordination::{Detector, Leader};
use futures::future::{Either, select};
use libprocess::real::{Config, run, start};
use libprocess::{Node, Pid};
use protos::mesos::MasterInfo;

use server::{Proxy, Server};

/// A server with ticks of half a second takes sessions from one second on.
const TIMEOUT: Duration = Duration::from_secs(4);
const LIMIT: Duration = Duration::from_secs(40);

async fn node() -> Node {
    start(Config { ip: Ipv4Addr::LOCALHOST, ..Config::default() }).await.unwrap()
}

fn group(node: &Node, port: u16, rest: &str) -> SessionGroup {
    let (auth, path) = rest.split_once('/').unwrap();
    let url = format!("zk://{auth}127.0.0.1:{port}/{path}").parse().unwrap();
    SessionGroup::start(node, Arc::new(ZooKeeperConnect::new(url)), TIMEOUT)
}

/// What a future brings in time; None when it takes longer.
async fn within<T>(node: &Node, limit: Duration, future: impl Future<Output = T>) -> Option<T> {
    let (future, sleep) = (std::pin::pin!(future), std::pin::pin!(node.sleep(limit)));
    match select(future, sleep).await {
        Either::Left((value, _)) => Some(value),
        Either::Right(_) => None,
    }
}

/// Watches until there are so many members.
async fn members(node: &Node, group: &dyn Group, count: usize) -> BTreeSet<Member> {
    let watching = async {
        let mut known = None;
        loop {
            let members = group.watch(known).await.unwrap();
            if members.len() == count {
                return members;
            }
            known = Some(members);
        }
    };
    within(node, LIMIT, watching).await.expect("the members are there in time")
}

fn info(number: u16) -> MasterInfo {
    let pid = Some(format!("master@127.0.0.1:{number}"));
    MasterInfo { id: number.to_string(), ip: 1, port: number.into(), pid, ..MasterInfo::default() }
}

#[test]
fn candidates_are_seen_by_others_and_the_first_one_leads() {
    run(async {
        let (server, node) = (Server::shared(), node().await);
        let one = Arc::new(group(&node, server.port(), "/election/masters"));
        let two = Arc::new(group(&node, server.port(), "/election/masters"));
        let detector = GroupDetector::start(&node, two.clone());
        let first = GroupContender::new(one.clone()).contend(&info(1)).await.unwrap();
        let second = GroupContender::new(two.clone()).contend(&info(2)).await.unwrap();
        // What stands beside the candidates is none.
        let _beside = group(&node, server.port(), "/election/masters/log_replicas")
            .join(None, Bytes::from("log-replica(1)@127.0.0.1:1"))
            .await
            .unwrap();
        let all = members(&node, &*two, 2).await;
        let names: Vec<String> = all.iter().map(Member::name).collect();
        assert_eq!(names, ["json.info_0000000000", "json.info_0000000001"]);
        let mut leader = None;
        for expected in [1, 2] {
            let pid: Pid = format!("master@127.0.0.1:{expected}").parse().unwrap();
            while leader.as_ref().map(|leader: &Leader| &leader.pid) != Some(&pid) {
                leader = within(&node, LIMIT, detector.detect(leader)).await.unwrap();
            }
            assert_eq!(leader.as_ref().unwrap().info, Some(info(expected)));
            if expected == 1 {
                assert!(one.cancel(all.first().unwrap()).await.unwrap());
                first.lost().await;
            }
        }
        assert!(within(&node, Duration::from_millis(100), second.lost()).await.is_none());
    });
}

#[test]
fn group_with_credentials_is_closed_to_others() {
    run(async {
        let (server, node) = (Server::shared(), node().await);
        let mine = group(&node, server.port(), "user:secret@/closed");
        let member = mine.join(None, "data".into()).await.unwrap().member;
        assert_eq!(mine.data(&member).await.unwrap().unwrap(), "data");
        let same = group(&node, server.port(), "user:secret@/closed");
        assert_eq!(members(&node, &same, 1).await.len(), 1);
        for auth in ["", "user:wrong@"] {
            let other = group(&node, server.port(), &format!("{auth}/closed"));
            let refused = within(&node, LIMIT, other.join(None, "x".into())).await.unwrap();
            let Err(GroupError::Refused { group, .. }) = &refused else { panic!("{refused:?}") };
            assert!(!group.contains("wrong"), "{group}");
        }
    });
}

#[test]
fn short_cut_loses_neither_membership_nor_news() {
    run(async {
        let (server, node) = (Server::shared(), node().await);
        let proxy = Proxy::to(server.port());
        let cut_off = group(&node, proxy.port(), "/short");
        let membership = cut_off.join(None, "a".into()).await.unwrap();
        let other = group(&node, server.port(), "/short");
        members(&node, &cut_off, 1).await;
        proxy.cut(true);
        let news = other.join(None, "b".into()).await.unwrap();
        node.sleep(TIMEOUT / 4).await;
        proxy.cut(false);
        assert!(members(&node, &cut_off, 2).await.contains(&news.member));
        // And so is what happens long after it.
        other.cancel(&news.member).await.unwrap();
        members(&node, &cut_off, 1).await;
        assert!(within(&node, TIMEOUT * 2, membership.lost()).await.is_none());
    });
}

#[test]
fn membership_that_is_cut_off_ends_before_others_see_its_end() {
    run(async {
        let (server, node) = (Server::shared(), node().await);
        let proxy = Proxy::to(server.port());
        let cut_off = group(&node, proxy.port(), "/long");
        let membership = cut_off.join(None, "a".into()).await.unwrap();
        let other = group(&node, server.port(), "/long");
        members(&node, &other, 1).await;
        proxy.cut(true);
        let lost = within(&node, TIMEOUT, membership.lost());
        let gone = members(&node, &other, 0);
        match select(std::pin::pin!(lost), std::pin::pin!(gone)).await {
            Either::Left((lost, gone)) => {
                assert!(lost.is_some(), "the end is known within the session's timeout");
                gone.await;
            }
            Either::Right(_) => panic!("others saw the end first"),
        }
        proxy.cut(false);
        let again = within(&node, LIMIT, cut_off.join(None, "b".into())).await.unwrap().unwrap();
        assert!(members(&node, &other, 1).await.contains(&again.member));
    });
}

#[test]
fn server_may_come_late_and_may_die_for_a_while() {
    run(async {
        let node = node().await;
        let mut server = Server::prepare();
        let group = group(&node, server.port(), "/late");
        let joining = group.join(None, "a".into());
        assert!(within(&node, TIMEOUT + TIMEOUT / 2, async {}).await.is_some());
        server.start();
        let membership = within(&node, LIMIT, joining).await.unwrap().unwrap();
        members(&node, &group, 1).await;
        server.kill();
        server.start();
        // The server gives sessions their whole time again, but we do not: it may be a new member
        // when it took long, yet it is one.
        let lost = within(&node, Duration::from_millis(1), membership.lost()).await;
        if lost.is_none() {
            let still = members(&node, &group, 1).await;
            assert!(still.contains(&membership.member));
        }
        let second = within(&node, LIMIT, group.join(None, "b".into())).await.unwrap().unwrap();
        assert!(second.member.sequence > membership.member.sequence);
    });
}

#[test]
fn replicas_find_each_other_by_their_pids() {
    run(async {
        let (server, node) = (Server::shared(), node().await);
        let pids: Vec<Pid> = (1..4)
            .map(|port| format!("log-replica(1)@127.0.0.1:{port}").parse().unwrap())
            .collect();
        let mut networks = Vec::new();
        for pid in &pids {
            let network = Network::default();
            let group = group(&node, server.port(), "/mesos/log_replicas");
            network.follow(&node, Arc::new(group), pid.clone());
            networks.push(network);
        }
        for network in networks {
            let all = within(&node, LIMIT, network.at_least(3)).await.unwrap();
            assert_eq!(all.into_iter().collect::<Vec<_>>(), pids);
        }
    });
}
