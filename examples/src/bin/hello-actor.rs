//! An actor that answers a message, serves an endpoint and uses a timer.
//!
//! Two of them run on one node: one greets the other every second. Try
//! `curl http://127.0.0.1:8080/alice/greetings`.

use std::time::Duration;

use libprocess::http::{Request, Response};
use libprocess::{Ctx, Help, Pid, Process, Routes, real};

#[derive(Clone, PartialEq, prost::Message)]
struct Hello {
    #[prost(string, tag = "1")]
    text: String,
}

impl prost::Name for Hello {
    const PACKAGE: &'static str = "example";
    const NAME: &'static str = "Hello";
}

struct Greeter {
    friend: Option<Pid>,
    heard: u64,
}

impl Process for Greeter {
    fn routes(routes: &mut Routes<Self>) {
        routes.on(Self::hello).get("/greetings", Help::new("Greetings heard", ""), Self::count);
    }

    fn initialize(&mut self, cx: &mut Ctx<Self>) {
        self.greet(cx);
    }
}

impl Greeter {
    fn greet(&mut self, cx: &mut Ctx<Self>) {
        if let Some(friend) = &self.friend {
            cx.send(friend, &Hello { text: "how are you?".to_owned() });
            cx.after(Duration::from_secs(1), Self::greet);
        }
    }

    fn hello(&mut self, hello: Hello, cx: &mut Ctx<Self>) {
        self.heard += 1;
        println!("{} heard '{}' from {}", cx.pid(), hello.text, cx.from());
        if self.friend.is_none() {
            cx.reply(&Hello { text: "fine, thank you".to_owned() });
        }
    }

    fn count(&mut self, _request: Request, _cx: &mut Ctx<Self>) -> Response {
        Response::ok("text/plain", format!("{}\n", self.heard))
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    real::run(async {
        let ip = std::net::Ipv4Addr::LOCALHOST;
        let node = real::start(real::Config { ip, port: 8080, ..Default::default() }).await?;
        let alice = node.spawn("alice", Greeter { friend: None, heard: 0 })?;
        let bob = node.spawn("bob", Greeter { friend: Some(alice.pid().clone()), heard: 0 })?;
        node.wait(bob.pid()).await;
        Ok(())
    })
}
