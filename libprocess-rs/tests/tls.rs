//! Nodes that speak TLS, with certificates made for the test.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::channel::oneshot;
use libprocess::real::{Config, TlsSettings, run, start};
use libprocess::{Envelope, Handle, Node, Pid, Process, Routes};

const LIMIT: Duration = Duration::from_secs(20);

/// Tells of the first message or exited event.
struct Probe(Option<oneshot::Sender<String>>);

impl Process for Probe {
    fn routes(routes: &mut Routes<Self>) {
        routes.otherwise(|probe, envelope: Envelope, _| probe.tell(envelope.name.to_string()));
    }

    fn exited(&mut self, pid: &Pid, _: &mut libprocess::Ctx<Self>) {
        self.tell(format!("exited {}", pid.id()));
    }
}

impl Probe {
    fn tell(&mut self, what: String) {
        if let Some(sender) = self.0.take() {
            let _ = sender.send(what);
        }
    }
}

fn probe(node: &Node) -> (Handle<Probe>, oneshot::Receiver<String>) {
    let (sender, receiver) = oneshot::channel();
    (node.spawn("probe", Probe(Some(sender))).unwrap(), receiver)
}

/// A certificate authority with a directory of what it signed.
struct Authority {
    issuer: rcgen::Issuer<'static, rcgen::KeyPair>,
    dir: tempfile::TempDir,
}

impl Authority {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut params = rcgen::CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = rcgen::KeyPair::generate().unwrap();
        let cert = params.self_signed(&key).unwrap();
        std::fs::write(dir.path().join("ca.pem"), cert.pem()).unwrap();
        Self { issuer: rcgen::Issuer::new(params, key), dir }
    }

    fn ca(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }

    /// Settings with a certificate for a name or ip, and nothing verified.
    fn settings(&self, name: &str) -> TlsSettings {
        let params = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
        let key = rcgen::KeyPair::generate().unwrap();
        let cert = params.signed_by(&key, &self.issuer).unwrap();
        let file = |end: &str| self.dir.path().join(format!("{name}.{end}"));
        std::fs::write(file("pem"), cert.pem()).unwrap();
        std::fs::write(file("key"), key.serialize_pem()).unwrap();
        settings(&file("pem"), &file("key"), &self.ca())
    }
}

fn settings(cert: &Path, key: &Path, ca: &Path) -> TlsSettings {
    TlsSettings {
        cert_file: cert.to_owned(),
        key_file: key.to_owned(),
        support_downgrade: false,
        verify_server: false,
        require_client: false,
        verify_ip: false,
        ca_file: Some(ca.to_owned()),
        ca_dir: None,
        ciphers: None,
        curves: None,
        tls12: true,
        tls13: true,
    }
}

async fn node(tls: Option<TlsSettings>) -> Node {
    start(Config { ip: Ipv4Addr::LOCALHOST, tls, ..Config::default() }).await.unwrap()
}

/// What the receiver tells when the sender links to it and sends: the message's name, or what the
/// sender tells when it cannot.
async fn outcome(from: Option<TlsSettings>, to: Option<TlsSettings>) -> String {
    let (a, b) = (node(from).await, node(to).await);
    let ((sender, failed), (receiver, arrived)) = (probe(&a), probe(&b));
    let pid = receiver.pid().clone();
    sender.tell(move |_, cx| {
        cx.link(&pid);
        cx.send_raw(&pid, "hello".into(), "body".into());
    });
    let first = futures::future::select(failed, arrived);
    let told = tokio::time::timeout(LIMIT, first).await.expect("in time");
    let told = told.factor_first().0.unwrap();
    a.close();
    b.close();
    told
}

fn with(base: &TlsSettings, change: impl FnOnce(&mut TlsSettings)) -> Option<TlsSettings> {
    let mut settings = base.clone();
    change(&mut settings);
    Some(settings)
}

