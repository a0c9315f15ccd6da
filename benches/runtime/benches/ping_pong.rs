//! Claim: request and reply between two nodes, one in flight, cost at most half as much again as a
//! bare TCP echo.

use std::net::Ipv4Addr;
use std::time::Duration;

use futures::channel::oneshot;
use libprocess::{Ctx, Pid, Process, Routes, real};
use runtime_benches::{Blob, Instant, Outcome, quantile, ratio, report};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const ROUND_TRIPS: usize = 20_000;

struct Echo;

impl Process for Echo {
    fn routes(routes: &mut Routes<Self>) {
        routes.on::<Blob>(|_, blob, cx| cx.reply(&blob));
    }

    fn initialize(&mut self, _: &mut Ctx<Self>) {}
}

struct Asker {
    to: Pid,
    sent: Instant,
    times: Vec<Duration>,
    done: Option<oneshot::Sender<Vec<Duration>>>,
}

impl Process for Asker {
    fn routes(routes: &mut Routes<Self>) {
        routes.on::<Blob>(Self::answered);
    }

    fn initialize(&mut self, cx: &mut Ctx<Self>) {
        cx.link(&self.to);
        self.ask(cx);
    }
}

impl Asker {
    fn ask(&mut self, cx: &mut Ctx<Self>) {
        self.sent = Instant::now();
        cx.send(&self.to, &Blob::of(100));
    }

    fn answered(&mut self, _: Blob, cx: &mut Ctx<Self>) {
        // Both nodes keep a connection, as peers that link to each other do.
        self.times.push(self.sent.elapsed());
        if self.times.len() < ROUND_TRIPS {
            self.ask(cx);
        } else if let Some(done) = self.done.take() {
            let _ = done.send(std::mem::take(&mut self.times));
        }
    }
}

async fn libprocess() -> Outcome<Vec<Duration>> {
    let (here, there) = (runtime_benches::loopback(1).await?, runtime_benches::loopback(1).await?);
    let to = there.spawn("echo", Echo)?;
    let (done, finished) = oneshot::channel();
    let asker =
        Asker { to: to.pid().clone(), sent: Instant::now(), times: vec![], done: Some(done) };
    let asker = here.spawn("asker", asker)?;
    let back = asker.pid().clone();
    to.tell(move |_, cx| cx.link(&back));
    let times = finished.await?;
    here.close();
    there.close();
    Ok(times)
}

async fn echo() -> Outcome<Vec<Duration>> {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    listener.set_nonblocking(true)?;
    let peer = listener.local_addr()?;
    // A thread of its own, as a node has.
    let arbiter = actix_rt::Arbiter::new();
    arbiter.spawn(async move {
        let served = async {
            let (mut stream, _) = TcpListener::from_std(listener)?.accept().await?;
            stream.set_nodelay(true)?;
            let mut buffer = [0; 4096];
            loop {
                let read = stream.read(&mut buffer).await?;
                if read == 0 {
                    return Ok::<_, std::io::Error>(());
                }
                stream.write_all(&buffer[..read]).await?;
            }
        };
        if let Err(error) = served.await {
            eprintln!("echo: {error}");
        }
    });
    let mut stream = TcpStream::connect(peer).await?;
    stream.set_nodelay(true)?;
    let (request, mut answer) = ([7; 340], [0; 340]);
    let mut times = Vec::new();
    for _ in 0..ROUND_TRIPS {
        let sent = Instant::now();
        stream.write_all(&request).await?;
        stream.read_exact(&mut answer).await?;
        times.push(sent.elapsed());
    }
    arbiter.stop();
    Ok(times)
}

fn main() -> Outcome<()> {
    println!("ping-pong over the loopback, one in flight, 100 bytes of body");
    real::run(async {
        let (mut ours, mut bare) = (Vec::new(), Vec::new());
        for _ in 0..runtime_benches::ROUNDS {
            ours.extend(libprocess().await?);
            bare.extend(echo().await?);
        }
        ours.sort_unstable();
        bare.sort_unstable();
        for q in [0.5, 0.99] {
            let micros = |times: &[Duration]| quantile(times, q).as_secs_f64() * 1e6;
            let (ours, bare) = (micros(&ours), micros(&bare));
            report(&format!("libprocess, p{}", q * 100.0), ours, "us");
            report(&format!("tcp echo, p{}", q * 100.0), bare, "us");
            ratio("libprocess", ours, "tcp echo (below 1 would be faster)", bare);
        }
        Ok(())
    })
}
