//! `/__processes__`: who runs here, and what waits in each queue.

use futures::channel::oneshot;
use futures::future::join_all;
use serde_json::json;

use crate::http::{Answer, Request, Response};
use crate::{Ctx, Help, Process, Routes};

const PROCESSES: Help = Help::new(
    "All processes of this node with their queued events",
    "Each process answers for itself, so a stuck process holds the answer up.",
);

pub(crate) struct ProcessesProcess;

impl Process for ProcessesProcess {
    fn routes(routes: &mut Routes<Self>) {
        routes.any("/", PROCESSES, Self::list);
    }
}

impl ProcessesProcess {
    fn list(&mut self, request: Request, cx: &mut Ctx<Self>) -> Answer {
        let mut asked = Vec::new();
        for (id, entry) in cx.node().table().sorted() {
            let (sender, receiver) = oneshot::channel();
            if entry.mail.inspect(sender) {
                asked.push((id.to_string(), receiver));
            }
        }
        let queues = asked.into_iter().map(|(id, receiver)| async move {
            let events = receiver.await.ok()?;
            Some(json!({"id": id, "events": events}))
        });
        let queues: Vec<_> = queues.collect();
        Answer::later(async move {
            let list: Vec<_> = join_all(queues).await.into_iter().flatten().collect();
            Response::json(&serde_json::Value::Array(list), request.param("jsonp"))
        })
    }
}
