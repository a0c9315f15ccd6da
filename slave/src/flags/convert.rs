//! What flags mean for the slave and its containerizer.

use std::collections::BTreeMap;
use std::sync::Arc;

use protos::resources::Resources;

use super::Flags;
use crate::containerizer::ContainerizerOptions;
use crate::containerizer::docker::DockerOptions;
use crate::detection::{self, Host};
use crate::fetcher::{self, FetcherOptions};
use crate::logger::{self, LoggerOptions, Rotation};
use crate::oversubscription::{
    FixedEstimator, LoadQosController, NewController, NewEstimator, SlackEstimator,
};
use crate::{Config, Helpers, Recover, provisioner};

impl Flags {
    /// The slave's configuration; `effective` are the flags as `/flags` shows them.
    ///
    /// # Errors
    /// Text naming the flag that cannot be used.
    pub fn config(
        &self,
        hostname: String,
        effective: BTreeMap<String, String>,
    ) -> Result<Config, String> {
        let work_dir = self.work_dir.clone().ok_or("flag 'work_dir' is required")?;
        let work_dir =
            std::path::absolute(&work_dir).map_err(|error| format!("flag 'work_dir': {error}"))?;
        let host = Host::detect(&work_dir);
        let resources = detection::resources(self.resources.as_deref(), &self.default_role, host)
            .map_err(|error| format!("flag 'resources': {error}"))?;
        let attributes = protos::attributes::parse(self.attributes.as_deref().unwrap_or_default())
            .map_err(|error| format!("flag 'attributes': {error}"))?;
        Ok(Config {
            work_dir,
            hostname,
            resources,
            attributes,
            registration_backoff: self.registration_backoff_factor,
            credential: self.security.credential()?,
            authentication: self.security.patience(),
            executor_registration_timeout: self.executor_registration_timeout,
            executor_shutdown_grace: self.executor_shutdown_grace_period,
            recovery_timeout: self.recovery_timeout,
            recover: match self.recover.as_str() {
                "cleanup" => Recover::Cleanup,
                _ => Recover::Reconnect,
            },
            strict: self.strict,
            reconfiguration_policy: self
                .reconfiguration_policy
                .parse()
                .map_err(|error| format!("flag 'reconfiguration_policy': {error}"))?,
            executor_reregistration_timeout: self.executor_reregistration_timeout,
            executor_reregistration_retry: self.executor_reregistration_retry_interval,
            isolation: self.isolation.clone(),
            cgroups_enable_cfs: self.isolators.cgroups_enable_cfs,
            domain: self.domain.clone(),
            switch_user: self.switch_user,
            executor_environment: self.executor_environment_variables.clone().map(|e| e.0),
            max_completed_executors: self.max_completed_executors_per_framework,
            gc_delay: self.gc_delay,
            gc_disk_headroom: self.gc_disk_headroom,
            disk_watch_interval: self.disk_watch_interval,
            estimator: self.estimator()?,
            oversubscribed_interval: self.oversubscribed_resources_interval,
            controller: self.controller()?,
            qos_correction_interval: self.qos_correction_interval_min,
            helpers: self.helpers(),
            security: self.security.read()?,
            flags: self.in_force(effective),
            ..Config::default()
        })
    }

    /// What the containerizer is told; `config` is the slave's.
    ///
    /// # Errors
    /// Text naming the flag that cannot be used.
    pub fn containerizer(&self, config: &Config) -> Result<ContainerizerOptions, String> {
        let logger = self.logger(config)?;
        let provisioner = self.docker.provisioner(
            &config.helpers.containerizer,
            &config.work_dir,
            self.fetcher_stall_timeout,
        )?;
        if let Some(options) = &provisioner {
            provisioner::prepare(options)?;
        }
        Ok(ContainerizerOptions {
            isolation: self.isolation.clone(),
            fetcher: config.helpers.fetcher.clone(),
            frameworks_home: self.frameworks_home.clone(),
            fetching: self.fetching()?,
            launcher: self.launcher_kind(),
            logger,
            default_container: self.default_container_info.clone(),
            provisioner,
            helper: config.helpers.containerizer.clone(),
            isolators: self.isolators.clone().apply(isolators::Options {
                work_dir: config.work_dir.clone(),
                runtime_dir: self.runtime_dir(),
                cgroups_hierarchy: self.cgroups_hierarchy.clone(),
                cgroups_root: self.cgroups_root.clone(),
                cgroups_destroy_timeout: self.cgroups_destroy_timeout,
                agent_ports: ports(&config.resources),
                ..isolators::Options::default()
            }),
        })
    }

    /// What the fetcher is told. Root's cache is made before any task runs that could come first, and
    /// lead root elsewhere; another user changes no owners, and makes his when he needs it.
    fn fetching(&self) -> Result<FetcherOptions, String> {
        // Slaves of one host do not empty each other's.
        let cache_dir = self.fetcher_cache_dir.clone().unwrap_or_else(|| {
            std::env::temp_dir().join("mesos/fetch").join(self.port.to_string())
        });
        let cache_is_prepared = nix::unistd::geteuid().is_root();
        if cache_is_prepared {
            fetcher::prepare(&cache_dir)
                .map_err(|error| format!("flag 'fetcher_cache_dir': {error}"))?;
        }
        Ok(FetcherOptions {
            cache_dir,
            cache_is_prepared,
            cache_bytes: self.fetcher_cache_size.0,
            stall_timeout: self.fetcher_stall_timeout,
            hadoop_home: self.hadoop_home.clone(),
            ..FetcherOptions::default()
        })
    }

