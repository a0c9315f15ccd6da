//! What masters write of themselves where others find it.

use std::net::{Ipv4Addr, SocketAddrV4};

use bytes::Bytes;
use libprocess::Pid;
use prost::Message;
use protos::json::{from_json, to_json};
use protos::mesos::MasterInfo;
use serde_json::Value;

use crate::Leader;

/// The label of candidates that write JSON.
pub const JSON_LABEL: &str = "json.info";
/// The label of candidates that write a binary message, as old masters do.
pub const BINARY_LABEL: &str = "info";

/// A candidate's data tells of no master.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InfoError {
    /// A label that nobody knows.
    #[error("unknown label {0:?}")]
    Label(Option<String>),
    /// Not JSON, or not of a master.
    #[error("{0}")]
    Json(String),
    /// Not a binary message of a master.
    #[error("{0}")]
    Binary(#[from] prost::DecodeError),
    /// Neither a PID nor an address.
    #[error("no address")]
    Address,
}

fn sorted(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let mut members: Vec<(String, Value)> = members.into_iter().collect();
            members.sort_by(|a, b| a.0.cmp(&b.0));
            members.into_iter().map(|(key, value)| (key, sorted(value))).collect()
        }
        Value::Array(values) => values.into_iter().map(sorted).collect(),
        other => other,
    }
}

/// A candidate's data, for the label [`JSON_LABEL`]: keys are sorted.
pub fn encode(info: &MasterInfo) -> Bytes {
    sorted(to_json(info)).to_string().into()
}

/// The master's PID: as it says, else from its address.
pub(super) fn pid_of(info: &MasterInfo) -> Option<Pid> {
    if let Some(pid) = info.pid.as_ref().and_then(|pid| pid.parse().ok()) {
        return Some(pid);
    }
    // The number is the address's bytes as they lie in memory.
    let ip = Ipv4Addr::from(info.ip.to_ne_bytes());
    let port = u16::try_from(info.port).ok().filter(|port| *port > 0)?;
    (!ip.is_unspecified()).then(|| Pid::new("master", SocketAddrV4::new(ip, port)))
}

/// The leader that a candidate's data tells of.
///
/// # Errors
/// Why it tells of none.
pub fn decode(label: Option<&str>, data: &Bytes) -> Result<Leader, InfoError> {
    let info: MasterInfo = match label {
        Some(JSON_LABEL) => {
            let value: Value =
                serde_json::from_slice(data).map_err(|error| InfoError::Json(error.to_string()))?;
            from_json(&value).map_err(|error| InfoError::Json(error.to_string()))?
        }
        Some(BINARY_LABEL) => MasterInfo::decode(data.clone())?,
        other => return Err(InfoError::Label(other.map(str::to_owned))),
    };
    let pid = pid_of(&info).ok_or(InfoError::Address)?;
    Ok(Leader { pid, info: Some(info) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use protos::mesos::{Address, master_info};

    fn info() -> MasterInfo {
        MasterInfo {
            id: "b5e5".into(),
            ip: 16_777_343,
            port: 5050,
            pid: Some("master@127.0.0.1:5050".into()),
            hostname: Some("localhost".into()),
            version: Some("1.0".into()),
            address: Some(Address {
                hostname: Some("localhost".into()),
                ip: Some("127.0.0.1".into()),
                port: 5050,
            }),
            capabilities: vec![master_info::Capability {
                r#type: Some(master_info::capability::Type::AgentUpdate.into()),
            }],
            ..MasterInfo::default()
        }
    }

    #[test]
    fn master_info_is_written_with_sorted_keys_and_read_back_in_both_forms() {
        let expected = concat!(
            r#"{"address":{"hostname":"localhost","ip":"127.0.0.1","port":5050},"#,
            r#""capabilities":[{"type":"AGENT_UPDATE"}],"hostname":"localhost","id":"b5e5","#,
            r#""ip":16777343,"pid":"master@127.0.0.1:5050","port":5050,"version":"1.0"}"#,
        );
        let json = encode(&info());
        assert_eq!(std::str::from_utf8(&json).unwrap(), expected);
        let pid = "master@127.0.0.1:5050".parse().unwrap();
        let leader = Leader { pid, info: Some(info()) };
        assert_eq!(decode(Some(JSON_LABEL), &json), Ok(leader.clone()));
        let binary = info().encode_to_vec().into();
        assert_eq!(decode(Some(BINARY_LABEL), &binary), Ok(leader));
    }

    #[test]
    fn master_without_pid_is_found_at_its_address() {
        let info = MasterInfo { pid: None, ..info() };
        let expected = if cfg!(target_endian = "little") { "127.0.0.1" } else { "1.0.0.127" };
        assert_eq!(pid_of(&info).unwrap().to_string(), format!("master@{expected}:5050"));
    }

    #[test]
    fn foreign_data_is_refused_with_a_reason() {
        for (label, data) in [
            (None, "{}"),
            (Some("other"), "{}"),
            (Some(JSON_LABEL), "not json"),
            (Some(JSON_LABEL), "{}"),
            (Some(JSON_LABEL), r#"{"id":"x","ip":0,"port":0}"#),
            (Some(BINARY_LABEL), "\u{1}\u{2}"),
        ] {
            assert!(decode(label, &data.into()).is_err(), "{label:?} {data}");
        }
    }
}
