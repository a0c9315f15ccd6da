//! Hosts of a laboratory: network namespaces of this host, joined by a switch, with links that can be
//! cut. Needs root, iproute2 and iptables.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

use std::ffi::OsStr;
use std::net::Ipv4Addr;
use std::process::Command;
use std::sync::atomic::{AtomicU8, Ordering};

/// Where namespaces are kept.
const NAMESPACES: &str = "/run/netns";

/// Hosts 1 to some number on a network of their own; this process is host 254.
pub struct Lab {
    name: String,
    net: [u8; 3],
    hosts: u8,
}

fn ip(arguments: &str) {
    let output = Command::new("ip").args(arguments.split(' ')).output().unwrap();
    let why = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "ip {arguments}: {why}");
}

impl Lab {
    /// Makes hosts 1 to `hosts`.
    pub fn new(hosts: u8) -> Self {
        static NEXT: AtomicU8 = AtomicU8::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let process = std::process::id();
        let name = format!("l{process}x{number}");
        // A network that other tests at the same time hardly have.
        let net = [10, 100 + (process % 100) as u8, (process / 100 % 32) as u8 * 8 + number % 8];
        let lab = Self { name, net, hosts };
        let switch = lab.namespace(0);
        ip(&format!("netns add {switch}"));
        ip(&format!("-n {switch} link add switch type bridge"));
        ip(&format!("-n {switch} link set switch up"));
        for host in 1..=hosts {
            let namespace = lab.namespace(host);
            ip(&format!("netns add {namespace}"));
            ip(&format!(
                "link add eth0 netns {namespace} type veth peer name p{host} netns {switch}"
            ));
            ip(&format!("-n {switch} link set p{host} master switch up"));
            ip(&format!("-n {namespace} addr add {}/24 dev eth0", lab.ip(host)));
            ip(&format!("-n {namespace} link set lo up"));
            ip(&format!("-n {namespace} link set eth0 up"));
        }
        let own = lab.own_link();
        ip(&format!("link add {own} type veth peer name p254 netns {switch}"));
        ip(&format!("-n {switch} link set p254 master switch up"));
        ip(&format!("addr add {}/24 dev {own}", lab.ip(254)));
        ip(&format!("link set {own} up"));
        lab
    }

    fn namespace(&self, host: u8) -> String {
        format!("{}-{host}", self.name)
    }

    fn own_link(&self) -> String {
        format!("v{}", self.name)
    }

    /// The address of a host.
    pub fn ip(&self, host: u8) -> Ipv4Addr {
        let [a, b, c] = self.net;
        Ipv4Addr::new(a, b, c, host)
    }

    /// A command that runs a program on a host; it is that program's own process.
    pub fn command(&self, host: u8, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={NAMESPACES}/{}", self.namespace(host))).arg(program);
        command
    }

    fn filter(&self, host: u8, arguments: &str) {
        let mut command = self.command(host, "iptables");
        let output = command.arg("-w").args(arguments.split(' ')).output().unwrap();
        let why = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "iptables {arguments}: {why}");
    }

    /// Drops all that `to` gets from `from`, without telling anybody.
    pub fn cut_one_way(&self, from: u8, to: u8) {
        self.filter(to, &format!("-A INPUT -s {} -j DROP", self.ip(from)));
    }

    /// Drops all between two hosts.
    pub fn cut(&self, a: u8, b: u8) {
        self.cut_one_way(a, b);
        self.cut_one_way(b, a);
    }

    /// Mends all links.
    pub fn mend(&self) {
        for host in 1..=self.hosts {
            self.filter(host, "-F INPUT");
        }
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["link", "del", &self.own_link()]).output();
        for host in 0..=self.hosts {
            let _ = Command::new("ip").args(["netns", "del", &self.namespace(host)]).output();
        }
    }
}
