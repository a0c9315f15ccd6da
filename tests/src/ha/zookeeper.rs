//! A real ZooKeeper ensemble. Needs Java and Debian's package `zookeeper`.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::daemon::Daemon;
use super::net::Lab;
use crate::cluster::{free_port, wait_for};

/// Where Debian puts the server.
const JAR: &str = "/usr/share/java/zookeeper.jar";
/// A server's half a second between looks at its sessions.
const SETTINGS: &str = "tickTime=500\nminSessionTimeout=1000\nadmin.enableServer=false\n\
                        4lw.commands.whitelist=*\ninitLimit=10\nsyncLimit=5\nmaxClientCnxns=0\n";

struct Server {
    address: SocketAddr,
    config: PathBuf,
    log: PathBuf,
    host: Option<u8>,
    daemon: Option<Daemon>,
}

/// Servers that stand for one; each can be killed and started again.
pub struct Ensemble {
    servers: Vec<Server>,
}

impl Ensemble {
    /// Prepares `count` servers below a directory: on the loopback, or on hosts of a laboratory from
    /// `first` on. None runs yet.
    pub fn prepare(dir: &Path, count: u8, lab: Option<(&Lab, u8)>) -> Self {
        assert!(Path::new(JAR).exists(), "{JAR} is missing: `cargo xtask test` installs it");
        let places: Vec<(Ipv4Addr, [u16; 3], Option<u8>)> = (0..count)
            .map(|number| match lab {
                Some((lab, first)) => {
                    (lab.ip(first + number), [2181, 2888, 3888], Some(first + number))
                }
                None => (Ipv4Addr::LOCALHOST, std::array::from_fn(|_| free_port()), None),
            })
            .collect();
        let peers: String = places
            .iter()
            .enumerate()
            .map(|(number, (ip, [_, peer, election], _))| {
                format!("server.{}={ip}:{peer}:{election}\n", number + 1)
            })
            .collect();
        let servers = places.iter().enumerate().map(|(number, (ip, [client, ..], host))| {
            let number = number + 1;
            let data = dir.join(format!("zookeeper-{number}"));
            std::fs::create_dir_all(&data).unwrap();
            std::fs::write(data.join("myid"), number.to_string()).unwrap();
            let own = format!(
                "{SETTINGS}dataDir={}\nclientPort={client}\nclientPortAddress={ip}\n",
                data.display()
            );
            let config = data.join("zoo.cfg");
            let text = if count > 1 { own + &peers } else { own };
            std::fs::write(&config, text).unwrap();
            let address = SocketAddr::from((*ip, *client));
            let log = dir.join(format!("zookeeper-{number}.log"));
            Server { address, config, log, host: *host, daemon: None }
        });
        Self { servers: servers.collect() }
    }

    /// `host:port,…` of all servers.
    pub fn addresses(&self) -> String {
        let addresses: Vec<String> = self.servers.iter().map(|s| s.address.to_string()).collect();
        addresses.join(",")
    }

    /// Number of servers.
    pub fn size(&self) -> usize {
        self.servers.len()
    }

    /// Starts all that do not run, and waits until each serves.
    pub fn start(&mut self, lab: Option<&Lab>) {
        for server in &mut self.servers {
            server.start(lab);
        }
        for server in &self.servers {
            server.wait();
        }
    }

    /// Starts one.
    pub fn start_one(&mut self, number: usize, lab: Option<&Lab>) {
        self.servers[number].start(lab);
    }

    /// Waits until one serves.
    pub fn wait_for_one(&self, number: usize) {
        self.servers[number].wait();
    }

    /// SIGKILL of one.
    pub fn kill(&mut self, number: usize) {
        self.servers[number].daemon = None;
    }
}

impl Server {
    fn start(&mut self, lab: Option<&Lab>) {
        if self.daemon.is_some() {
            return;
        }
        let mut command = match (lab, self.host) {
            (Some(lab), Some(host)) => lab.command(host, "java"),
            _ => Command::new("java"),
        };
        let main = "org.apache.zookeeper.server.quorum.QuorumPeerMain";
        command
            .args(["-Xmx128m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", JAR, main])
            .arg(&self.config);
        self.daemon = Some(Daemon::start(command, self.address, &self.log));
    }

    fn wait(&self) {
        // One that runs but has no leader says `This ZooKeeper instance is not currently serving`.
        wait_for(&format!("ZooKeeper at {}", self.address), || {
            self.ask("srvr").filter(|answer| answer.contains("Mode:"))
        });
    }

    fn ask(&self, word: &str) -> Option<String> {
        let limit = Duration::from_secs(2);
        let mut stream = TcpStream::connect_timeout(&self.address, limit).ok()?;
        stream.set_read_timeout(Some(limit)).ok()?;
        stream.write_all(word.as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer)
    }
}
