//! Large documents are rendered from a snapshot beside the actor: entry by entry, with a pause for
//! others now and then. Requests for the same document of an unchanged state share one rendering.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::{BoxFuture, Shared, poll_fn};
use libprocess::Ctx;
use libprocess::http::{Answer, Request, Response};
use serde_json::Value;

use super::json;
use super::viewer::Viewer;
use crate::Master;
use crate::state::State;

/// Entries between two pauses.
const STRIDE: usize = 16;

type Rendering = Shared<BoxFuture<'static, Bytes>>;

/// What is rendered, and of which state.
#[derive(Default)]
pub(crate) struct Views {
    snapshot: Option<Arc<State>>,
    renderings: BTreeMap<String, Rendering>,
}

impl Views {
    /// The state has changed, or may have.
    pub(crate) fn stale(&mut self) {
        self.snapshot = None;
        self.renderings.clear();
    }
}

/// A document that is to be rendered.
pub(super) struct Job {
    pub(super) state: Arc<State>,
    pub(super) viewer: Viewer,
    pub(super) request: Request,
}

impl Master {
    /// Answers with a document that `render` makes of a snapshot.
    pub(super) fn document<F>(
        &mut self,
        request: Request,
        cx: &Ctx<Self>,
        render: fn(Job) -> F,
    ) -> Answer
    where
        F: Future<Output = Writer> + Send + 'static,
    {
        let viewer = Viewer::new(&self.state.config, &request);
        let jsonp = request.param("jsonp").map(str::to_owned);
        let content_type = if jsonp.is_some() { "text/javascript" } else { "application/json" };
        let key = format!("{} {:?} {:?}", request.path, request.query, viewer.principal());
        let known = self.views.renderings.get(&key).cloned();
        let rendering = if let Some(shared) = known {
            cx.node().metrics().counter("master/http_cache_hits").increment();
            shared
        } else {
            let state = self.views.snapshot.get_or_insert_with(|| Arc::new(self.state.clone()));
            let job = Job { state: state.clone(), viewer, request };
            let made = async move {
                let text = render(job).await.out;
                Bytes::from(match jsonp {
                    Some(function) => [function.as_bytes(), b"(", &text, b")"].concat(),
                    None => text,
                })
            };
            let shared = made.boxed().shared();
            self.views.renderings.insert(key, shared.clone());
            shared
        };
        Answer::later(async move { Response::ok(content_type, rendering.await) })
    }
}

/// Writes a JSON object member by member.
pub(super) struct Writer {
    out: Vec<u8>,
    /// Nothing stands before the next member or item.
    first: bool,
    written: usize,
}

impl Writer {
    /// An object that is open.
    pub(super) fn object() -> Self {
        Self { out: vec![b'{'], first: true, written: 0 }
    }

    /// Closes the object.
    pub(super) fn close(mut self) -> Self {
        self.out.push(b'}');
        self
    }

    fn separate(&mut self) {
        if !std::mem::take(&mut self.first) {
            self.out.push(b',');
        }
    }

    fn key(&mut self, key: &str) {
        self.separate();
        json::text(&mut self.out, key);
        self.out.push(b':');
    }

    /// A member.
    pub(super) fn put(&mut self, key: &str, value: impl Into<Value>) {
        self.key(key);
        json::value(&mut self.out, &value.into());
    }

    /// The members of an object.
    pub(super) fn members(&mut self, members: serde_json::Map<String, Value>) {
        for (key, value) in members {
            self.put(&key, value);
        }
    }

    /// Opens a member that is a list.
    pub(super) fn open_list(&mut self, key: &str) {
        self.key(key);
        self.out.push(b'[');
        self.first = true;
    }

    /// Closes a list.
    pub(super) fn close_list(&mut self) {
        self.out.push(b']');
        self.first = false;
    }

    /// Opens an item that is an object.
    pub(super) fn open_item(&mut self) {
        self.separate();
        self.out.push(b'{');
        self.first = true;
    }

    /// Closes such an item.
    pub(super) async fn close_item(&mut self) {
        self.out.push(b'}');
        self.first = false;
        self.pause().await;
    }

    /// An item of a list.
    pub(super) async fn item(&mut self, value: impl Into<Value>) {
        self.separate();
        json::value(&mut self.out, &value.into());
        self.pause().await;
    }

    /// An item of a list that `write` appends.
    pub(super) async fn item_by(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        self.separate();
        write(&mut self.out);
        self.pause().await;
    }

    /// A member that is a list of these.
    pub(super) async fn list(&mut self, key: &str, items: impl Iterator<Item = Value>) {
        self.open_list(key);
        for item in items {
            self.item(item).await;
        }
        self.close_list();
    }

    /// Now and then others get their turn.
    async fn pause(&mut self) {
        self.written += 1;
        if self.written.is_multiple_of(STRIDE) {
            breathe().await;
        }
    }
}

/// Lets everything else that is ready go first.
async fn breathe() {
    let mut paused = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut paused, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn document_written_in_pieces_is_json() {
        let made = async {
            let mut writer = Writer::object();
            writer.put("a", 1);
            writer.list("empty", std::iter::empty()).await;
            writer.list("many", (0..40).map(Value::from)).await;
            writer.open_list("objects");
            for n in 0..2 {
                writer.open_item();
                writer.put("n", n);
                writer.list("of", std::iter::once(json!("x\"y"))).await;
                writer.close_item().await;
            }
            writer.close_list();
            writer.close()
        };
        let mut made = Box::pin(made);
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        let text = loop {
            if let Poll::Ready(writer) = made.as_mut().poll(&mut context) {
                break writer.out;
            }
        };
        let value: Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(value["many"].as_array().unwrap().len(), 40);
        assert_eq!(value["objects"][1], json!({"n": 1, "of": ["x\"y"]}));
        assert_eq!(value["empty"], json!([]));
    }
}
