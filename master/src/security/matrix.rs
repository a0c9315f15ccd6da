//! What frameworks and slaves ask for over messages, against each list of the ACLs: the list that is
//! about it refuses it, and no other does. (What operators ask for is walked by curl.)

use std::collections::BTreeSet;

use protos::mesos::internal::{FrameworkErrorMessage, RegisterSlaveMessage};
use protos::mesos::offer::{Operation, operation, operation::Type};
use protos::mesos::task_status::Reason;
use protos::mesos::{self, SlaveInfo, TaskState};
use serde_json::json;

use crate::calls::accept::{Accept, accept};
use crate::calls::subscribe::{Subscribe, subscribe};
use crate::effects::{Effect, Effects};
use crate::slaves::register::register;
use crate::state::State;
use crate::testing::*;

/// Asks; true when that was refused for want of permission.
type Ask = fn(&mut State) -> bool;

/// List, kind of its objects, who asks for what it is about.
const MATRIX: [(&str, &str, Ask); 9] = [
    ("register_frameworks", "roles", subscribes),
    ("register_agents", "agents", registers),
    ("run_tasks", "users", launches),
    ("run_tasks", "users", launches_a_group),
    ("reserve_resources", "roles", |state| operates(state, &reserve())),
    ("unreserve_resources", "reserver_principals", |state| operates(state, &unreserve())),
    ("create_volumes", "roles", |state| operates(state, &create())),
    ("destroy_volumes", "creator_principals", |state| operates(state, &destroy())),
    ("resize_volumes", "roles", |state| operates(state, &grow()) && operates(state, &shrink())),
];

fn subscribes(state: &mut State) -> bool {
    let mut info = framework_info();
    info.principal = Some("p".to_owned());
    let call = Subscribe { info, force: false, suppressed: BTreeSet::new(), constraints: None };
    let from = pid("another(1)@10.0.0.4:1");
    let fx = decide(state, |state, fx| subscribe(state, &from, call, NOW, fx));
    fx.sent::<FrameworkErrorMessage>().iter().any(|(_, m)| m.message.starts_with("Not authorized"))
}

fn registers(state: &mut State) -> bool {
    let slave = SlaveInfo { id: None, ..slave_info() };
    let version = Some("1.11.0".to_owned());
    let message = RegisterSlaveMessage { slave, version, ..Default::default() };
    let from = pid("slave(1)@10.0.0.5:5051");
    let fx = decide(state, |state, fx| register(state, &from, message, fx));
    let admitted = fx.0.iter().any(|effect| matches!(effect, Effect::Registry { .. }));
    assert_eq!(admitted, refusals(&fx).is_empty());
    !admitted
}

fn accepts(state: &mut State, operation: Operation) -> Effects {
    let offer = offered(state, "cpus:3;mem:256");
    let (offers, operations) = (vec![offer], vec![operation]);
    let call = Accept { framework: f(), offers, operations, refuse_for: None };
    decide(state, |state, fx| accept(state, call, NOW, fx))
}

fn unauthorized(fx: &Effects) -> bool {
    let reasons = [Reason::TaskUnauthorized.into(), Reason::TaskGroupUnauthorized.into()];
    updates(fx)
        .iter()
        .any(|(_, state, reason)| *state == TaskState::TaskError && reasons.contains(reason))
}

fn launches(state: &mut State) -> bool {
    unauthorized(&accepts(state, launch(vec![task_info("t")])))
}

fn launches_a_group(state: &mut State) -> bool {
    let mut executor = executor_info("e");
    let kind = mesos::executor_info::Type::Default;
    (executor.r#type, executor.command) = (Some(kind.into()), None);
    let task_group = mesos::TaskGroupInfo { tasks: vec![task_info("t")] };
    unauthorized(&accepts(
        state,
        Operation {
            r#type: Some(Type::LaunchGroup.into()),
            launch_group: Some(operation::LaunchGroup { executor, task_group }),
            ..Default::default()
        },
    ))
}

/// Other rules refuse these, too, as nothing is reserved: only the permission counts here.
fn operates(state: &mut State, operation: &Operation) -> bool {
    let fx = accepts(state, operation.clone());
    let errors = fx.sent::<FrameworkErrorMessage>();
    let told = errors.iter().any(|(_, m)| m.message.contains("Not authorized"));
    told || refusals(&fx).iter().any(|why| why.contains("Not authorized"))
}

fn volume() -> mesos::Resource {
    crate::operations::tests::volume("v", 8.0)
}

fn of_type(kind: Type) -> Operation {
    Operation { r#type: Some(kind.into()), ..Default::default() }
}

fn reserve() -> Operation {
    let resources = crate::operations::tests::reserved("cpus:1");
    let reserve = operation::Reserve { resources, source: vec![] };
    Operation { reserve: Some(reserve), ..of_type(Type::Reserve) }
}

fn unreserve() -> Operation {
    let resources = crate::operations::tests::reserved("cpus:1");
    Operation { unreserve: Some(operation::Unreserve { resources }), ..of_type(Type::Unreserve) }
}

fn create() -> Operation {
    let create = operation::Create { volumes: vec![volume()] };
    Operation { create: Some(create), ..of_type(Type::Create) }
}

fn destroy() -> Operation {
    let destroy = operation::Destroy { volumes: vec![volume()] };
    Operation { destroy: Some(destroy), ..of_type(Type::Destroy) }
}

fn grow() -> Operation {
    let addition = crate::operations::tests::reserved("disk:1").remove(0);
    let grow = operation::GrowVolume { volume: volume(), addition };
    Operation { grow_volume: Some(grow), ..of_type(Type::GrowVolume) }
}

fn shrink() -> Operation {
    let subtract = mesos::value::Scalar { value: 1.0 };
    let shrink = operation::ShrinkVolume { volume: volume(), subtract };
    Operation { shrink_volume: Some(shrink), ..of_type(Type::ShrinkVolume) }
}

fn state(acls: &serde_json::Value) -> State {
    let mut state = cluster();
    state.frameworks.get_mut(&f()).unwrap().info.principal = Some("p".to_owned());
    std::sync::Arc::make_mut(&mut state.config).acls = Some(protos::json::from_json(acls).unwrap());
    state
}

#[test]
fn messages_are_refused_by_the_list_that_is_about_them_and_by_no_other() {
    for (list, objects, _) in MATRIX {
        let rule = json!({"principals": {"type": "ANY"}, objects: {"type": "NONE"}});
        for (other, _, ask) in MATRIX {
            let refused = ask(&mut state(&json!({ list: [rule] })));
            assert_eq!(refused, list == other, "{list} closed, {other} asked");
        }
    }
}

#[test]
fn messages_are_let_through_by_their_own_list_where_all_else_is_closed() {
    for (list, objects, ask) in MATRIX {
        let rule = json!({"principals": {"type": "ANY"}, objects: {"type": "ANY"}});
        let closed = json!({"permissive": false});
        assert!(ask(&mut state(&closed)), "{list}");
        assert!(!ask(&mut state(&json!({"permissive": false, list: [rule]}))), "{list}");
    }
}
