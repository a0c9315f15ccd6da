//! `/help`, `/help/<id>`, `/help/<id>/<endpoint>`.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::json;

use crate::http::{Request, Response};
use crate::{Ctx, Help, Process, Routes};

const HELP: Help = Help::new(
    "What this node serves",
    "`/help/<id>` lists a process's endpoints, `/help/<id>/<endpoint>` shows one; `format=json` lists all.",
);

pub(crate) struct HelpProcess;

type Pages = BTreeMap<String, BTreeMap<String, Help>>;

impl Process for HelpProcess {
    fn routes(routes: &mut Routes<Self>) {
        routes.any("/", HELP, Self::help).rest(Self::help);
    }
}

impl HelpProcess {
    fn help(&mut self, request: Request, cx: &mut Ctx<Self>) -> Response {
        let pages: Pages = cx
            .node()
            .table()
            .sorted()
            .into_iter()
            .filter(|(_, entry)| !entry.served.help().is_empty())
            .map(|(id, entry)| (id.to_string(), entry.served.help().clone()))
            .collect();
        if request.param("format") == Some("json") {
            return Response::json(&as_json(&pages), request.param("jsonp"));
        }
        let endpoint = request.endpoint();
        let text = match endpoint.split_once('/') {
            None if endpoint.is_empty() => Ok(index(&pages)),
            None => pages.get(&endpoint).map(|page| process_page(&endpoint, page)).ok_or(404),
            Some((id, name)) => match pages.get(id) {
                None => Err(404),
                Some(page) => page.get(name).map(|help| endpoint_page(id, name, help)).ok_or(400),
            },
        };
        match text {
            Ok(text) => render(&request, text),
            Err(400) => Response::bad_request(format!("no help for endpoint '/{endpoint}'")),
            Err(status) => Response::status(status),
        }
    }
}

fn index(pages: &Pages) -> String {
    let mut text = "# HELP #\n\n".to_owned();
    for (id, page) in pages {
        for (name, help) in page {
            let _ = writeln!(text, "> {:<36} {}", path(id, name), help.summary);
        }
    }
    text
}

fn process_page(id: &str, page: &BTreeMap<String, Help>) -> String {
    let mut text = format!("# `/{id}` #\n\n");
    for (name, help) in page {
        let _ = writeln!(text, "> {:<36} {}", path(id, name), help.summary);
    }
    text
}

fn endpoint_page(id: &str, name: &str, help: &Help) -> String {
    format!("# `{}` #\n\n{}\n\n{}\n", path(id, name), help.summary, help.description)
}

fn path(id: &str, name: &str) -> String {
    if name.is_empty() { format!("/{id}") } else { format!("/{id}/{name}") }
}

fn as_json(pages: &Pages) -> serde_json::Value {
    let processes = pages.iter().map(|(id, page)| {
        let endpoints = page.iter().map(|(name, help)| {
            json!({"name": format!("/{name}"), "text": endpoint_page(id, name, help)})
        });
        json!({"id": id, "endpoints": endpoints.collect::<Vec<_>>()})
    });
    json!({"processes": processes.collect::<Vec<_>>()})
}

/// Markdown for command-line clients, a page for browsers.
fn render(request: &Request, text: String) -> Response {
    let agent = request.header("user-agent").unwrap_or_default();
    if agent.starts_with("curl") || agent.starts_with("HTTPie") {
        return Response::ok("text/x-markdown", text);
    }
    Response::ok("text/html; charset=utf-8", super::help_page::html(&text))
}
