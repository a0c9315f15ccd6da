//! A process that tells a log what happens to it.

use libprocess::{Ctx, Envelope, Handle, Node, Pid, Process, Routes};

use crate::bed::Log;

pub(crate) struct Probe {
    pub(crate) log: Log,
}

impl Process for Probe {
    fn routes(routes: &mut Routes<Self>) {
        routes.otherwise(Self::message).on_raw("panic", |_, _, _| panic!("as told"));
    }

    fn exited(&mut self, pid: &Pid, _: &mut Ctx<Self>) {
        self.log.push(format!("exited {}", pid.id()));
    }

    fn finalize(&mut self, cx: &mut Ctx<Self>) {
        self.log.push(format!("finalize {}", cx.pid().id()));
    }
}

impl Probe {
    fn message(&mut self, envelope: Envelope, cx: &mut Ctx<Self>) {
        assert_eq!(&envelope.to, cx.pid());
        let body = String::from_utf8_lossy(&envelope.body);
        self.log.push(format!("{} {} from {}", envelope.name, body, envelope.from.id()));
    }
}

pub(crate) fn spawn(node: &Node, id: &str, log: &Log) -> Handle<Probe> {
    node.spawn(id, Probe { log: log.clone() }).unwrap()
}

/// Sends from a process a message with a text as body.
pub(crate) fn send(from: &Handle<Probe>, to: &Pid, name: &'static str, body: impl ToString) {
    let (to, body) = (to.clone(), body.to_string());
    assert!(from.tell(move |_, cx| cx.send_raw(&to, name.into(), body.into())));
}
