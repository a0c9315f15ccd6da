//! Route tables: which method of a process handles which message or path.

use std::any::TypeId;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use indexmap::IndexMap;
use prost::{Message, Name};
use rustc_hash::FxBuildHasher;

use crate::envelope::Letter;
use crate::http::{Answer, Request, Response, content_type};
use crate::{Ctx, Envelope, MessageName, Process};

/// Handles one encoded message.
pub(crate) type MessageHandler<P> = Arc<dyn Fn(&mut P, Letter, &mut Ctx<P>) + Send + Sync>;
/// Handles one request.
pub(crate) type HttpHandler<P> = Arc<dyn Fn(&mut P, Request, &mut Ctx<P>) -> Answer + Send + Sync>;

/// What `/help` says of one endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Help {
    /// One line without a trailing dot.
    pub summary: &'static str,
    /// Further paragraphs: parameters, answers, examples.
    pub description: &'static str,
}

impl Help {
    /// Help of a summary and a longer description, which may be empty.
    pub const fn new(summary: &'static str, description: &'static str) -> Self {
        Self { summary, description }
    }
}

struct HttpRoute<P: Process> {
    /// Methods that are served; empty for any.
    methods: &'static [&'static str],
    handler: HttpHandler<P>,
    realm: Option<&'static str>,
    streaming: bool,
}

/// Something that is served without running code of the process.
#[derive(Clone)]
enum Asset {
    Bytes(&'static str, Bytes),
    /// A file, or a directory whose files are served by their relative paths.
    Path(PathBuf),
}

/// The route table of a process, filled by [`Process::routes`].
pub struct Routes<P: Process> {
    messages: IndexMap<MessageName, MessageHandler<P>, FxBuildHasher>,
    fallback: Option<MessageHandler<P>>,
    http: BTreeMap<String, HttpRoute<P>>,
    http_rest: Option<HttpHandler<P>>,
    assets: BTreeMap<String, Asset>,
    help: BTreeMap<String, Help>,
    /// The path that was registered last, which [`Routes::realm`] and others refine.
    latest: Option<String>,
}

/// What is known of a process's routes without its type.
pub(crate) trait Served: Send + Sync {
    /// Help by endpoint, without the leading slash.
    fn help(&self) -> &BTreeMap<String, Help>;
    /// True when the route of a request takes its body as a stream.
    fn streams(&self, request: &Request) -> bool;
}

impl<P: Process> Served for Routes<P> {
    fn help(&self) -> &BTreeMap<String, Help> {
        &self.help
    }

    fn streams(&self, request: &Request) -> bool {
        let endpoint = request.endpoint();
        self.find(&endpoint).is_some_and(|(_, route)| route.streaming)
    }
}

/// Where a request goes.
pub(crate) enum Target<'a, P: Process> {
    /// To a handler, behind the checks of a realm.
    Handler { handler: &'a HttpHandler<P>, realm: Option<&'static str>, name: &'a str },
    /// Nowhere: this is the answer.
    Answer(Response),
}

/// Route tables of a thread by the type of their process: made once, however many are spawned.
type Built = RefCell<IndexMap<TypeId, Arc<dyn std::any::Any + Send + Sync>, FxBuildHasher>>;

thread_local! {
    static BUILT: Built = const { RefCell::new(IndexMap::with_hasher(FxBuildHasher)) };
}

impl<P: Process> Routes<P> {
    pub(crate) fn shared() -> Arc<Self> {
        let known = BUILT.with_borrow(|built| built.get(&TypeId::of::<P>()).cloned());
        if let Some(Ok(routes)) = known.map(Arc::downcast::<Self>) {
            return routes;
        }
        let routes = Arc::new(Self::build());
        BUILT.with_borrow_mut(|built| built.insert(TypeId::of::<P>(), routes.clone()));
        routes
    }

    fn build() -> Self {
        let mut routes = Self {
            messages: IndexMap::default(),
            fallback: None,
            http: BTreeMap::new(),
            http_rest: None,
            assets: BTreeMap::new(),
            help: BTreeMap::new(),
            latest: None,
        };
        P::routes(&mut routes);
        routes
    }

