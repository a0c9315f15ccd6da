//! HTTP as processes serve it, whatever carries the requests.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use libprocess::authentication::{Authentication, Authenticator, Basic, Principal};
use libprocess::http::{Answer, Request, Response};
use libprocess::{Ctx, Help, Node, NodeConfig, Process, Routes};

use crate::bed::{Bed, Log};

/// Serves a few paths and tells a log in which order.
struct Web {
    log: Log,
}

const HELP: Help = Help::new("Says its name", "Nothing else.");

impl Process for Web {
    fn routes(routes: &mut Routes<Self>) {
        routes
            .any("/", HELP, |_, _, _| Response::ok("text/plain", "root"))
            .any("/a", HELP, |_, _, _| Response::ok("text/plain", "a"))
            .any("/a/b", HELP, |_, _, _| Response::ok("text/plain", "a/b"))
            .post("/post", HELP, |_, _, _| Response::status(202))
            .any("/json", HELP, Self::json)
            .any("/never", HELP, |_, _, _| Answer::later(std::future::pending()))
            .any("/secret", HELP, Self::secret)
            .realm("top")
            .any("/open", HELP, Self::open)
            .asset("/app.js", b"run()")
            .asset("/img/logo.svg", b"<svg/>");
    }
}

impl Web {
    fn json(&mut self, request: Request, _: &mut Ctx<Self>) -> Response {
        Response::json(&serde_json::json!({"x": 1}), request.param("jsonp"))
    }

    fn secret(&mut self, request: Request, _: &mut Ctx<Self>) -> Response {
        self.log.push(format!("secret {}", request.param("n").unwrap_or_default()));
        let who = request.principal.map(|who| who.to_string());
        Response::ok("text/plain", who.unwrap_or("nobody".to_owned()))
    }

    fn open(&mut self, request: Request, _: &mut Ctx<Self>) -> Response {
        self.log.push(format!("open {}", request.param("n").unwrap_or_default()));
        Response::ok("text/plain", "open")
    }
}

fn web<B: Bed>(bed: &mut B) -> (Node, Log) {
    let node = bed.node(NodeConfig { delegate: Some("web".to_owned()), ..Default::default() });
    let log = Log::default();
    node.spawn("web", Web { log: log.clone() }).unwrap();
    (node, log)
}

fn text(response: &Response) -> String {
    String::from_utf8_lossy(&response.bytes()).into_owned()
}

pub(crate) fn route_of_the_longest_prefix_serves<B: Bed>(bed: &mut B) {
    let (node, _) = web(bed);
    for (path, expected) in [
        ("/web", "root"),
        ("/web/", "root"),
        ("/web/a", "a"),
        ("/web/a/", "a"),
        ("/web/a/x/y", "a"),
        ("/web/a/b", "a/b"),
        ("/web/a/b/c", "a/b"),
        ("/%77eb/a", "a"),
    ] {
        let response = bed.get(&node, path);
        assert_eq!((response.status, text(&response).as_str()), (200, expected), "{path}");
    }
}

