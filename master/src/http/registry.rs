//! Answers that wait for the registry.

use futures::channel::oneshot;
use libprocess::Ctx;
use libprocess::http::{Answer, Response};

use crate::Master;
use crate::registrar::Operation;

impl Master {
    /// Answers 200 once all changes before are durable.
    pub(super) fn once_durable_after(&mut self, cx: &mut Ctx<Self>) -> Answer {
        let (sender, receiver) = oneshot::channel();
        self.register(Operation::Prune(Vec::new()), cx, move |_, _, _| {
            // The client may have gone.
            let _ = sender.send(());
        });
        Answer::later(async move {
            match receiver.await {
                Ok(()) => Response::status(200),
                Err(_) => Response::status(503),
            }
        })
    }

    /// Changes the registry, then acts with `then`, then answers. Contradictions are answered 409.
    pub(super) fn once_durable(
        &mut self,
        operation: Operation,
        cx: &mut Ctx<Self>,
        then: impl FnOnce(&mut Self, &mut Ctx<Self>) -> Response + Send + 'static,
    ) -> Answer {
        let (sender, receiver) = oneshot::channel();
        self.register(operation, cx, move |master, applied, cx| {
            let response = match applied {
                true => then(master, cx),
                false => Response::status(409),
            };
            // The client may have gone; the change has happened all the same.
            let _ = sender.send(response);
        });
        Answer::later(async move { receiver.await.unwrap_or_else(|_| Response::status(503)) })
    }
}