    /// Serves messages of the type that `handler` takes, under their full protobuf name.
    ///
    /// A body that does not decode, or that the node's schema check refuses, is logged with its
    /// sender and dropped: the sender cannot tell, as the protocol has it.
    ///
    /// # Panics
    /// When the name has a handler already: a programming error that must not go unnoticed.
    pub fn on<M>(&mut self, handler: fn(&mut P, M, &mut Ctx<P>)) -> &mut Self
    where
        M: Message + Name + Default + 'static,
    {
        self.insert(MessageName::of::<M>(), move |process, letter, cx| {
            match cx.decode::<M>(letter) {
                Ok(message) => handler(process, message, cx),
                Err(reason) => slog::warn!(cx.log(), "message dropped";
                    "name" => MessageName::of::<M>(), "from" => %cx.from(), "reason" => reason),
            }
        })
    }

    /// Serves messages under `name` undecoded.
    ///
    /// # Panics
    /// As [`Routes::on`].
    pub fn on_raw(
        &mut self,
        name: &str,
        handler: impl Fn(&mut P, Envelope, &mut Ctx<P>) + Send + Sync + 'static,
    ) -> &mut Self {
        self.insert(name.into(), move |process, letter, cx| {
            handler(process, letter.to(cx.pid()), cx);
        })
    }

    fn insert(
        &mut self,
        name: MessageName,
        handler: impl Fn(&mut P, Letter, &mut Ctx<P>) + Send + Sync + 'static,
    ) -> &mut Self {
        let previous = self.messages.insert(name.clone(), Arc::new(handler));
        assert!(previous.is_none(), "two handlers for message {name}");
        self
    }

    /// Serves every message that no other route names.
    pub fn otherwise(
        &mut self,
        handler: impl Fn(&mut P, Envelope, &mut Ctx<P>) + Send + Sync + 'static,
    ) -> &mut Self {
        self.fallback = Some(Arc::new(move |process, letter, cx| {
            handler(process, letter.to(cx.pid()), cx);
        }));
        self
    }

    /// Serves `path` for any method. Paths start with `/`; `/` alone serves just the process's root.
    ///
    /// # Panics
    /// When the path is malformed or has a handler already.
    pub fn any<R: Into<Answer> + 'static>(
        &mut self,
        path: &str,
        help: Help,
        handler: fn(&mut P, Request, &mut Ctx<P>) -> R,
    ) -> &mut Self {
        self.http_route(path, &[], help, handler)
    }

