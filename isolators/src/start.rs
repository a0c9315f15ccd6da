//! Starts the isolators that the flags name.

use std::sync::Arc;

use libprocess::Node;

use crate::cgroups::plain::{Cpuset, Hugetlb, NetPrio, Pids};
use crate::cgroups::{
    CgroupIsolator, Controller, Hierarchies, Version, blkio::Blkio, cpu::Cpu,
    devices as cgroup_devices, mem::Mem, net_cls::NetCls, perf_event::PerfEvent,
};
use crate::disk_du::DiskDu;
use crate::docker::runtime::DockerRuntime;
use crate::environment_secret::EnvironmentSecret;
use crate::filesystem::{linux::FilesystemLinux, posix::FilesystemPosix, shared::FilesystemShared};
use crate::front::{self, IsolatorProcess};
use crate::linux::capabilities::Capabilities;
use crate::linux::devices::Devices;
use crate::linux::nnp::NoNewPrivileges;
use crate::linux::seccomp::Seccomp;
use crate::namespaces::{ipc::IpcNamespace, pid::PidNamespace};
use crate::network::cni::Cni;
use crate::network::ports::Ports;
use crate::options::Options;
use crate::posix_cpu::PosixCpu;
use crate::posix_mem::PosixMem;
use crate::posix_rlimits::PosixRlimits;
use crate::preparer::{Prepared, Preparer};
use crate::select::{self, SelectError};
use crate::volume::host_path::HostPath;
use crate::volume::image::ImageVolumes;
use crate::volume::sandbox_path::SandboxPath;
use crate::volume::secret::SecretVolumes;
use crate::{Isolator, tree};

type Started = Result<Arc<dyn Isolator>, SelectError>;

/// Starts the isolators that options name, on a node, in the order in which they run.
///
/// # Errors
/// When the flag `isolation` cannot be served, or an isolator lacks something.
pub fn start(node: &Node, options: &Options) -> Result<Vec<Arc<dyn Isolator>>, SelectError> {
    let modules = &options.modules.0;
    let (theirs, ours): (Vec<&str>, Vec<&str>) =
        options.isolation.split(',').partition(|name| modules.contains_key(*name));
    let mut names = select::select(&ours)?;
    select::check_unique(&theirs)?;
    let mut starter =
        Starter { node, options, hierarchies: None, processes: tree::Shared::default() };
    if names.contains(&ALL) {
        let all = starter.all()?;
        names = select::expand(&names, &all);
    }
    select::check(&names, options)?;
    let mut started: Vec<_> =
        names.iter().map(|name| starter.start(name, &names)).collect::<Result<_, _>>()?;
    for name in theirs {
        if let Some(factory) = modules.get(name) {
            started.push(factory(node, options).map_err(|reason| unusable(name, reason))?);
        }
    }
    Ok(started)
}

const ALL: &str = "cgroups/all";

struct Starter<'a> {
    node: &'a Node,
    options: &'a Options,
    hierarchies: Option<Hierarchies>,
    processes: tree::Shared,
}

fn unusable(isolator: &str, reason: impl ToString) -> SelectError {
    SelectError::Unusable { isolator: isolator.to_owned(), reason: reason.to_string() }
}

