//! Shapes of limitations.

use protos::mesos;
use protos::mesos::task_status::Reason;

use crate::launch::Limitation;

/// A limitation by one scalar resource, for all roles.
pub fn scalar(reason: Reason, message: String, name: &str, amount: f64) -> Limitation {
    let resource = mesos::Resource {
        name: name.to_owned(),
        r#type: mesos::value::Type::Scalar as i32,
        scalar: Some(mesos::value::Scalar { value: amount }),
        role: Some("*".to_owned()),
        ..Default::default()
    };
    Limitation { resources: vec![resource], message: Some(message), reason: Some(reason as i32) }
}