    /// What the containerizer of docker's containers is told; None when it is not wanted.
    ///
    /// # Errors
    /// Text naming the flag that cannot be used.
    pub fn docker(&self, config: &Config) -> Result<Option<DockerOptions>, String> {
        let mut wanted = false;
        for name in self.containerizers.split(',') {
            match name {
                "mesos" => {}
                "docker" => wanted = true,
                other => return Err(format!("flag 'containerizers': '{other}' is unknown")),
            }
        }
        Ok(wanted.then(|| DockerOptions {
            socket: self.docker.docker_socket.clone(),
            executor: config.helpers.docker_executor.clone(),
            mapped: self.isolators.sandbox_directory.clone(),
            work_dir: config.work_dir.clone(),
            hierarchy: self.cgroups_hierarchy.clone(),
            cfs: self.isolators.cgroups_enable_cfs,
            environment: config.executor_environment.clone().unwrap_or_default(),
            config: self.docker.docker_config.clone().map(|document| document.0),
            stop_timeout: self.docker.docker_stop_timeout,
            remove_delay: self.docker.docker_remove_delay,
            kill_orphans: self.docker.docker_kill_orphans,
        }))
    }

    /// True when the containerizer of one's own is wanted.
    pub fn mesos(&self) -> bool {
        self.containerizers.split(',').any(|name| name == "mesos")
    }

    fn parameter(&self, module: &str, key: &str) -> Option<&str> {
        self.modules.as_ref()?.parameter(module, key)
    }

    /// Who says what may be offered beyond what is allocated.
    fn estimator(&self) -> Result<Option<NewEstimator>, String> {
        match self.resource_estimator.as_deref() {
            None | Some("") => return Ok(None),
            Some(FixedEstimator::NAME) => {}
            Some(SlackEstimator::NAME) => return self.slack().map(Some),
            Some(other) => return Err(format!("flag 'resource_estimator': '{other}' is unknown")),
        }
        let text = self.parameter(FixedEstimator::NAME, "resources").unwrap_or_default();
        let resources = text.parse::<Resources>();
        let resources = resources.map_err(|error| format!("flag 'modules': {error}"))?;
        let fixed = FixedEstimator::new(&resources);
        Ok(Some(Arc::new(move || Box::new(fixed.clone()))))
    }

    fn slack(&self) -> Result<NewEstimator, String> {
        let get = |key: &str| self.parameter(SlackEstimator::NAME, key);
        let told = |key: &str, error: &dyn std::fmt::Display| {
            format!("flag 'modules': {}: {key}: {error}", SlackEstimator::NAME)
        };
        let time = |key: &str, default| match get(key) {
            None => Ok(default),
            Some(text) => protos::duration::parse(text).map_err(|error| told(key, &error)),
        };
        let mut estimator = SlackEstimator::default();
        estimator.half_life = time("half_life", estimator.half_life)?;
        estimator.warm_up = time("warm_up", estimator.warm_up)?;
        if let Some(margin) = get("margin") {
            let margin = margin.parse::<f64>().map_err(|error| told("margin", &error))?;
            estimator.margin = margin.max(0.0);
        }
        Ok(Arc::new(move || Box::new(estimator.clone())))
    }

    /// Who says which executors yield.
    fn controller(&self) -> Result<Option<NewController>, String> {
        match self.qos_controller.as_deref() {
            None | Some("") => return Ok(None),
            Some(LoadQosController::NAME) => {}
            Some(other) => return Err(format!("flag 'qos_controller': '{other}' is unknown")),
        }
        let threshold = |key: &str| {
            let text = self.parameter(LoadQosController::NAME, key);
            let number = text.map(str::parse::<f64>).transpose();
            number.map_err(|error| format!("flag 'modules': {key}: {error}"))
        };
        let controller = LoadQosController {
            five_minutes: threshold("load_threshold_5min")?,
            fifteen_minutes: threshold("load_threshold_15min")?,
        };
        Ok(Some(Arc::new(move || Box::new(controller))))
    }

    /// Who takes containers' output.
    fn logger(&self, config: &Config) -> Result<Option<LoggerOptions>, String> {
        match self.container_logger.as_deref() {
            None | Some("") => return Ok(None),
            Some(logger::NAME) => {}
            Some(other) => return Err(format!("flag 'container_logger': '{other}' is unknown")),
        }
        let rotation = |size: &str, options: &str| {
            let modules = self.modules.clone().unwrap_or_default();
            let get = |key| modules.parameter(logger::NAME, key);
            Rotation::read(get(size), get(options))
                .map_err(|error| format!("flag 'modules': {}: {error}", logger::NAME))
        };
        Ok(Some(LoggerOptions {
            program: config.helpers.logger.clone(),
            prefix: self
                .parameter(logger::NAME, "environment_variable_prefix")
                .unwrap_or(logger::PREFIX)
                .to_owned(),
            stdout: rotation("max_stdout_size", "logrotate_stdout_options")?,
            stderr: rotation("max_stderr_size", "logrotate_stderr_options")?,
        }))
    }

    fn helpers(&self) -> Helpers {
        let directory = self.helper_dir();
        let program = |name: &str| vec![directory.join(name).display().to_string()];
        Helpers {
            executor: program("mesos-executor"),
            fetcher: program("mesos-fetcher"),
            docker_executor: program("mesos-docker-executor"),
            containerizer: program("mesos-containerizer"),
            logger: program("mesos-logrotate-logger"),
        }
    }
}

/// The ports that a slave offers.
fn ports(resources: &Resources) -> Vec<(u64, u64)> {
    let wire = resources.to_wire().into_iter().filter(|resource| resource.name == "ports");
    let ranges = wire.filter_map(|resource| resource.ranges).flat_map(|ranges| ranges.range);
    ranges.map(|range| (range.begin, range.end)).collect()
}
