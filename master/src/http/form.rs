//! Bodies of operators' requests.

use std::collections::BTreeMap;

use libprocess::http::{Request, Response, parse_query};
use prost::{Message, Name};
use serde_json::Value;

/// A body of the form `name=value&...`. The content type is not looked at.
///
/// # Errors
/// 400 with the reason.
pub(super) fn form(request: &Request) -> Result<BTreeMap<String, String>, Response> {
    let text = std::str::from_utf8(&request.body)
        .map_err(|_| Response::bad_request("Unable to decode query string: it is not UTF-8"))?;
    parse_query(text.trim())
        .map_err(|error| Response::bad_request(format!("Unable to decode query string: {error}")))
}

/// A field that must be there.
///
/// # Errors
/// 400 naming it.
pub(super) fn field<'a>(
    form: &'a BTreeMap<String, String>,
    name: &str,
) -> Result<&'a str, Response> {
    let missing =
        || Response::bad_request(format!("Missing '{name}' parameter in the request body"));
    form.get(name).map(String::as_str).ok_or_else(missing)
}

/// A JSON text.
///
/// # Errors
/// 400 with the reason.
pub(super) fn json(text: &[u8]) -> Result<Value, Response> {
    serde_json::from_slice(text)
        .map_err(|error| Response::bad_request(format!("Failed to parse JSON: {error}")))
}

/// A message in JSON.
///
/// # Errors
/// 400 naming what is wrong.
pub(super) fn message<M: Message + Name + Default>(value: &Value) -> Result<M, Response> {
    protos::json::from_json(value).map_err(|error| {
        Response::bad_request(format!("Failed to convert JSON to protobuf: {error}"))
    })
}

/// A JSON list of messages.
///
/// # Errors
/// 400 naming what is wrong.
pub(super) fn messages<M: Message + Name + Default>(value: &Value) -> Result<Vec<M>, Response> {
    let items = value.as_array().ok_or_else(|| Response::bad_request("expected a JSON array"))?;
    items.iter().map(message).collect()
}
