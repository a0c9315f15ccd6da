//! `/reserve`, `/unreserve`, `/create-volumes`, `/destroy-volumes`: an operator's operations on what is
//! free or merely offered.

use libprocess::Ctx;
use libprocess::http::{Answer, Request, Response};
use protos::ids::SlaveId;
use protos::mesos;
use protos::mesos::offer::{Operation, operation, operation::Type};

use super::{form, viewer};
use crate::Master;
use crate::calls::accept::{apply_to_slave, rescind_holding};
use crate::calls::offers::rescind;
use crate::effects::Effects;
use crate::operations::{At, apply, convert};
use crate::security::may_operate;
use crate::state::State;

/// The operation that lists of resources (and of their source) make.
type Make = fn(Vec<mesos::Resource>, Vec<mesos::Resource>) -> Operation;

impl Master {
    pub(super) fn http_reserve(&mut self, request: Request, cx: &mut Ctx<Self>) -> Answer {
        self.operate(request, cx, "resources", |resources, source| Operation {
            r#type: Some(Type::Reserve.into()),
            reserve: Some(operation::Reserve { resources, source }),
            ..Default::default()
        })
    }

    pub(super) fn http_unreserve(&mut self, request: Request, cx: &mut Ctx<Self>) -> Answer {
        self.operate(request, cx, "resources", |resources, _| Operation {
            r#type: Some(Type::Unreserve.into()),
            unreserve: Some(operation::Unreserve { resources }),
            ..Default::default()
        })
    }

    pub(super) fn http_create_volumes(&mut self, request: Request, cx: &mut Ctx<Self>) -> Answer {
        self.operate(request, cx, "volumes", |volumes, _| Operation {
            r#type: Some(Type::Create.into()),
            create: Some(operation::Create { volumes }),
            ..Default::default()
        })
    }

    pub(super) fn http_destroy_volumes(&mut self, request: Request, cx: &mut Ctx<Self>) -> Answer {
        self.operate(request, cx, "volumes", |volumes, _| Operation {
            r#type: Some(Type::Destroy.into()),
            destroy: Some(operation::Destroy { volumes }),
            ..Default::default()
        })
    }

    fn operate(
        &mut self,
        request: Request,
        cx: &mut Ctx<Self>,
        list: &'static str,
        make: Make,
    ) -> Answer {
        self.guarded(request, cx, |master, request, cx| {
            let principal = viewer::principal(&request);
            match read(&request, list, make) {
                Err(refusal) => refusal.into(),
                Ok((slave, operation)) => {
                    let response = master.operate_as(&slave, principal.as_deref(), &operation, cx);
                    response.into()
                }
            }
        })
    }

    /// Carries an operator's operation out.
    pub(super) fn operate_as(
        &mut self,
        slave: &SlaveId,
        principal: Option<&str>,
        operation: &Operation,
        cx: &mut Ctx<Self>,
    ) -> Response {
        let mut response = Response::status(500);
        self.decide(cx, |state, fx| {
            response = match operate(state, slave, principal, operation, fx) {
                Ok(()) => Response::status(202),
                Err(refusal) => refusal,
            };
        });
        response
    }
}

fn read(request: &Request, list: &str, make: Make) -> Result<(SlaveId, Operation), Response> {
    let form = form::form(request)?;
    let slave = SlaveId::new(form::field(&form, "slaveId")?);
    let resources = form::messages(&form::json(form::field(&form, list)?.as_bytes())?)?;
    let source = match form.get("source") {
        None => Vec::new(),
        Some(text) => form::messages(&form::json(text.as_bytes())?)?,
    };
    Ok((slave, make(resources, source)))
}

/// Applies an operation to what nobody uses; offers in its way are taken back.
fn operate(
    state: &mut State,
    id: &SlaveId,
    principal: Option<&str>,
    operation: &Operation,
    fx: &mut Effects,
) -> Result<(), Response> {
    let used = state.used_on(id).once_each();
    let Some(slave) = state.slaves.get(id) else {
        return Err(Response::bad_request("No agent found with specified ID"));
    };
    if !may_operate(state.config.acls.as_ref(), principal, operation) {
        return Err(Response::status(403));
    }
    let at = At { slave, framework: None, role: None, principal, used: &used };
    let kind = operation.r#type().as_str_name();
    let conversion = convert(operation, &at)
        .map_err(|error| Response::bad_request(format!("Invalid {kind} operation: {error}")))?;
    if operation.r#type() == Type::Destroy {
        rescind_holding(state, id, &conversion.consumed, fx);
    }
    let mut free = state.free_on(id);
    for offer in state.offers.of_slave(id) {
        if free.contains(&conversion.consumed) {
            break;
        }
        rescind(state, &offer, true, fx);
        free = state.free_on(id);
    }
    apply(&free, &conversion).map_err(|error| Response::text(409, error.to_string()))?;
    apply_to_slave(state, id, None, operation, &conversion, fx);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::*;
    use protos::mesos::internal::{CheckpointResourcesMessage, RescindResourceOfferMessage};
    use protos::mesos::resource::{ReservationInfo, reservation_info::Type as Kind};

    fn reserve(text: &str) -> Operation {
        let info = ReservationInfo {
            r#type: Some(Kind::Dynamic.into()),
            role: Some("web".into()),
            ..Default::default()
        };
        let resources = resources(text).push_reservation(&info).to_wire();
        Operation {
            r#type: Some(Type::Reserve.into()),
            reserve: Some(operation::Reserve { resources, source: vec![] }),
            ..Default::default()
        }
    }

    #[test]
    fn operator_takes_offers_back_only_as_far_as_needed_and_never_what_is_used() {
        let cases = [("cpus:1", 0, 0), ("cpus:3", 1, 0), ("cpus:4", 1, 409), ("cpus:9", 1, 409)];
        for (text, rescinded, refused) in cases {
            let mut state = cluster();
            running(&mut state, "t");
            offered(&mut state, "cpus:2");
            let mut fx = Effects::default();
            let done = operate(&mut state, &s(), None, &reserve(text), &mut fx);
            assert_eq!(done.map_or_else(|r| r.status, |()| 0), refused, "{text}");
            assert_eq!(fx.sent::<RescindResourceOfferMessage>().len(), rescinded, "{text}");
            let told = fx.sent::<CheckpointResourcesMessage>().len();
            assert_eq!(told, usize::from(refused == 0), "{text}");
        }
    }

    #[test]
    fn operator_naming_no_slave_or_nonsense_is_refused() {
        let mut state = cluster();
        let mut fx = Effects::default();
        let unknown = operate(&mut state, &"x".into(), None, &reserve("cpus:1"), &mut fx);
        assert_eq!(unknown.unwrap_err().status, 400);
        let empty = Operation { r#type: Some(Type::Reserve.into()), ..Default::default() };
        assert_eq!(operate(&mut state, &s(), None, &empty, &mut fx).unwrap_err().status, 400);
        assert!(fx.0.is_empty());
    }
}
