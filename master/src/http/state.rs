//! `/state`.

use libprocess::Ctx;
use libprocess::http::{Answer, Request};
use serde_json::{Value, json};

use super::documents::{self, seconds};
use super::render::{Job, Writer};
use crate::Master;
use crate::registrar::CAPABILITIES;
use crate::state::State;

impl Master {
    pub(super) fn http_state(&mut self, request: Request, cx: &mut Ctx<Self>) -> Answer {
        self.guarded(request, cx, |master, request, cx| master.document(request, cx, render))
    }
}

fn head(writer: &mut Writer, state: &State) {
    let active = state.slaves.iter().filter(|slave| slave.active).count();
    let inactive = state.slaves.iter().count() - active;
    writer.put("version", state.config.version.clone());
    writer.put("build_date", "");
    writer.put("build_time", 0);
    writer.put("build_user", "");
    writer.put("start_time", seconds(state.started));
    if let Some(elected) = state.elected {
        writer.put("elected_time", seconds(elected));
    }
    writer.put("id", state.info.id.clone());
    writer.put("pid", state.pid.to_string());
    writer.put("hostname", state.config.hostname.clone());
    writer.put("capabilities", json!(CAPABILITIES));
    writer.put("activated_slaves", active);
    writer.put("deactivated_slaves", inactive);
    writer.put("unreachable_slaves", state.slaves.unreachable().len());
    if let Some(domain) = &state.config.domain {
        writer.put("domain", documents::domain(domain));
    }
    if let Some(leader) = &state.leader {
        writer.put("leader", leader.pid());
        let mut entry = json!({
            "id": leader.id,
            "pid": leader.pid(),
            "port": leader.port,
            "hostname": leader.hostname(),
        });
        if let (Some(domain), Some(entry)) = (&leader.domain, entry.as_object_mut()) {
            entry.insert("domain".to_owned(), documents::domain(domain));
        }
        writer.put("leader_info", entry);
    }
}

async fn render(job: Job) -> Writer {
    let (state, viewer) = (&*job.state, &job.viewer);
    let mut writer = Writer::object();
    head(&mut writer, state);
    if viewer.flags() {
        if let Some(cluster) = &state.config.cluster {
            writer.put("cluster", cluster.clone());
        }
        for name in ["log_dir", "external_log_file"] {
            if let Some(value) = state.config.flags.get(name) {
                writer.put(name, value.clone());
            }
        }
        writer.put("flags", json!(state.config.flags));
    }
    let slaves = state.slaves.iter();
    let slaves = slaves.map(|slave| Value::Object(documents::slave(state, slave, viewer)));
    writer.list("slaves", slaves).await;
    writer.list("recovered_slaves", documents::recovered_slaves(state)).await;
    writer.open_list("frameworks");
    for framework in state.frameworks.iter().filter(|f| viewer.framework(&f.info)) {
        documents::write_framework(&mut writer, state, framework, viewer).await;
    }
    writer.close_list();
    writer.open_list("completed_frameworks");
    for framework in state.frameworks.completed().filter(|f| viewer.framework(&f.info)) {
        documents::write_framework(&mut writer, state, framework, viewer).await;
    }
    writer.close_list();
    writer.put("orphan_tasks", json!([]));
    writer.put("unregistered_frameworks", json!([]));
    writer.close()
}
