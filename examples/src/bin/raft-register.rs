//! The replicated register over sockets: `raft-register <file> <own address> <address>…`, in a shell
//! for each server. Start three, with the addresses of the other two last:
//!
//! ```text
//! raft-register /tmp/a 127.0.0.1:7001 127.0.0.1:7002 127.0.0.1:7003
//! curl -d 42 http://127.0.0.1:7001/register/value
//! curl http://127.0.0.1:7003/register/value
//! curl http://127.0.0.1:7002/raft/state
//! ```
//!
//! Kill any of them with `kill -9`, go on with the other two, start it again.

use std::net::SocketAddrV4;
use std::process::ExitCode;
use std::time::Duration;

use examples::raft::Bug;
use examples::raft::front::Front;
use examples::raft::server::{Server, Settings};
use libprocess::{Pid, real};

async fn run(arguments: &[String]) -> Result<(), Box<dyn std::error::Error>> {
    let [file, own, others @ ..] = arguments else {
        return Err("usage: raft-register <file> <own ip:port> <ip:port of another>…".into());
    };
    let own: SocketAddrV4 = own.parse()?;
    let mut addresses = vec![own];
    for other in others {
        addresses.push(other.parse()?);
    }
    let servers = |addresses: &[SocketAddrV4]| -> Vec<Pid> {
        addresses.iter().map(|address| Pid::new("raft", *address)).collect()
    };
    // Everybody must count the servers in the same order.
    let mut sorted = addresses.clone();
    sorted.sort();
    let settings = Settings {
        servers: servers(&sorted),
        file: file.into(),
        patience: Duration::from_millis(500),
        repeat: Duration::from_millis(100),
        bug: Bug::planted(),
    };
    let config = real::Config { ip: *own.ip(), port: own.port(), ..real::Config::default() };
    let node = real::start(config).await?;
    let server = node.spawn("raft", Server::new(settings))?;
    node.spawn("register", Front::new(servers(&addresses)))?;
    println!("{}", server.pid());
    node.wait(server.pid()).await;
    Err("the server has stopped".into())
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match real::run(run(&arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("raft-register: {error}");
            ExitCode::FAILURE
        }
    }
}