#[test]
fn messages_pass_between_nodes_by_what_they_trust() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let (ip, other) = (ours.settings("127.0.0.1"), ours.settings("10.9.9.9"));
    let foreign = theirs.settings("127.0.0.1");
    let verify = |settings: &TlsSettings| with(settings, |s| s.verify_server = true);
    let verify_ip =
        |settings: &TlsSettings| with(settings, |s| (s.verify_server, s.verify_ip) = (true, true));
    let require = |settings: &TlsSettings| with(settings, |s| s.require_client = true);
    let old = |settings: &TlsSettings| with(settings, |s| s.tls13 = false);
    let new = |settings: &TlsSettings| with(settings, |s| s.tls12 = false);
    let (plain, no) = (|s: &TlsSettings| Some(s.clone()), "exited probe");
    let cases = [
        (plain(&ip), plain(&foreign), "hello", "nothing is verified"),
        (verify(&ip), plain(&other), "hello", "the chain is good, the name does not matter"),
        (verify(&ip), plain(&foreign), no, "signed by nobody we know"),
        (verify_ip(&ip), plain(&ip), "hello", "it names the ip"),
        (verify_ip(&ip), plain(&other), no, "it names another ip"),
        (plain(&ip), require(&ip), "hello", "the client's certificate is good"),
        (plain(&foreign), require(&ip), no, "the client's is signed by nobody they know"),
        (None, plain(&ip), no, "clear text is not understood"),
        (plain(&ip), None, no, "tls is not understood"),
        (old(&ip), plain(&ip), "hello", "1.2 is spoken"),
        (old(&ip), new(&ip), no, "no version in common"),
    ];
    run(async {
        for (from, to, expected, why) in cases {
            assert_eq!(outcome(from, to).await, expected, "{why}");
        }
    });
}

#[test]
fn downgrade_lets_clear_text_pass_both_ways() {
    let authority = Authority::new();
    let tls = authority.settings("127.0.0.1");
    let soft = || with(&tls, |settings| settings.support_downgrade = true);
    run(async {
        assert_eq!(outcome(None, soft()).await, "hello");
        assert_eq!(outcome(soft(), None).await, "hello");
        assert_eq!(outcome(soft(), soft()).await, "hello");
        assert_eq!(outcome(soft(), Some(tls.clone())).await, "hello");
    });
}

fn get_clear(to: SocketAddrV4) -> String {
    let mut stream = TcpStream::connect(to).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream.write_all(b"GET /version HTTP/1.1\r\nConnection: close\r\n\r\n").unwrap();
    let mut seen = Vec::new();
    let _ = stream.read_to_end(&mut seen);
    String::from_utf8_lossy(&seen).into_owned()
}

#[test]
fn clear_text_request_to_a_secure_port_gets_nothing_unless_downgraded() {
    let authority = Authority::new();
    let tls = authority.settings("127.0.0.1");
    run(async {
        let (hard, soft) =
            (node(Some(tls.clone())).await, node(with(&tls, |s| s.support_downgrade = true)).await);
        let ask =
            |to| async move { tokio::task::spawn_blocking(move || get_clear(to)).await.unwrap() };
        assert!(!ask(hard.address()).await.contains("HTTP/1.1 200"));
        assert!(ask(soft.address()).await.starts_with("HTTP/1.1 200"));
    });
}

#[test]
fn start_with_unusable_files_names_them() {
    let authority = Authority::new();
    let good = authority.settings("127.0.0.1");
    let broken = authority.dir.path().join("broken.pem");
    std::fs::write(&broken, "no pem").unwrap();
    let cases: [(Option<TlsSettings>, &str); 3] = [
        (with(&good, |s| s.cert_file = "/none.pem".into()), "/none.pem"),
        (with(&good, |s| s.key_file = broken.clone()), "broken.pem"),
        (with(&good, |s| s.ca_file = Some("/no-ca.pem".into())), "/no-ca.pem"),
    ];
    run(async {
        for (tls, named) in cases {
            let config = Config { ip: Ipv4Addr::LOCALHOST, tls, ..Config::default() };
            let error = start(config).await.map(drop).expect_err(named).to_string();
            assert!(error.contains(named), "{error}");
        }
    });
}