pub(crate) fn answers_of_the_runtime_have_their_status_and_text<B: Bed>(bed: &mut B) {
    let (node, _) = web(bed);
    let expecting = "405 Method Not Allowed. Expecting one of { 'POST' }, but received 'GET'.";
    for (path, status, expected) in [
        ("/web/none", 404, "404 Not Found."),
        ("/web/../x", 404, "404 Not Found."),
        ("/web/post", 405, expecting),
        ("web", 400, "request path must start with '/'"),
    ] {
        let response = bed.get(&node, path);
        assert_eq!((response.status, text(&response).as_str()), (status, expected), "{path}");
    }
    let json = bed.get(&node, "/web/json?jsonp=f");
    assert_eq!(text(&json), r#"f({"x":1})"#);
}

pub(crate) fn delegate_serves_paths_of_no_process<B: Bed>(bed: &mut B) {
    let (node, _) = web(bed);
    for (path, expected) in [("/", "root"), ("/a", "a"), ("/a/b", "a/b"), ("/web/a", "a")] {
        assert_eq!(text(&bed.get(&node, path)), expected, "{path}");
    }
    let plain = bed.plain();
    assert_eq!(bed.get(&plain, "/a").status, 404);
}

pub(crate) fn request_to_a_process_that_ends_is_an_error<B: Bed>(bed: &mut B) {
    let (node, _) = web(bed);
    let never = node.http(Request::new("GET", "/web/never").unwrap());
    let queued = node.http(Request::new("GET", "/web/a").unwrap());
    node.terminate(&node.pid("web"), true);
    bed.wait(node.wait(&node.pid("web")));
    drop(never);
    // Handled before the end, or dropped with the queue.
    let queued = bed.wait(queued);
    assert!([200, 500].contains(&queued.status), "{queued:?}");
    assert_eq!(bed.get(&node, "/web/a").status, 404);
}

fn with_basic(mut request: Request, encoded: &str) -> Request {
    request.headers.insert("authorization".to_owned(), format!("Basic {encoded}"));
    request
}

pub(crate) fn realm_with_an_authenticator_lets_principals_in<B: Bed>(bed: &mut B) {
    let (node, _) = web(bed);
    let open = bed.get(&node, "/web/secret");
    assert_eq!(text(&open), "nobody", "a realm without authenticator is open");
    let basic = Basic::new("top", [("ann".to_owned(), "secret".to_owned())]);
    node.set_authenticator("top", Some(Arc::new(basic)));
    let refused = bed.get(&node, "/web/secret");
    assert_eq!((refused.status, text(&refused).as_str()), (401, "401 Unauthorized."));
    assert!(
        refused
            .headers
            .contains(&("WWW-Authenticate".to_owned(), r#"Basic realm="top""#.to_owned()))
    );
    let request = Request::new("GET", "/web/secret").unwrap();
    assert_eq!(text(&bed.ask(&node, with_basic(request, "YW5uOnNlY3JldA=="))), "ann");
    assert_eq!(bed.get(&node, "/web/a").status, 200, "other routes are in no realm");
    node.set_authenticator("top", None);
    assert_eq!(bed.get(&node, "/web/secret").status, 200);
}

/// Takes its time over requests, the longer the earlier they came.
struct Slow(Node);

impl Authenticator for Slow {
    fn authenticate(&self, request: &Request) -> BoxFuture<'static, Authentication> {
        let millis = request.param("wait").and_then(|text| text.parse().ok()).unwrap_or(0);
        let pause = self.0.sleep(Duration::from_millis(millis));
        Box::pin(async move {
            pause.await;
            Authentication::Principal(Principal::named("slow"))
        })
    }
}

pub(crate) fn requests_are_served_in_order_though_their_checks_are_not<B: Bed>(bed: &mut B) {
    let (node, log) = web(bed);
    node.set_authenticator("top", Some(Arc::new(Slow(node.clone()))));
    let asked = ["secret?n=1&wait=30", "secret?n=2&wait=5", "open?n=3", "secret?n=4"];
    let answers: Vec<_> = asked
        .iter()
        .map(|target| node.http(Request::new("GET", &format!("/web/{target}")).unwrap()))
        .collect();
    bed.wait(futures::future::join_all(answers));
    assert_eq!(log.lines(), ["secret 1", "secret 2", "open 3", "secret 4"]);
}

pub(crate) fn authorization_refuses_what_it_says<B: Bed>(bed: &mut B) {
    let (node, _) = web(bed);
    let only_x: libprocess::Authorize = Arc::new(|request, who| {
        let allowed = request.param("who") == Some("x") && who.is_none();
        Box::pin(std::future::ready(allowed))
    });
    node.set_authorization("/web/open", Some(only_x));
    assert_eq!(bed.get(&node, "/web/open?who=x").status, 200);
    let refused = bed.get(&node, "/web/open");
    assert_eq!((refused.status, text(&refused).as_str()), (403, "403 Forbidden."));
    assert_eq!(bed.get(&node, "/open").status, 403, "by way of the delegate, too");
    assert_eq!(bed.get(&node, "/web/a").status, 200);
}

pub(crate) fn disabled_endpoint_is_forbidden<B: Bed>(bed: &mut B) {
    let (node, _) = web(bed);
    node.disable_endpoints(["/web/a", "/open"]);
    for (path, status) in
        [("/web/a", 403), ("/a", 403), ("/web/a/b", 200), ("/web/open", 403), ("/web/a/", 200)]
    {
        assert_eq!(bed.get(&node, path).status, status, "{path}");
    }
}

pub(crate) fn help_lists_routes_and_metrics_their_values<B: Bed>(bed: &mut B) {
    let (node, _) = web(bed);
    node.metrics().counter("web/asked").add(3);
    let help = bed.get(&node, "/help?format=json");
    assert!(text(&help).contains("Says its name"));
    assert_eq!(bed.get(&node, "/help/web/none").status, 400);
    assert_eq!(bed.get(&node, "/help/none").status, 404);
    assert!(text(&bed.get(&node, "/metrics/snapshot")).contains(r#""web/asked":3"#));
    assert_eq!(bed.get(&node, "/metrics/snapshot?timeout=soon").status, 400);
    assert!(text(&bed.get(&node, "/__processes__")).contains(r#""id":"web""#));
}

pub(crate) fn assets_are_served_by_their_names<B: Bed>(bed: &mut B) {
    let (node, _) = web(bed);
    let script = bed.get(&node, "/web/app.js");
    assert_eq!(text(&script), "run()");
    let kind = ("Content-Type".to_owned(), "application/javascript".to_owned());
    assert!(script.headers.contains(&kind));
    assert_eq!(text(&bed.get(&node, "/web/img/logo.svg")), "<svg/>");
    assert_eq!(bed.get(&node, "/web/img/none.svg").status, 404);
}
