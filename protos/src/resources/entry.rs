//! One resource of a sum, and its wire forms.

use std::cmp::Ordering;

use prost::Message;

use super::value::{Amount, coalesce, from_fixed, to_fixed};
use super::{Entry, ResourceError, Template};
use crate::mesos;
use crate::mesos::resource::ReservationInfo;
use crate::mesos::resource::reservation_info::Type as ReservationType;

impl std::ops::Deref for Template {
    type Target = mesos::Resource;

    fn deref(&self) -> &mesos::Resource {
        &self.message
    }
}

impl Ord for Template {
    fn cmp(&self, other: &Self) -> Ordering {
        let names = self.message.name.cmp(&other.message.name);
        names.then_with(|| self.identity.cmp(&other.identity))
    }
}

impl PartialOrd for Template {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Template {
    fn eq(&self, other: &Self) -> bool {
        self.identity == other.identity
    }
}

impl Eq for Template {}

/// True for what is taken whole or not at all: persistent volumes and exclusive disks.
fn is_whole(resource: &mesos::Resource) -> bool {
    use mesos::resource::disk_info::source::Type as Source;
    let Some(disk) = &resource.disk else { return false };
    let exclusive = disk.source.as_ref().is_some_and(|source| {
        [Source::Mount, Source::Block, Source::Raw].contains(&source.r#type())
    });
    disk.persistence.is_some() || exclusive
}

/// The message with an amount.
fn with_amount(message: &mesos::Resource, amount: &Amount) -> mesos::Resource {
    let mut resource = message.clone();
    match amount {
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
    resource
}

impl Entry {
    /// An entry of a message without amount.
    pub(super) fn new(message: mesos::Resource, amount: Amount, count: u32) -> Self {
        let identity = if is_whole(&message) {
            // Its size is part of what it is: two volumes are never one larger volume.
            with_amount(&message, &amount).encode_to_vec().into()
        } else {
            message.encode_to_vec().into()
        };
        Self { template: Template { message, identity }.into(), amount, count }
    }

    /// True for what is taken whole or not at all: persistent volumes and exclusive disks.
    pub(super) fn is_whole(&self) -> bool {
        is_whole(&self.template)
    }

    pub(super) fn is_shared(&self) -> bool {
        self.template.shared.is_some()
    }

    /// The scalar amount; a shared volume counts once, however many hold it.
    pub(super) fn fixed(&self) -> i64 {
        match self.amount {
            Amount::Scalar(value) if self.is_shared() => value,
            Amount::Scalar(value) => value.saturating_mul(i64::from(self.count)),
            _ => 0,
        }
    }

    /// Adds another entry of the same key.
    pub(super) fn add(&mut self, other: &Entry) {
        if self.is_whole() {
            self.count = self.count.saturating_add(other.count);
        } else {
            self.amount.add(&other.amount);
        }
    }

    /// Takes another entry of the same key away; true when nothing is left.
    pub(super) fn subtract(&mut self, other: &Entry) -> bool {
        if self.is_whole() {
            self.count = self.count.saturating_sub(other.count);
            return self.count == 0;
        }
        self.amount.subtract(&other.amount);
        self.amount.is_empty()
    }

    /// Contains another entry of the same key.
    pub(super) fn contains(&self, other: &Entry) -> bool {
        if self.is_whole() {
            return self.count >= other.count;
        }
        self.amount.contains(&other.amount)
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
        Ok(Self::new(template, amount, 1))
    }

    /// The message with its amount, reservations as a stack.
    pub(super) fn with_amount(&self) -> mesos::Resource {
        with_amount(&self.template, &self.amount)
    }

    /// The form of the endpoints: old and new fields beside each other where the old ones can say it.
    pub(super) fn to_endpoint(&self) -> mesos::Resource {
        let old = self.to_wire();
        mesos::Resource {
            role: old.role,
            reservation: old.reservation,
            reservations: self.template.reservations.clone(),
            ..old
        }
    }

    pub(super) fn to_wire(&self) -> mesos::Resource {
        let mut resource = self.with_amount();
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
        if resource.reservations.iter().any(|r| matches!(r.role.as_deref(), None | Some("" | "*")))
        {
            return Err("a reservation has no role");
        }
        // The endpoints show both forms of a single reservation: they must say the same.
        let repeated = match resource.reservations.as_slice() {
            [one] => {
                role == one.role.as_deref() && same_details(one, resource.reservation.as_ref())
            }
            _ => false,
        };
        if !repeated && (resource.reservation.is_some() || role.is_some()) {
            return Err("old and new reservation fields contradict each other");
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

/// True when the old `reservation` field says what a stack of one says: nothing of static ones.
fn same_details(stacked: &ReservationInfo, old: Option<&ReservationInfo>) -> bool {
    match (stacked.r#type(), old) {
        (ReservationType::Dynamic, Some(old)) => {
            stacked.principal == old.principal && stacked.labels == old.labels
        }
        (ReservationType::Static, None) => true,
        _ => false,
    }
}
