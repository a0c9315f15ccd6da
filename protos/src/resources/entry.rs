//! One resource of a sum, and its wire forms.

use prost::Message;

use super::value::{Amount, coalesce, from_fixed, to_fixed};
use super::{Entry, Key, ResourceError};
use crate::mesos;
use crate::mesos::resource::ReservationInfo;
use crate::mesos::resource::reservation_info::Type as ReservationType;

impl Entry {
    pub(super) fn key(&self) -> Key {
        let identity = self.template.encode_to_vec().into();
        Key { name: self.template.name.clone(), identity }
    }

    pub(super) fn fixed(&self) -> i64 {
        match self.amount {
            Amount::Scalar(value) => value,
            _ => 0,
        }
    }

    pub(super) fn from_wire(resource: &mesos::Resource) -> Result<Self, ResourceError> {
        let invalid = |problem: &str| ResourceError::Invalid {
            name: resource.name.clone(),
            problem: problem.to_owned(),
        };
        if resource.name.is_empty() {
            return Err(invalid("name is empty"));
        }
        let kind = mesos::value::Type::try_from(resource.r#type);
        let amount = match (kind, &resource.scalar, &resource.ranges, &resource.set) {
            (Ok(mesos::value::Type::Scalar), Some(scalar), None, None) => {
                if !scalar.value.is_finite() || scalar.value < 0.0 || scalar.value > 1e15 {
                    return Err(invalid("amount is not a number from 0 on"));
                }
                Amount::Scalar(to_fixed(scalar.value))
            }
            (Ok(mesos::value::Type::Ranges), None, Some(ranges), None) => {
                if ranges.range.iter().any(|range| range.begin > range.end) {
                    return Err(invalid("a range ends before it begins"));
                }
                Amount::Ranges(coalesce(ranges.range.iter().map(|r| (r.begin, r.end)).collect()))
            }
            (Ok(mesos::value::Type::Set), None, None, Some(set)) => {
                Amount::Set(set.item.iter().cloned().collect())
            }
            _ => return Err(invalid("exactly the amount of its type must be set")),
        };
        let mut template = resource.clone();
        (template.scalar, template.ranges, template.set) = (None, None, None);
        template.reservations = reservation_stack(resource).map_err(invalid)?;
        (template.role, template.reservation) = (None, None);
        Ok(Self { template, amount })
    }

    pub(super) fn to_wire(&self) -> mesos::Resource {
        let mut resource = self.template.clone();
        match &self.amount {
            Amount::Scalar(value) => {
                resource.scalar = Some(mesos::value::Scalar { value: from_fixed(*value) });
            }
            Amount::Ranges(ranges) => {
                let range =
                    ranges.iter().map(|&(begin, end)| mesos::value::Range { begin, end }).collect();
                resource.ranges = Some(mesos::value::Ranges { range });
            }
            Amount::Set(items) => {
                resource.set = Some(mesos::value::Set { item: items.iter().cloned().collect() });
            }
        }
        if resource.reservations.len() <= 1 {
            let reservation = resource.reservations.pop();
            let role = reservation.as_ref().and_then(|r| r.role.clone());
            resource.role = Some(role.unwrap_or_else(|| "*".to_owned()));
            resource.reservation = reservation
                .filter(|r| r.r#type == Some(ReservationType::Dynamic.into()))
                .map(|r| ReservationInfo { r#type: None, role: None, ..r });
        }
        resource
    }
}

/// Old (`role`, `reservation`) and new (`reservations`) fields as one stack.
fn reservation_stack(resource: &mesos::Resource) -> Result<Vec<ReservationInfo>, &'static str> {
    let role = resource.role.as_deref().filter(|role| *role != "*");
    if !resource.reservations.is_empty() {
        if resource.reservation.is_some() || role.is_some() {
            return Err("old and new reservation fields exclude each other");
        }
        if resource.reservations.iter().any(|r| matches!(r.role.as_deref(), None | Some("" | "*")))
        {
            return Err("a reservation has no role");
        }
        return Ok(resource.reservations.clone());
    }
    match (role, &resource.reservation) {
        (None, None) => Ok(Vec::new()),
        (None, Some(_)) => Err("a dynamic reservation has no role"),
        (Some(role), reservation) => {
            let kind = match reservation {
                Some(_) => ReservationType::Dynamic,
                None => ReservationType::Static,
            };
            let mut info = reservation.clone().unwrap_or_default();
            info.role = Some(role.to_owned());
            info.r#type = Some(kind.into());
            Ok(vec![info])
        }
    }
}
