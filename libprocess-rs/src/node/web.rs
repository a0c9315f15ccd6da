//! A node's side of plain HTTP: which process a request goes to, and who may make it.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::channel::oneshot;

use super::Node;
use crate::authentication::Authenticator;
use crate::gate::{Authorize, Guards};
use crate::http::{Request, Response};
use crate::inbox::Mail;

impl Node {
    /// Serves a plain HTTP request: receiver by the path's first segment, else the delegate.
    pub fn http(&self, mut request: Request) -> impl Future<Output = Response> + Send + use<> {
        let (sender, receiver) = oneshot::channel();
        let refused = self.route_request(&mut request).and_then(|mail| {
            if mail.http(request, sender) { Ok(()) } else { Err(Response::status(404)) }
        });
        async move {
            match refused {
                Err(response) => response,
                // The process ended with the request in its queue, or dropped it.
                Ok(()) => receiver.await.unwrap_or_else(|_| Response::status(500)),
            }
        }
    }

    fn route_request(&self, request: &mut Request) -> Result<Arc<dyn Mail>, Response> {
        if !request.path.starts_with('/') {
            return Err(Response::bad_request("request path must start with '/'"));
        }
        if request.path.contains("/..") {
            return Err(Response::status(404));
        }
        if let Some(id) = request.receiver()
            && let Some(mail) = self.mail(&id)
        {
            if self.inner.guards.is_closed(&request.path) {
                return Err(Response::status(403));
            }
            return Ok(mail);
        }
        let delegate = self.inner.config.delegate.as_ref().ok_or_else(|| Response::status(404))?;
        request.path = match request.path.as_str() {
            "/" => format!("/{delegate}"),
            path => format!("/{delegate}{path}"),
        };
        if self.inner.guards.is_closed(&request.path) {
            return Err(Response::status(403));
        }
        self.mail(delegate).ok_or_else(|| Response::status(404))
    }

    /// True when a plain request goes to a route that takes its body as it comes in.
    pub(crate) fn streams(&self, request: &Request) -> bool {
        let mut routed = Request {
            method: request.method.clone(),
            path: request.path.clone(),
            ..Request::default()
        };
        if self.route_request(&mut routed).is_err() {
            return false;
        }
        let receiver = routed.receiver();
        let table = self.table();
        let served = receiver.and_then(|id| table.get(&id)).map(|entry| entry.served.clone());
        drop(table);
        served.is_some_and(|served| served.streams(&routed))
    }

    /// Lets principals alone reach the routes of a realm ([`Routes::realm`]); None opens it again.
    pub fn set_authenticator(&self, realm: &str, by: Option<Arc<dyn Authenticator>>) {
        self.inner.guards.set_authenticator(realm, by);
    }

    /// Asks `by` before each request to the route `/<id>/<name>`; refused ones are answered 403.
    pub fn set_authorization(&self, path: &str, by: Option<Authorize>) {
        self.inner.guards.set_authorization(path, by);
    }

    /// Answers 403 to requests for exactly these paths. Those that name no process of this node
    /// are taken as the delegate's.
    pub fn disable_endpoints<'a>(&self, paths: impl IntoIterator<Item = &'a str>) {
        let absolute = |path: &str| {
            let mut request = Request { path: path.to_owned(), ..Request::default() };
            // The path stands as it is when there is neither such a process nor a delegate.
            let _ = self.route_request(&mut request);
            request.path
        };
        self.inner.guards.set_closed(BTreeSet::new());
        self.inner.guards.set_closed(paths.into_iter().map(absolute).collect());
    }

    pub(crate) fn guards(&self) -> &Guards {
        &self.inner.guards
    }
}
