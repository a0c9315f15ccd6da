//! A chat between OS processes. `chat room` opens a room and prints its PID; `chat join <that PID>
//! <name>`, in as many shells as you like, enters it: what you type goes to the others. Leave with
//! Ctrl-D, Ctrl-C or `kill -9`: the others are told all the same.

use std::process::ExitCode;

use examples::chat::{Member, Room};
use libprocess::{Handle, Node, real};

type Failure = Box<dyn std::error::Error>;

async fn room(node: Node) -> Result<(), Failure> {
    let room = node.spawn("room", Room::default())?;
    println!("{}", room.pid());
    node.wait(room.pid()).await;
    Ok(())
}

async fn join(node: Node, room: &str, name: &str) -> Result<(), Failure> {
    let screen = Box::new(|line| println!("{line}"));
    let member = node.spawn("member", Member::new(room.parse()?, name, screen))?;
    let typist = member.clone();
    // Reading a terminal blocks, so it has a thread of its own.
    std::thread::spawn(move || read_lines(&typist));
    node.wait(member.pid()).await;
    Ok(())
}

fn read_lines(member: &Handle<Member>) {
    for line in std::io::stdin().lines().map_while(Result::ok) {
        member.tell(|member, cx| member.say(line, cx));
    }
    member.tell(|_, cx| cx.stop());
}

async fn run(arguments: &[String]) -> Result<(), Failure> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let config = real::Config { ip: [127, 0, 0, 1].into(), ..real::Config::default() };
    let node = real::start(config.from_env(|name| std::env::var(name).ok())?).await?;
    match words[..] {
        ["room"] => room(node).await,
        ["join", pid, name] => join(node, pid, name).await,
        _ => Err("usage: chat room | chat join <pid of the room> <name>".into()),
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match real::run(run(&arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("chat: {error}");
            ExitCode::FAILURE
        }
    }
}