    /// Serves `GET path`; other methods are answered 405.
    ///
    /// # Panics
    /// As [`Routes::any`].
    pub fn get<R: Into<Answer> + 'static>(
        &mut self,
        path: &str,
        help: Help,
        handler: fn(&mut P, Request, &mut Ctx<P>) -> R,
    ) -> &mut Self {
        self.http_route(path, &["GET"], help, handler)
    }

    /// Serves `POST path`; other methods are answered 405.
    ///
    /// # Panics
    /// As [`Routes::any`].
    pub fn post<R: Into<Answer> + 'static>(
        &mut self,
        path: &str,
        help: Help,
        handler: fn(&mut P, Request, &mut Ctx<P>) -> R,
    ) -> &mut Self {
        self.http_route(path, &["POST"], help, handler)
    }

    /// Serves every path that no other route serves, such as a tree of documents.
    pub fn rest<R: Into<Answer> + 'static>(
        &mut self,
        handler: fn(&mut P, Request, &mut Ctx<P>) -> R,
    ) -> &mut Self {
        self.http_rest = Some(Arc::new(move |p, request, cx| handler(p, request, cx).into()));
        self
    }

    /// Puts the route registered last into a realm: where the node has an authenticator for it,
    /// only principals reach the handler.
    ///
    /// # Panics
    /// When no route was registered before.
    pub fn realm(&mut self, realm: &'static str) -> &mut Self {
        self.latest("realm").realm = Some(realm);
        self
    }

    /// Lets the route registered last take bodies as they come in ([`Request::chunks`]) instead of
    /// waiting for the whole.
    ///
    /// # Panics
    /// When no route was registered before.
    pub fn streaming(&mut self) -> &mut Self {
        self.latest("streaming").streaming = true;
        self
    }

    fn latest(&mut self, what: &str) -> &mut HttpRoute<P> {
        let route = self.latest.as_ref().and_then(|latest| self.http.get_mut(latest));
        match route {
            Some(route) => route,
            None => panic!("{what} without a route before it"),
        }
    }

    /// Serves bytes that are part of the program under `path`, with the content type of its name.
    ///
    /// # Panics
    /// When the path has no leading slash.
    pub fn asset(&mut self, path: &str, bytes: &'static [u8]) -> &mut Self {
        self.put_asset(path, Asset::Bytes(content_type(path), Bytes::from_static(bytes)))
    }

    /// Serves a file of the node's host, or the files below a directory, under `path`.
    ///
    /// # Panics
    /// When the path has no leading slash.
    pub fn provide(&mut self, path: &str, from: impl Into<PathBuf>) -> &mut Self {
        self.put_asset(path, Asset::Path(from.into()))
    }

    fn put_asset(&mut self, path: &str, asset: Asset) -> &mut Self {
        assert!(path.starts_with('/'), "asset {path} must start with '/'");
        self.assets.insert(path[1..].to_owned(), asset);
        self
    }

    fn http_route<R: Into<Answer> + 'static>(
        &mut self,
        path: &str,
        methods: &'static [&'static str],
        help: Help,
        handler: fn(&mut P, Request, &mut Ctx<P>) -> R,
    ) -> &mut Self {
        let well_formed = path.starts_with('/') && (path == "/" || !path.ends_with('/'));
        assert!(well_formed, "route {path} must start with '/' and not end with one");
        let handler: HttpHandler<P> =
            Arc::new(move |p, request, cx| handler(p, request, cx).into());
        let key = path[1..].to_owned();
        let route = HttpRoute { methods, handler, realm: None, streaming: false };
        let previous = self.http.insert(key.clone(), route);
        assert!(previous.is_none(), "two handlers for path {path}");
        self.help.insert(key.clone(), help);
        self.latest = Some(key);
        self
    }

    /// The handler of a message and whether it is that name's own.
    pub(crate) fn message(&self, name: &MessageName) -> Option<(&MessageHandler<P>, bool)> {
        match self.messages.get(name) {
            Some(handler) => Some((handler, true)),
            None => self.fallback.as_ref().map(|handler| (handler, false)),
        }
    }

    /// The names of the messages this process serves, sorted: what a snapshot test asserts.
    pub fn message_names(&self) -> Vec<&str> {
        let mut names: Vec<_> = self.messages.keys().map(MessageName::as_str).collect();
        names.sort_unstable();
        names
    }

    /// The route for what follows `/<id>` in a request's path: the whole remainder first, then
    /// with trailing components dropped one by one.
    fn find<'a>(&self, remainder: &'a str) -> Option<(&'a str, &HttpRoute<P>)> {
        let mut name = remainder;
        loop {
            if let Some(route) = self.http.get(name) {
                return Some((name, route));
            }
            name = name.rsplit_once('/')?.0;
        }
    }

    /// Where a request for `remainder`, its path without `/<id>`, goes.
    pub(crate) fn http<'a>(&'a self, request: &Request, remainder: &'a str) -> Target<'a, P> {
        if let Some((name, route)) = self.find(remainder) {
            if !route.methods.is_empty() && !route.methods.contains(&request.method.as_str()) {
                let refused = Response::method_not_allowed(route.methods, &request.method);
                return Target::Answer(refused);
            }
            return Target::Handler { handler: &route.handler, realm: route.realm, name };
        }
        if let Some(found) = self.find_asset(remainder) {
            return Target::Answer(found);
        }
        match &self.http_rest {
            Some(handler) => Target::Handler { handler, realm: None, name: remainder },
            None => Target::Answer(Response::status(404)),
        }
    }

    fn find_asset(&self, remainder: &str) -> Option<Response> {
        let (mut name, mut below) = (remainder, "");
        loop {
            match self.assets.get(name) {
                Some(Asset::Bytes(kind, bytes)) if below.is_empty() => {
                    return Some(Response::ok(kind, bytes.clone()));
                }
                Some(Asset::Path(path)) if below.is_empty() => return Some(Response::file(path)),
                Some(Asset::Path(path)) => return Some(Response::file(path.join(below))),
                _ => {}
            }
            name = name.rsplit_once('/')?.0;
            below = &remainder[name.len() + 1..];
        }
    }
}

/// The names of the messages `P` serves, sorted.
pub fn message_names<P: Process>() -> Vec<String> {
    Routes::<P>::shared().message_names().into_iter().map(str::to_owned).collect()
}
