//! Machines that are drained or down, and the schedule that says when.

use protos::mesos::machine_info::Mode;
use protos::mesos::maintenance::{Schedule, Window};
use protos::mesos::{MachineId, MachineInfo, Unavailability};

use super::Slave;
use crate::registrar::same_machine;

/// What operators plan.
#[derive(Debug, Clone, Default)]
pub(crate) struct Maintenance {
    pub(crate) schedule: Option<Schedule>,
    pub(crate) machines: Vec<MachineInfo>,
}

/// The machine that a slave is on.
pub(crate) fn machine_of(slave: &Slave) -> MachineId {
    machine_at(&slave.info.hostname, &slave.pid)
}

fn machine_at(hostname: &str, pid: &libprocess::Pid) -> MachineId {
    MachineId { hostname: Some(hostname.to_owned()), ip: Some(pid.address().ip().to_string()) }
}

/// A machine's name may leave one of its parts out, which then does not matter.
fn names(name: &MachineId, machine: &MachineId) -> bool {
    let (mut name, machine) = (name.clone(), machine.clone());
    if name.hostname().is_empty() {
        name.hostname = machine.hostname.clone();
    }
    if name.ip().is_empty() {
        name.ip = machine.ip.clone();
    }
    same_machine(&name, &machine)
}

impl Maintenance {
    fn of(&self, machine: &MachineId) -> Option<&MachineInfo> {
        self.machines.iter().find(|info| names(&info.id, machine))
    }

    /// When the slave's machine will not be available, if that is planned.
    pub(crate) fn unavailability(&self, slave: &Slave) -> Option<&Unavailability> {
        self.of(&machine_of(slave))?.unavailability.as_ref()
    }

    /// True when the machine with that name and address is down.
    pub(crate) fn is_down(&self, hostname: &str, pid: &libprocess::Pid) -> bool {
        self.of(&machine_at(hostname, pid)).is_some_and(|info| info.mode() == Mode::Down)
    }

    /// True when the slave is on that machine.
    pub(crate) fn is_on(machine: &MachineId, slave: &Slave) -> bool {
        names(machine, &machine_of(slave))
    }

    /// The mode of a machine by its own name.
    pub(crate) fn mode(&self, id: &MachineId) -> Option<Mode> {
        self.machines.iter().find(|info| same_machine(&info.id, id)).map(MachineInfo::mode)
    }

    /// Checks a schedule that is to take the place of the present one.
    ///
    /// # Errors
    /// The first rule broken.
    pub(crate) fn validate(&self, schedule: &Schedule) -> Result<(), String> {
        let mut seen: Vec<&MachineId> = Vec::new();
        for window in &schedule.windows {
            validate_window(window)?;
            for id in &window.machine_ids {
                validate_machine(id)?;
                if seen.iter().any(|other| same_machine(other, id)) {
                    return Err(format!("machine '{}' is in the schedule twice", name(id)));
                }
                seen.push(id);
            }
        }
        let down = self.machines.iter().filter(|info| info.mode() == Mode::Down);
        for info in down {
            if !seen.iter().any(|id| same_machine(id, &info.id)) {
                let name = name(&info.id);
                return Err(format!("machine '{name}' is down and cannot leave the schedule"));
            }
        }
        Ok(())
    }

    /// Checks that all these machines are in the given mode.
    ///
    /// # Errors
    /// The first machine that is not.
    pub(crate) fn all_in(&self, ids: &[MachineId], mode: Mode) -> Result<(), String> {
        if ids.is_empty() {
            return Err("list of machines is empty".to_owned());
        }
        for (at, id) in ids.iter().enumerate() {
            validate_machine(id)?;
            let name = name(id);
            if ids.iter().take(at).any(|other| same_machine(other, id)) {
                return Err(format!("machine '{name}' is listed twice"));
            }
            match self.mode(id) {
                None => return Err(format!("machine '{name}' is not part of a schedule")),
                Some(found) if found != mode => {
                    let (found, mode) = (found.as_str_name(), mode.as_str_name());
                    return Err(format!("machine '{name}' is in mode {found}, not {mode}"));
                }
                Some(_) => {}
            }
        }
        Ok(())
    }
}

fn name(id: &MachineId) -> String {
    let parts = [id.hostname(), id.ip()];
    let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    parts.join("/")
}

fn validate_window(window: &Window) -> Result<(), String> {
    if window.machine_ids.is_empty() {
        return Err("a window has no machines".to_owned());
    }
    let duration = window.unavailability.duration.as_ref();
    if duration.is_some_and(|duration| duration.nanoseconds < 0) {
        return Err("duration of an unavailability is negative".to_owned());
    }
    Ok(())
}

fn validate_machine(id: &MachineId) -> Result<(), String> {
    if id.hostname().is_empty() && id.ip().is_empty() {
        return Err("a machine has neither hostname nor ip".to_owned());
    }
    if !id.ip().is_empty() && id.ip().parse::<std::net::IpAddr>().is_err() {
        return Err(format!("ip '{}' of a machine is no address", id.ip()));
    }
    Ok(())
}
