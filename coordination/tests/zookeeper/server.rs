//! A ZooKeeper server of one's own, and a proxy to it that can be cut.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};
use std::time::Duration;

const JAR: &str = "/usr/share/java/zookeeper.jar";

/// A server that ends with its value.
pub(crate) struct Server {
    port: u16,
    dir: PathBuf,
    child: Option<Child>,
}

static SHARED: Mutex<Weak<Server>> = Mutex::new(Weak::new());

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Server {
    /// The server of all tests that run at present.
    pub(crate) fn shared() -> Arc<Self> {
        // A test that failed while it started the server leaves none behind.
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let mut server = Self::prepare();
            server.start();
            let server = Arc::new(server);
            *shared = Arc::downgrade(&server);
            server
        })
    }

    /// A server that does not run yet.
    pub(crate) fn prepare() -> Self {
        let port = free_port();
        let dir = std::env::temp_dir().join(format!("zookeeper-{}-{port}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let configuration = format!(
            "tickTime=500\ndataDir={}\nclientPort={port}\nclientPortAddress=127.0.0.1\n\
             minSessionTimeout=1000\nadmin.enableServer=false\n4lw.commands.whitelist=*\n",
            dir.display()
        );
        std::fs::write(dir.join("zoo.cfg"), configuration).unwrap();
        Self { port, dir, child: None }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Starts it and waits until it answers.
    pub(crate) fn start(&mut self) {
        assert!(PathBuf::from(JAR).exists(), "{JAR} is missing: `cargo xtask test` installs it");
        let main = "org.apache.zookeeper.server.quorum.QuorumPeerMain";
        let child = Command::new("java")
            .args(["-Xmx256m", "-XX:TieredStopAtLevel=1", "-cp", JAR, main])
            .arg(self.dir.join("zoo.cfg"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        self.child = Some(child);
        while !self.answers() {
            let ended = self.child.as_mut().unwrap().try_wait().unwrap();
            assert!(ended.is_none(), "the server ended: {ended:?}");
            std::thread::park_timeout(Duration::from_millis(50));
        }
    }

    fn answers(&self) -> bool {
        let mut answer = String::new();
        let asked = TcpStream::connect(("127.0.0.1", self.port)).and_then(|mut stream| {
            stream.write_all(b"ruok")?;
            stream.read_to_string(&mut answer)
        });
        asked.is_ok() && answer == "imok"
    }

    /// Ends it by SIGKILL.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

#[derive(Default)]
struct Cable {
    cut: Mutex<bool>,
    mended: Condvar,
}

/// Passes bytes on to a server until it is cut: then all of them wait, and nobody is told.
pub(crate) struct Proxy {
    port: u16,
    cable: Arc<Cable>,
}

impl Proxy {
    pub(crate) fn to(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let cable = Arc::new(Cable::default());
        let shared = cable.clone();
        std::thread::spawn(move || {
            for near in listener.incoming() {
                let (near, far) = (near.unwrap(), TcpStream::connect(("127.0.0.1", server)));
                let Ok(far) = far else { continue };
                pass(near.try_clone().unwrap(), far.try_clone().unwrap(), shared.clone());
                pass(far, near, shared.clone());
            }
        });
        Self { port, cable }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn cut(&self, cut: bool) {
        *self.cable.cut.lock().unwrap() = cut;
        self.cable.mended.notify_all();
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, cable: Arc<Cable>) {
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            drop(cable.mended.wait_while(cable.cut.lock().unwrap(), |cut| *cut).unwrap());
            if to.write_all(&buffer[..count]).is_err() {
                break;
            }
        }
        drop(cable.mended.wait_while(cable.cut.lock().unwrap(), |cut| *cut).unwrap());
        let _ = to.shutdown(Shutdown::Both);
    });
}
