//! An actor that answers a message, serves an endpoint and uses a timer, with its message in 30 lines.
//!
//! Start it and try `curl http://127.0.0.1:8080/greeter/heard`.

use std::time::Duration;

use libprocess::http::{Request, Response};
use libprocess::{Ctx, Help, Process, Routes, real};

#[derive(Clone, PartialEq, prost::Message)]
struct Hello(#[prost(string, tag = "1")] String);

impl prost::Name for Hello {
    const PACKAGE: &'static str = "example";
    const NAME: &'static str = "Hello";
}

struct Greeter(u64);

impl Process for Greeter {
    fn routes(routes: &mut Routes<Self>) {
        routes.on(Self::hello).get("/heard", Help::new("Greetings heard", ""), Self::heard);
    }

    fn initialize(&mut self, cx: &mut Ctx<Self>) {
        self.report(cx);
    }
}

impl Greeter {
    fn hello(&mut self, hello: Hello, cx: &mut Ctx<Self>) {
        self.0 += 1;
        cx.reply(&Hello(format!("{} too", hello.0)));
    }

    fn heard(&mut self, _: Request, _: &mut Ctx<Self>) -> Response {
        Response::ok("text/plain", format!("{}\n", self.0))
    }

    fn report(&mut self, cx: &mut Ctx<Self>) {
        println!("{} heard {} greetings", cx.pid(), self.0);
        cx.after(Duration::from_secs(1), Self::report);
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    real::run(async {
        let config = real::Config { ip: [127, 0, 0, 1].into(), port: 8080, ..Default::default() };
        let node = real::start(config.from_env(|name| std::env::var(name).ok())?).await?;
        let greeter = node.spawn("greeter", Greeter(0))?;
        node.wait(greeter.pid()).await;
        Ok(())
    })
}
