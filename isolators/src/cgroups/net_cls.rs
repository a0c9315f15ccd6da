//! `cgroups/net_cls`: packets of a container carry a number that the operator's traffic rules know.
//! Version 1 only.

use std::collections::{BTreeMap, BTreeSet};

use protos::ids::ContainerId;
use protos::mesos::{ContainerStatus, cgroup_info::NetCls as NetClsInfo};

use super::{CgroupError, Controller, Group, Version};
use crate::options::Options;
use crate::setup::ContainerSetup;

const NET_CLS: &str = "net_cls";

/// Hands out secondary handles below one primary handle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handles {
    primary: u16,
    first: u16,
    last: u16,
    used: BTreeSet<u16>,
}

/// A handle, decimal or hexadecimal with `0x`.
fn handle(text: &str) -> Result<u16, CgroupError> {
    let parsed = match text.strip_prefix("0x") {
        Some(hex) => u16::from_str_radix(hex, 16),
        None => text.parse(),
    };
    parsed.map_err(|_| CgroupError::Other(format!("'{text}' is no 16-bit handle of net_cls")))
}

impl Handles {
    /// Reads the flags `cgroups_net_cls_primary_handle` and `cgroups_net_cls_secondary_handles`: a
    /// range `first,last`, all but 0 when it is absent. None without a primary handle: containers
    /// get no number then.
    ///
    /// # Errors
    /// When a flag cannot be read.
    pub fn new(primary: Option<&str>, range: Option<&str>) -> Result<Option<Self>, CgroupError> {
        let Some(primary) = primary else { return Ok(None) };
        let primary = handle(primary)?;
        let (first, last) = match range {
            None => (1, u16::MAX),
            Some(range) => {
                let bad = || CgroupError::Other(format!("'{range}' is no range of handles"));
                let (first, last) = range.split_once(',').ok_or_else(bad)?;
                let (first, last) = (handle(first)?, handle(last)?);
                if first == 0 || first > last {
                    return Err(bad());
                }
                (first, last)
            }
        };
        Ok(Some(Self { primary, first, last, used: BTreeSet::new() }))
    }

    /// The lowest free one, as a class id: the primary handle in the high half.
    ///
    /// # Errors
    /// When all are in use.
    pub fn take(&mut self) -> Result<u32, CgroupError> {
        let free = (self.first..=self.last).find(|handle| !self.used.contains(handle));
        let free =
            free.ok_or_else(|| CgroupError::Other("all handles of net_cls are used".into()))?;
        self.used.insert(free);
        Ok((u32::from(self.primary) << 16) | u32::from(free))
    }

    /// One that a container of an earlier slave has.
    ///
    /// # Errors
    /// When it is not ours to give, or another container has it.
    pub fn reserve(&mut self, class: u32) -> Result<(), CgroupError> {
        let secondary = class as u16;
        let is_ours =
            class >> 16 == u32::from(self.primary) && (self.first..=self.last).contains(&secondary);
        if !is_ours || !self.used.insert(secondary) {
            return Err(CgroupError::Other(format!("class {class:#010x} cannot be kept")));
        }
        Ok(())
    }

    /// Gives one back.
    pub fn release(&mut self, class: u32) {
        self.used.remove(&(class as u16));
    }
}

/// The controller.
#[derive(Debug)]
pub struct NetCls {
    handles: Option<Handles>,
    classes: BTreeMap<ContainerId, u32>,
}

impl NetCls {
    /// As the flags say.
    ///
    /// # Errors
    /// As [`Handles::new`].
    pub fn new(options: &Options) -> Result<Self, CgroupError> {
        let primary = options.cgroups_net_cls_primary_handle.as_deref();
        let range = options.cgroups_net_cls_secondary_handles.as_deref();
        Ok(Self { handles: Handles::new(primary, range)?, classes: BTreeMap::new() })
    }
}

impl Controller for NetCls {
    const NAME: &'static str = "cgroups/net_cls";

    fn controllers(version: Version) -> Option<&'static [&'static str]> {
        (version == Version::V1).then_some(&[NET_CLS])
    }

    fn prepare(
        &mut self,
        id: &ContainerId,
        group: &Group,
        _: &ContainerSetup,
    ) -> Result<(), CgroupError> {
        let Some(handles) = &mut self.handles else { return Ok(()) };
        let class = handles.take()?;
        self.classes.insert(id.clone(), class);
        group.write(NET_CLS, "net_cls.classid", &class.to_string())
    }

    fn recover(
        &mut self,
        id: &ContainerId,
        group: &Group,
        _: &ContainerSetup,
    ) -> Result<(), CgroupError> {
        let Some(handles) = &mut self.handles else { return Ok(()) };
        let class = group.number(NET_CLS, "net_cls.classid")?;
        if class != 0 {
            handles.reserve(class)?;
            self.classes.insert(id.clone(), class);
        }
        Ok(())
    }

    fn status(&self, id: &ContainerId, into: &mut ContainerStatus) {
        if let Some(class) = self.classes.get(id) {
            let info = into.cgroup_info.get_or_insert_default();
            info.net_cls = Some(NetClsInfo { classid: Some(*class) });
        }
    }

    fn cleanup(&mut self, id: &ContainerId) {
        if let (Some(class), Some(handles)) = (self.classes.remove(id), &mut self.handles) {
            handles.release(class);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cgroups::fake::Fake;

    fn handles() -> Handles {
        Handles::new(Some("0x0012"), Some("0x0001,0x0002")).unwrap().unwrap()
    }

    #[test]
    fn net_cls_handles_are_given_taken_back_and_run_out() {
        let mut handles = handles();
        assert_eq!(handles.take().unwrap(), 0x0012_0001);
        assert_eq!(handles.take().unwrap(), 0x0012_0002);
        assert!(handles.take().is_err());
        handles.release(0x0012_0001);
        assert_eq!(handles.take().unwrap(), 0x0012_0001);
    }

    #[test]
    fn net_cls_handles_of_earlier_containers_are_kept_once() {
        let mut handles = handles();
        handles.reserve(0x0012_0001).unwrap();
        assert!(handles.reserve(0x0012_0001).is_err());
        assert!(handles.reserve(0x0013_0002).is_err());
        assert!(handles.reserve(0x0012_0009).is_err());
        assert_eq!(handles.take().unwrap(), 0x0012_0002);
    }

    #[test]
    fn net_cls_flags_that_make_no_sense_are_refused() {
        assert_eq!(Handles::new(None, Some("1,2")).unwrap(), None);
        for (primary, range) in
            [("0x12345", None), ("x", None), ("1", Some("5")), ("1", Some("3,2"))]
        {
            assert!(Handles::new(Some(primary), range).is_err(), "{primary} {range:?}");
        }
    }

    #[test]
    fn net_cls_class_is_written_and_told() {
        let fake = Fake::separate(&[(NET_CLS, "net_cls.classid", "0")]);
        let mut net_cls = NetCls { handles: Some(handles()), classes: BTreeMap::new() };
        let id = ContainerId::new("c");
        net_cls.prepare(&id, &fake.group, &ContainerSetup::default()).unwrap();
        assert_eq!(fake.text(NET_CLS, "net_cls.classid"), 0x0012_0001.to_string());
        let mut status = ContainerStatus::default();
        net_cls.status(&id, &mut status);
        assert_eq!(status.cgroup_info.unwrap().net_cls.unwrap().classid(), 0x0012_0001);
        net_cls.cleanup(&id);
        assert!(net_cls.handles.unwrap().used.is_empty());
    }
}
