//! From root to somebody with no more rights than he was given.

use std::ffi::CString;

use caps::{CapSet, Capability};
use isolators::LaunchInfo;
use nix::unistd::{Gid, Uid, User, getgrouplist, setgroups};
use protos::mesos::CapabilityInfo;

use super::apply::{HelperError, step};

/// Who to become.
pub(super) struct Identity {
    uid: Uid,
    gid: Gid,
    groups: Vec<Gid>,
}

/// Looks a user up; None when nobody else is to be become.
pub(super) fn resolve(info: &LaunchInfo) -> Result<Option<Identity>, HelperError> {
    let Some(name) = &info.user else { return Ok(None) };
    let what = || format!("look up user '{name}'");
    let missing = || std::io::Error::other("there is no such user");
    let user = step(User::from_name(name), what)?;
    let user = step(user.ok_or_else(missing), what)?;
    if user.uid == nix::unistd::geteuid() && info.supplementary_groups.is_empty() {
        return Ok(None);
    }
    let text = step(CString::new(name.as_str()).map_err(|_| missing()), what)?;
    let mut groups = step(getgrouplist(&text, user.gid), what)?;
    groups.extend(info.supplementary_groups.iter().map(|gid| Gid::from_raw(*gid)));
    Ok(Some(Identity { uid: user.uid, gid: user.gid, groups }))
}

/// Becomes the user, with the capabilities that are told, and gives up gaining any.
pub(super) fn drop_to(user: Option<Identity>, info: &LaunchInfo) -> Result<(), HelperError> {
    let effective = info.effective_capabilities.as_ref().map(set).transpose()?;
    // Who may do no more than that may never gain more either.
    let bounding = info.bounding_capabilities.as_ref().map(set).transpose()?;
    if let Some(bounding) = &bounding {
        bound(bounding)?;
    }
    if let Some(user) = user {
        if effective.is_some() {
            let kept = caps::securebits::set_keepcaps(true);
            step(kept.map_err(std::io::Error::other), || "keep capabilities".to_owned())?;
        }
        step(setgroups(&user.groups), || "set supplementary groups".to_owned())?;
        step(nix::unistd::setgid(user.gid), || format!("become group {}", user.gid))?;
        step(nix::unistd::setuid(user.uid), || format!("become user {}", user.uid))?;
    }
    if let Some(effective) = &effective {
        grant(effective)?;
    }
    if info.no_new_privileges() {
        let set = nix::sys::prctl::set_no_new_privs();
        step(set, || "give up gaining privileges".to_owned())?;
    }
    Ok(())
}

fn bound(kept: &[Capability]) -> Result<(), HelperError> {
    for capability in caps::runtime::thread_all_supported() {
        if !kept.contains(&capability) {
            let dropped = caps::drop(None, CapSet::Bounding, capability);
            step(dropped.map_err(std::io::Error::other), || format!("give up {capability}"))?;
        }
    }
    Ok(())
}

/// Capabilities hold now and, by the ambient set, after exec too.
fn grant(granted: &[Capability]) -> Result<(), HelperError> {
    let what = |set: CapSet| move || format!("set {set:?} capabilities");
    // Effective ones are among the permitted, so those that go must go from there first.
    for (set, capabilities) in [
        (CapSet::Effective, &[][..]),
        (CapSet::Permitted, granted),
        (CapSet::Effective, granted),
        (CapSet::Inheritable, granted),
        (CapSet::Ambient, granted),
    ] {
        let done = caps::set(None, set, &capabilities.iter().copied().collect());
        step(done.map_err(std::io::Error::other), what(set))?;
    }
    Ok(())
}

fn set(info: &CapabilityInfo) -> Result<Vec<Capability>, HelperError> {
    let named = info.capabilities().map(|capability| {
        let name = format!("CAP_{}", capability.as_str_name());
        let unknown = |_| HelperError::LaunchInfo(format!("there is no capability {name}"));
        name.parse::<Capability>().map_err(unknown)
    });
    named.collect()
}
