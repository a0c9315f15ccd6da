//! `/weights`.

use libprocess::Ctx;
use libprocess::http::{Answer, Request, Response};
use protos::mesos::WeightInfo;
use serde_json::{Value, json};

use super::{form, viewer::Viewer};
use crate::Master;
use crate::registrar::Operation;
use crate::security::Action;
use crate::validation::framework::validate_role;

impl Master {
    pub(super) fn http_weights(&mut self, request: Request, cx: &mut Ctx<Self>) -> Answer {
        self.guarded(request, cx, |master, request, cx| match request.method.as_str() {
            "GET" => master.weights(&request).into(),
            "PUT" => {
                let viewer = Viewer::new(&master.state.config, &request);
                let weights = form::json(&request.body).and_then(|value| form::messages(&value));
                match weights {
                    Ok(weights) => master.set_weights(weights, &viewer, cx),
                    Err(refusal) => refusal.into(),
                }
            }
            other => Response::method_not_allowed(&["GET", "PUT"], other).into(),
        })
    }

    fn weights(&self, request: &Request) -> Response {
        let viewer = Viewer::new(&self.state.config, request);
        let shown = self.state.weights.iter().filter(|(role, _)| viewer.role(role));
        let list: Vec<Value> =
            shown.map(|(role, weight)| json!({"weight": weight, "role": role})).collect();
        Response::json(&list.into(), request.param("jsonp"))
    }

    pub(super) fn set_weights(
        &mut self,
        weights: Vec<WeightInfo>,
        viewer: &Viewer,
        cx: &mut Ctx<Self>,
    ) -> Answer {
        if let Err(why) = validate(&weights) {
            return Response::bad_request(why).into();
        }
        if let Some(roles) = &self.state.config.roles
            && let Some(unknown) = weights.iter().find(|info| !roles.contains(info.role()))
        {
            let why = format!("Role '{}' is not present in the master's --roles", unknown.role());
            return Response::bad_request(why).into();
        }
        if !weights.iter().all(|info| viewer.may(Action::UpdateWeight, Some(info.role()))) {
            return Response::status(403).into();
        }
        let operation = Operation::UpdateWeights(weights.clone());
        self.once_durable(operation, cx, move |master, _| {
            let pairs: Vec<_> =
                weights.into_iter().map(|w| (w.role().to_owned(), w.weight)).collect();
            master.state.weights.extend(pairs.iter().cloned());
            master.views.stale();
            master.allocator.update_weights(pairs);
            Response::status(200)
        })
    }
}

fn validate(weights: &[WeightInfo]) -> Result<(), String> {
    for info in weights {
        let role = info.role.as_deref().ok_or("a weight has no role")?.trim();
        validate_role(role)?;
        if !info.weight.is_finite() || info.weight <= 0.0 {
            return Err(format!(
                "weight {} of role '{role}' is not a positive number",
                info.weight
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_must_be_positive_and_of_a_role() {
        let info =
            |weight, role: Option<&str>| WeightInfo { weight, role: role.map(str::to_owned) };
        assert_eq!(validate(&[info(2.0, Some("web"))]), Ok(()));
        for bad in [
            info(0.0, Some("web")),
            info(f64::NAN, Some("web")),
            info(1.0, None),
            info(1.0, Some("a b")),
        ] {
            assert!(validate(std::slice::from_ref(&bad)).is_err(), "{bad:?}");
        }
    }
}
