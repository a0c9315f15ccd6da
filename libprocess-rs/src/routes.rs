//! Route tables: which method of a process handles which message or path.

use std::collections::BTreeMap;
use std::sync::Arc;

use prost::{Message, Name};

use crate::http::{Answer, Request, Response};
use crate::{Ctx, Envelope, Process};

/// Handles one encoded message.
pub(crate) type MessageHandler<P> = Arc<dyn Fn(&mut P, Envelope, &mut Ctx<P>) + Send + Sync>;
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

pub(crate) struct HttpRoute<P: Process> {
    /// Methods that are served; empty for any.
    pub(crate) methods: &'static [&'static str],
    pub(crate) handler: HttpHandler<P>,
}

/// The route table of a process, filled by [`Process::routes`].
pub struct Routes<P: Process> {
    messages: BTreeMap<String, MessageHandler<P>>,
    fallback: Option<MessageHandler<P>>,
    pub(crate) http: BTreeMap<String, HttpRoute<P>>,
    http_rest: Option<HttpHandler<P>>,
    pub(crate) help: BTreeMap<String, Help>,
}

impl<P: Process> Routes<P> {
    pub(crate) fn build() -> Self {
        let mut routes = Self {
            messages: BTreeMap::new(),
            fallback: None,
            http: BTreeMap::new(),
            http_rest: None,
            help: BTreeMap::new(),
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
        self.on_raw(&M::full_name(), move |process, envelope, cx| match cx.decode::<M>(&envelope) {
            Ok(message) => handler(process, message, cx),
            Err(reason) => slog::warn!(cx.log(), "message dropped";
                "name" => &envelope.name, "from" => %envelope.from, "reason" => reason),
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
        let previous = self.messages.insert(name.to_owned(), Arc::new(handler));
        assert!(previous.is_none(), "two handlers for message {name}");
        self
    }

    /// Serves every message that no other route names.
    pub fn otherwise(
        &mut self,
        handler: impl Fn(&mut P, Envelope, &mut Ctx<P>) + Send + Sync + 'static,
    ) -> &mut Self {
        self.fallback = Some(Arc::new(handler));
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
        let previous = self.http.insert(key.clone(), HttpRoute { methods, handler });
        assert!(previous.is_none(), "two handlers for path {path}");
        self.help.insert(key, help);
        self
    }

    pub(crate) fn message(&self, name: &str) -> Option<MessageHandler<P>> {
        self.messages.get(name).or(self.fallback.as_ref()).cloned()
    }

    /// The names of the messages this process serves, sorted: what a snapshot test asserts.
    pub fn message_names(&self) -> Vec<&str> {
        self.messages.keys().map(String::as_str).collect()
    }

    /// The handler for what follows `/<id>` in a request's path: the whole remainder first, then
    /// with trailing components dropped one by one. An answer of its own for 404 and 405.
    pub(crate) fn http(&self, request: &Request) -> Result<HttpHandler<P>, Response> {
        let remainder = request.endpoint();
        let mut name = remainder.as_str();
        loop {
            if let Some(route) = self.http.get(name) {
                if !route.methods.is_empty() && !route.methods.contains(&request.method.as_str()) {
                    return Err(Response::method_not_allowed(route.methods, &request.method));
                }
                return Ok(route.handler.clone());
            }
            match name.rsplit_once('/') {
                Some((shorter, _)) => name = shorter,
                None => {
                    let rest = self.http_rest.clone();
                    return rest.ok_or_else(|| Response::status(404));
                }
            }
        }
    }
}

/// The names of the messages `P` serves, sorted.
pub fn message_names<P: Process>() -> Vec<String> {
    Routes::<P>::build().message_names().into_iter().map(str::to_owned).collect()
}
