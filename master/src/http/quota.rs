//! `/quota` and `/quota/<role>`.

use libprocess::Ctx;
use libprocess::http::{Answer, Request, Response};
use protos::json::to_json;
use protos::mesos;
use protos::mesos::quota::{QuotaConfig, QuotaInfo, QuotaRequest, QuotaStatus};
use protos::resources::Resources;

use super::{form, viewer::Viewer};
use crate::Master;
use crate::registrar::Operation;
use crate::security::Action;
use crate::validation::quota;

impl Master {
    pub(super) fn http_quota(&mut self, request: Request, cx: &mut Ctx<Self>) -> Answer {
        self.guarded(request, cx, |master, request, cx| {
            let endpoint = request.endpoint();
            let role = endpoint.strip_prefix("quota/").filter(|role| !role.is_empty());
            match (request.method.as_str(), role) {
                ("DELETE", Some(role)) => master.remove_quota(role, &request, cx),
                ("DELETE", None) => Response::bad_request("Missing role in the path").into(),
                ("GET", None) => master.quotas(&request).into(),
                ("POST", None) => master.add_quota(&request, cx),
                (other, None) => Response::method_not_allowed(&["GET", "POST"], other).into(),
                (other, Some(_)) => Response::method_not_allowed(&["DELETE"], other).into(),
            }
        })
    }

    fn quotas(&self, request: &Request) -> Response {
        let viewer = Viewer::new(&self.state.config, request);
        let shown = self.state.quotas.values().filter(|config| !config.guarantees.is_empty());
        let shown = shown.filter(|config| viewer.may(Action::GetQuota, Some(&config.role)));
        let status = QuotaStatus { infos: shown.map(info).collect(), configs: Vec::new() };
        Response::json(&to_json(&status), request.param("jsonp"))
    }

    fn add_quota(&mut self, request: &Request, cx: &mut Ctx<Self>) -> Answer {
        let viewer = Viewer::new(&self.state.config, request);
        let asked: QuotaRequest =
            match form::json(&request.body).and_then(|value| form::message(&value)) {
                Ok(asked) => asked,
                Err(refusal) => return refusal.into(),
            };
        let config = match quota::from_request(&asked) {
            Ok(config) => config,
            Err(why) => return Response::bad_request(why).into(),
        };
        if !viewer.may(Action::UpdateQuota, Some(&config.role)) {
            return Response::status(403).into();
        }
        if self.state.quotas.contains_key(&config.role) {
            let why = format!("Role '{}' has a quota already", config.role);
            return Response::bad_request(why).into();
        }
        self.set_quotas(vec![config], asked.force(), cx)
    }

    fn remove_quota(&mut self, role: &str, request: &Request, cx: &mut Ctx<Self>) -> Answer {
        if !self.state.quotas.contains_key(role) {
            return Response::bad_request(format!("Role '{role}' has no quota")).into();
        }
        let viewer = Viewer::new(&self.state.config, request);
        if !viewer.may(Action::UpdateQuota, Some(role)) {
            return Response::status(403).into();
        }
        let none = QuotaConfig { role: role.to_owned(), ..Default::default() };
        self.set_quotas(vec![none], true, cx)
    }

    /// Puts quotas into force; those without amounts are taken back.
    pub(super) fn set_quotas(
        &mut self,
        configs: Vec<QuotaConfig>,
        force: bool,
        cx: &mut Ctx<Self>,
    ) -> Answer {
        let mut after = self.state.quotas.clone();
        merge(&mut after, &configs);
        if let Some(roles) = &self.state.config.roles
            && let Some(unknown) = configs.iter().find(|config| !roles.contains(&config.role))
        {
            let why = format!("Role '{}' is not present in the master's --roles", unknown.role);
            return Response::bad_request(why).into();
        }
        if let Err(why) = quota::validate_tree(&after) {
            return Response::bad_request(why).into();
        }
        let total: Resources = self.state.slaves.iter().map(|slave| slave.total.unreserved()).sum();
        if !force && let Err(why) = quota::validate_capacity(&after, &total) {
            return Response::text(409, why).into();
        }
        let operation = Operation::UpdateQuotas(configs.clone());
        self.once_durable(operation, cx, move |master, _| {
            merge(&mut master.state.quotas, &configs);
            master.views.stale();
            configs.iter().for_each(|config| master.quota_changed(config));
            Response::status(200)
        })
    }
}

fn merge(into: &mut std::collections::BTreeMap<String, QuotaConfig>, configs: &[QuotaConfig]) {
    for config in configs {
        if config.guarantees.is_empty() && config.limits.is_empty() {
            into.remove(&config.role);
        } else {
            into.insert(config.role.clone(), config.clone());
        }
    }
}

/// The older form of a quota: its guarantees as resources.
fn info(config: &QuotaConfig) -> QuotaInfo {
    let guarantee = config.guarantees.iter().map(|(name, scalar)| mesos::Resource {
        name: name.clone(),
        r#type: mesos::value::Type::Scalar.into(),
        scalar: Some(*scalar),
        role: Some("*".to_owned()),
        ..Default::default()
    });
    QuotaInfo { role: Some(config.role.clone()), principal: None, guarantee: guarantee.collect() }
}
