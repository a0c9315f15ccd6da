//! A chat: a room and its members, who watch each other by links.
//!
//! Nobody says goodbye. A member that ends, crashes or loses its connection looks the same to the
//! room: one `exited` event, upon which it tells the others. So does the room's end to its members.
//!
//! Nothing here is sent twice: what is lost stays lost, as the runtime promises no more.

use std::collections::BTreeMap;

use libprocess::{Ctx, Pid, Process, Routes};
use prost::Message;

/// A member's first message: wants to be let in.
#[derive(Clone, PartialEq, Message)]
pub struct Join {
    /// What the others are to call it.
    #[prost(string, tag = "1")]
    pub name: String,
}

/// A member's message: says something to all others.
#[derive(Clone, PartialEq, Message)]
pub struct Say {
    /// What it says.
    #[prost(string, tag = "1")]
    pub text: String,
}

/// The room's message: a line to show.
#[derive(Clone, PartialEq, Message)]
pub struct Line {
    /// Who speaks; empty when it is the room.
    #[prost(string, tag = "1")]
    pub who: String,
    /// What is said.
    #[prost(string, tag = "2")]
    pub text: String,
}

/// The room's message: it does not let the member in, or does not know it any more.
#[derive(Clone, PartialEq, Message)]
pub struct Refused {
    /// Why not.
    #[prost(string, tag = "1")]
    pub reason: String,
}

crate::named!("chat": Join, Say, Line, Refused);

/// Knows who is there and passes on what is said.
#[derive(Default)]
pub struct Room {
    members: BTreeMap<Pid, String>,
}

impl Process for Room {
    fn routes(routes: &mut Routes<Self>) {
        routes.on(Self::join).on(Self::say);
    }

    fn exited(&mut self, pid: &Pid, cx: &mut Ctx<Self>) {
        if let Some(name) = self.members.remove(pid) {
            self.announce(pid, format!("{name} left"), cx);
        }
    }
}

impl Room {
    fn join(&mut self, join: Join, cx: &mut Ctx<Self>) {
        let member = cx.from().clone();
        if self.members.iter().any(|(pid, name)| *name == join.name && *pid != member) {
            cx.reply(&Refused { reason: format!("somebody here is called {} already", join.name) });
            return;
        }
        cx.link(&member);
        self.members.insert(member.clone(), join.name.clone());
        let mut names: Vec<&str> = self.members.values().map(String::as_str).collect();
        names.sort_unstable();
        let text = format!("you are in, with {} here: {}", names.len(), names.join(", "));
        cx.reply(&Line { who: String::new(), text });
        self.announce(&member, format!("{} came", join.name), cx);
    }

    fn say(&mut self, say: Say, cx: &mut Ctx<Self>) {
        match self.members.get(cx.from()) {
            Some(name) => self.tell_others(cx.from(), name, say.text, cx),
            None => cx.reply(&Refused { reason: "you are not in the room".to_owned() }),
        }
    }

    fn announce(&self, but: &Pid, text: String, cx: &Ctx<Self>) {
        self.tell_others(but, "", text, cx);
    }

    fn tell_others(&self, but: &Pid, who: &str, text: String, cx: &Ctx<Self>) {
        let line = Line { who: who.to_owned(), text };
        for member in self.members.keys().filter(|member| *member != but) {
            cx.send(member, &line);
        }
    }
}

/// Shows a line to the person at this end.
pub type Screen = Box<dyn FnMut(String) + Send>;

/// Somebody who chats. Ends when the room does not let it in, or is gone.
pub struct Member {
    room: Pid,
    name: String,
    screen: Screen,
}

impl Member {
    /// Somebody called `name`, about to enter `room`.
    pub fn new(room: Pid, name: impl Into<String>, screen: Screen) -> Self {
        Self { room, name: name.into(), screen }
    }

    /// Says something to the others.
    pub fn say(&mut self, text: String, cx: &mut Ctx<Self>) {
        cx.send(&self.room, &Say { text });
    }

    fn line(&mut self, line: Line, _: &mut Ctx<Self>) {
        let Line { who, text } = line;
        (self.screen)(if who.is_empty() { format!("* {text}") } else { format!("{who}: {text}") });
    }

    fn refused(&mut self, refused: Refused, cx: &mut Ctx<Self>) {
        (self.screen)(format!("! {}", refused.reason));
        cx.stop();
    }
}

impl Process for Member {
    fn routes(routes: &mut Routes<Self>) {
        routes.on(Self::line).on(Self::refused);
    }

    fn initialize(&mut self, cx: &mut Ctx<Self>) {
        cx.link(&self.room);
        cx.send(&self.room, &Join { name: self.name.clone() });
    }

    fn exited(&mut self, _: &Pid, cx: &mut Ctx<Self>) {
        (self.screen)("! the room is gone".to_owned());
        cx.stop();
    }
}
