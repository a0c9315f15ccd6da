//! The actix-web application that serves plain HTTP requests of a node.
//!
//! The application is called as a service, one request at a time and with the body read already:
//! actix-http's own dispatcher loses pipelined requests, and messages share the connection.

use std::str::FromStr;

use actix_http::Request as ActixRequest;
use actix_service::{IntoServiceFactory, Service, ServiceFactory};
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{AppConfig, Payload, ServiceResponse};
use actix_web::http::{Method, Uri, Version, header};
use actix_web::{App, HttpMessage, HttpRequest, HttpResponse, web};
use bytes::Bytes;
use futures::future::LocalBoxFuture;
use futures::stream::LocalBoxStream;

use super::files;
use crate::Node;
use crate::http::{Body, Request, Response};

/// In-memory bodies from this size on are compressed when the client accepts it.
const GZIP_MIN_BYTES: usize = 1024;

/// A response as the connection writes it.
pub(crate) struct WebResponse {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: WebBody,
}

pub(crate) enum WebBody {
    Bytes(Bytes),
    /// A known number of bytes that come in pieces.
    Sized(u64, LocalBoxStream<'static, std::io::Result<Bytes>>),
    Stream(LocalBoxStream<'static, std::io::Result<Bytes>>),
}

type Call = dyn Fn(
    ActixRequest,
) -> LocalBoxFuture<'static, Result<ServiceResponse<BoxBody>, actix_web::Error>>;

/// The application, ready to be called.
pub(crate) struct WebApp {
    call: Box<Call>,
}

impl WebApp {
    pub(crate) async fn new(node: Node) -> Result<Self, String> {
        let app = App::new()
            .app_data(web::Data::new(node))
            .app_data(web::PayloadConfig::new(usize::MAX))
            .default_service(web::to(to_process));
        let service = app
            .into_factory()
            .new_service(AppConfig::default())
            .await
            .map_err(|()| "web application does not start".to_owned())?;
        let call = Box::new(move |request| {
            let answered = service.call(request);
            Box::pin(answered) as LocalBoxFuture<'static, _>
        });
        Ok(Self { call })
    }

    /// Answers one request.
    pub(crate) async fn call(&self, request: Request) -> WebResponse {
        match (self.call)(into_actix(request)).await {
            Ok(response) => from_actix(response),
            Err(error) => from_actix_error(&error),
        }
    }
}

fn into_actix(request: Request) -> ActixRequest {
    let mut actix = ActixRequest::with_payload(Payload::from(request.body.clone()));
    let head = actix.head_mut();
    head.version = Version::HTTP_11;
    head.method = Method::from_str(&request.method).unwrap_or_default();
    head.uri = Uri::from_str(&request.path).unwrap_or_default();
    head.peer_addr = request.peer;
    // The request as it was decoded goes along, so that nothing is parsed twice.
    actix.extensions_mut().insert(request);
    actix
}

/// Every request goes to the process that its path names.
async fn to_process(request: HttpRequest, node: web::Data<Node>) -> HttpResponse {
    let decoded = request.extensions_mut().remove::<Request>();
    let Some(decoded) = decoded else {
        return HttpResponse::InternalServerError().finish();
    };
    let accepts_gzip = decoded.header("accept-encoding").is_some_and(lists_gzip);
    let range = decoded.header("range").map(str::to_owned);
    let response = node.http(decoded).await;
    render(response, accepts_gzip, range.as_deref()).await
}

async fn render(response: Response, accepts_gzip: bool, range: Option<&str>) -> HttpResponse {
    let status = actix_web::http::StatusCode::from_u16(response.status).unwrap_or_default();
    let mut builder = HttpResponse::build(status);
    let mut encoded = false;
    for (name, value) in &response.headers {
        encoded |= name.eq_ignore_ascii_case("content-encoding");
        builder.append_header((name.as_str(), value.as_str()));
    }
    match response.body {
        Body::Empty => builder.finish(),
        Body::Bytes(bytes) if accepts_gzip && !encoded && bytes.len() >= GZIP_MIN_BYTES => {
            builder.insert_header((header::CONTENT_ENCODING, "gzip"));
            builder.body(gzip(&bytes))
        }
        Body::Bytes(bytes) => builder.body(bytes),
        Body::Stream(stream) => builder.streaming(stream),
        Body::File(path) => files::serve(builder, &path, range).await,
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    // Writing into a vector cannot fail.
    let _ = encoder.write_all(bytes);
    encoder.finish().unwrap_or_default()
}

/// True when `gzip` or `*` is listed with a quality above zero.
fn lists_gzip(accept: &str) -> bool {
    accept.split(',').any(|item| {
        let mut parts = item.split(';').map(str::trim);
        let coding = parts.next().unwrap_or_default();
        let quality = parts.find_map(|part| part.strip_prefix("q=")).map_or(Ok(1.0), str::parse);
        (coding.eq_ignore_ascii_case("gzip") || coding == "*")
            && quality.is_ok_and(|q: f32| q > 0.0)
    })
}

fn from_actix(response: ServiceResponse<BoxBody>) -> WebResponse {
    let (_, response) = response.into_parts();
    let (head, body) = response.into_parts();
    let status = head.status().as_u16();
    let headers = head
        .headers()
        .iter()
        .map(|(name, value)| {
            (canonical(name.as_str()), String::from_utf8_lossy(value.as_bytes()).into_owned())
        })
        .collect();
    let body = match body.size() {
        BodySize::None => WebBody::Bytes(Bytes::new()),
        size => match (body.try_into_bytes(), size) {
            (Ok(bytes), _) => WebBody::Bytes(bytes),
            (Err(body), BodySize::Sized(length)) => WebBody::Sized(length, Box::pin(chunks(body))),
            (Err(body), _) => WebBody::Stream(Box::pin(chunks(body))),
        },
    };
    WebResponse { status, headers, body }
}

fn from_actix_error(error: &actix_web::Error) -> WebResponse {
    let status = error.as_response_error().status_code().as_u16();
    let body = WebBody::Bytes(error.to_string().into());
    WebResponse { status, headers: Vec::new(), body }
}

fn chunks(body: BoxBody) -> impl futures::Stream<Item = std::io::Result<Bytes>> {
    let mut body = Box::pin(body);
    futures::stream::poll_fn(move |context| {
        body.as_mut().poll_next(context).map_err(|error| std::io::Error::other(error.to_string()))
    })
}

/// `content-type` → `Content-Type`: older clients compare names literally.
fn canonical(name: &str) -> String {
    let words = name.split('-').map(|word| {
        let mut letters = word.chars();
        letters.next().map_or(String::new(), |first| first.to_ascii_uppercase().to_string())
            + letters.as_str()
    });
    words.collect::<Vec<_>>().join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accept_encoding_lists_gzip_unless_its_quality_is_zero() {
        let cases = [
            ("gzip", true),
            ("deflate, gzip;q=0.5", true),
            ("*", true),
            ("gzip;q=0", false),
            ("br", false),
            ("", false),
        ];
        for (accept, expected) in cases {
            assert_eq!(lists_gzip(accept), expected, "{accept}");
        }
    }

    #[test]
    fn header_names_are_written_in_customary_case() {
        assert_eq!(canonical("content-type"), "Content-Type");
        assert_eq!(canonical("mesh-stream-id"), "Mesh-Stream-Id");
    }
}