impl Starter<'_> {
    fn hierarchies(&mut self, isolator: &str) -> Result<&mut Hierarchies, SelectError> {
        if self.hierarchies.is_none() {
            let options = self.options;
            let found = Hierarchies::of_host(&options.cgroups_hierarchy, &options.cgroups_root);
            self.hierarchies = Some(found.map_err(|error| unusable(isolator, error))?);
        }
        self.hierarchies.as_mut().ok_or_else(|| unusable(isolator, "there are no cgroups"))
    }

    /// What `cgroups/all` stands for: what the kernel offers.
    fn all(&mut self) -> Result<Vec<&'static str>, SelectError> {
        let hierarchies = self.hierarchies(ALL)?;
        let mut names = Vec::new();
        offered::<Blkio>(hierarchies, &mut names);
        offered::<Cpu>(hierarchies, &mut names);
        offered::<Cpuset>(hierarchies, &mut names);
        offered::<cgroup_devices::Devices>(hierarchies, &mut names);
        offered::<Hugetlb>(hierarchies, &mut names);
        offered::<Mem>(hierarchies, &mut names);
        offered::<NetCls>(hierarchies, &mut names);
        offered::<NetPrio>(hierarchies, &mut names);
        offered::<PerfEvent>(hierarchies, &mut names);
        offered::<Pids>(hierarchies, &mut names);
        Ok(names)
    }

    fn cgroup<C: Controller>(&mut self, controller: C) -> Started {
        let name = C::NAME;
        let hierarchy = self.options.cgroups_hierarchy.clone();
        let found = self.hierarchies(name)?;
        for needed in C::controllers(found.version()).unwrap_or_default() {
            found.ensure(needed, &hierarchy).map_err(|error| unusable(name, error))?;
        }
        let found = Arc::new(found.clone());
        found.move_agent(std::process::id()).map_err(|error| unusable(name, error))?;
        let isolator = CgroupIsolator::new(controller, found, self.options.cgroups_destroy_timeout);
        let isolator = isolator.map_err(|error| unusable(name, error))?;
        Ok(front::start(self.node, isolator.within(&self.options.work_dir)))
    }

    /// Whether the kernel has a control file of version 1 that a flag needs.
    fn has(
        &mut self,
        isolator: &str,
        controller: &str,
        file: &str,
        flag: &str,
    ) -> Result<(), SelectError> {
        let hierarchy = self.options.cgroups_hierarchy.clone();
        let found = self.hierarchies(isolator)?;
        let told = |error: crate::cgroups::CgroupError| unusable(isolator, error);
        found.ensure(controller, &hierarchy).map_err(told)?;
        let point = found.mount_point(controller).map_err(told)?;
        if found.version() == Version::V1 && !point.join(file).exists() {
            return Err(unusable(isolator, format!("{flag} needs a kernel with '{file}'")));
        }
        Ok(())
    }

    fn prepared<P: Preparer>(&self, preparer: P) -> Started {
        Ok(front::start(self.node, Prepared::new(preparer)))
    }

    fn start(&mut self, name: &'static str, names: &[&'static str]) -> Started {
        let (node, options) = (self.node, self.options);
        let told = |reason: String| unusable(name, reason);
        match name {
            PosixCpu::NAME => Ok(front::start(node, PosixCpu::new(self.processes.clone()))),
            PosixMem::NAME => Ok(front::start(node, PosixMem::new(self.processes.clone()))),
            PosixRlimits::NAME => self.prepared(PosixRlimits),
            FilesystemPosix::NAME => Ok(front::start(node, FilesystemPosix::new(options))),
            FilesystemShared::NAME => self.prepared(FilesystemShared),
            FilesystemLinux::NAME => {
                Ok(front::start(node, FilesystemLinux::new(options).map_err(told)?))
            }
            Cni::NAME => Ok(front::start(node, Cni::new(options).map_err(told)?)),
            Ports::NAME => Ok(front::start(node, Ports::new(options).map_err(told)?)),
            DiskDu::NAME => Ok(front::start(node, DiskDu::new(options))),
            EnvironmentSecret::NAME => self.prepared(EnvironmentSecret),
            Capabilities::NAME => self.prepared(Capabilities::new(options).map_err(told)?),
            Devices::NAME => self.prepared(Devices::new(options).map_err(told)?),
            NoNewPrivileges::NAME => self.prepared(NoNewPrivileges),
            Seccomp::NAME => self.prepared(Seccomp::new(options).map_err(told)?),
            IpcNamespace::NAME => self.prepared(IpcNamespace::new(options)),
            PidNamespace::NAME => self.prepared(PidNamespace::new(options)),
            HostPath::NAME => self.prepared(HostPath::new(options)),
            ImageVolumes::NAME => Ok(front::start(node, ImageVolumes::new(options))),
            DockerRuntime::NAME => self.prepared(DockerRuntime),
            SecretVolumes::NAME => self.prepared(SecretVolumes::new(options).map_err(told)?),
            SandboxPath::NAME => {
                let binds = names.contains(&FilesystemLinux::NAME);
                self.prepared(SandboxPath::new(options, binds))
            }
            _ => self.start_cgroup(name),
        }
    }

    fn start_cgroup(&mut self, name: &'static str) -> Started {
        let options = self.options;
        let told = |error: crate::cgroups::CgroupError| unusable(name, error);
        match name {
            Blkio::NAME => self.cgroup(Blkio),
            Cpu::NAME => {
                if options.cgroups_enable_cfs {
                    self.has(name, "cpu", "cpu.cfs_quota_us", "--cgroups_enable_cfs")?;
                }
                self.cgroup(Cpu::new(options))
            }
            Cpuset::NAME => self.cgroup(Cpuset),
            cgroup_devices::Devices::NAME => {
                self.cgroup(cgroup_devices::Devices::new(options).map_err(told)?)
            }
            Hugetlb::NAME => self.cgroup(Hugetlb),
            Mem::NAME => {
                let flag = "--cgroups_limit_swap";
                if options.cgroups_limit_swap {
                    self.has(name, "memory", "memory.memsw.limit_in_bytes", flag)?;
                    if self.hierarchies(name)?.version() == Version::V2 {
                        slog::warn!(self.node.log(), "{flag} has no effect on cgroups version 2");
                    }
                }
                self.cgroup(Mem::new(options))
            }
            NetCls::NAME => self.cgroup(NetCls::new(options).map_err(told)?),
            NetPrio::NAME => self.cgroup(NetPrio),
            PerfEvent::NAME => self.cgroup(PerfEvent::new(options).map_err(told)?),
            Pids::NAME => self.cgroup(Pids),
            other => Err(SelectError::NotBuilt(other.to_owned())),
        }
    }
}

fn offered<C: Controller>(hierarchies: &Hierarchies, names: &mut Vec<&'static str>) {
    let needed = C::controllers(hierarchies.version());
    if needed.is_some_and(|needed| needed.iter().all(|name| hierarchies.offers(name))) {
        names.push(C::NAME);
    }
}
