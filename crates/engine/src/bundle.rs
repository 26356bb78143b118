//! The OCI runtime configuration of a container.

use std::path::{Path, PathBuf};

use oci_spec::OciSpecError;
use oci_spec::runtime::{
    Box as ConsoleSize, BoxBuilder, Linux, LinuxResources, Mount, MountBuilder, PosixRlimit,
    PosixRlimitBuilder, PosixRlimitType, Process, ProcessBuilder, Root, Spec, User,
};
use sandbar_image::Config;
use sandbar_spec::layout::PodDirectory;
use sandbar_spec::{ExposedPort, NamespaceMode, Namespaces, PodConfig};

use crate::error::{Error, Kind};
use crate::options::{ContainerOptions, Ulimit};
use crate::{capabilities, engine::Engine};

/// What no container may see.
const MASKED: [&str; 13] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
    "/sys/fs/selinux",
];
/// What no container may write.
const READ_ONLY: [&str; 5] =
    ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// What the image says about a container's process.
#[derive(Debug, Default)]
pub(crate) struct ImageDefaults {
    entrypoint: Vec<String>,
    command: Vec<String>,
    environment: Vec<String>,
    working_directory: Option<PathBuf>,
    user: Option<String>,
    pub(crate) stop_signal: Option<String>,
    exposed: Vec<String>,
}

impl ImageDefaults {
    pub(crate) fn of(config: Option<&Config>) -> Self {
        let Some(config) = config else { return Self::default() };
        Self {
            entrypoint: config.entrypoint().clone().unwrap_or_default(),
            command: config.cmd().clone().unwrap_or_default(),
            environment: config.env().clone().unwrap_or_default(),
            working_directory: config.working_dir().as_ref().map(PathBuf::from),
            user: config.user().clone(),
            stop_signal: config.stop_signal().clone(),
            exposed: config.exposed_ports().clone().unwrap_or_default(),
        }
    }

    /// The ports that the image names, and those that the container names beside.
    pub(crate) fn exposed(&self, options: &ContainerOptions) -> Result<Vec<ExposedPort>, Error> {
        let image = self.exposed.iter().map(|port| port.parse::<ExposedPort>());
        let mut ports: Vec<ExposedPort> = image.collect::<Result<_, _>>()?;
        ports.extend(&options.exposed);
        ports.sort();
        ports.dedup();
        Ok(ports)
    }

    /// What the container runs: its own entry point and command before the image's. An entry point of its
    /// own makes the image's command meaningless.
    pub(crate) fn arguments(&self, options: &ContainerOptions) -> Result<Vec<String>, Error> {
        let (mut arguments, own_entrypoint) = match &options.entrypoint {
            Some(entrypoint) => (entrypoint.clone(), true),
            None => (self.entrypoint.clone(), false),
        };
        if options.command.is_empty() && !own_entrypoint {
            arguments.extend(self.command.iter().cloned());
        } else {
            arguments.extend(options.command.iter().cloned());
        }
        if arguments.is_empty() {
            let message = "nothing to run: the image has no command and none was given";
            return Err(Error::new(Kind::Invalid, message));
        }
        Ok(arguments)
    }
}

/// Merges `NAME=value` lists: later ones win, the order of first mention is kept.
pub(crate) fn merge_environment(lists: [&[String]; 3]) -> Vec<String> {
    let mut merged: Vec<String> = Vec::new();
    // What has no value is nobody's: the host's own value is never copied (security.md, row 12).
    for variable in lists.into_iter().flatten().filter(|variable| variable.contains('=')) {
        let name = variable.split('=').next().unwrap_or_default();
        let same = |other: &&mut String| {
            other.strip_prefix(name).is_some_and(|rest| rest.starts_with('='))
        };
        match merged.iter_mut().find(same) {
            Some(other) => other.clone_from(variable),
            None => merged.push(variable.clone()),
        }
    }
    merged
}

impl Engine {
    /// The runtime configuration of a container in `pod`. Its namespaces are its supervisor's to fill in.
    pub(crate) fn bundle(
        &self,
        options: &ContainerOptions,
        image: &ImageDefaults,
        pod: (&PodConfig, &PodDirectory),
        namespaces: &Namespaces,
    ) -> Result<Spec, Error> {
        let mut spec = Spec::default();
        let mut mounts = kernel_mounts(pod.1, namespaces)?;
        mounts.extend(etc_mounts(pod.1, namespaces)?);
        for volume in &options.volumes {
            mounts.push(self.volume_mount(volume)?);
        }
        let mut root = Root::default();
        root.set_path("rootfs".into()).set_readonly(Some(options.read_only));
        spec.set_process(Some(process(options, image)?))
            .set_root(Some(root))
            .set_mounts(Some(mounts))
            .set_linux(Some(linux()));
        // A container with a host name of its own has its pod's.
        let own_name = namespaces.uts == NamespaceMode::Private;
        spec.set_hostname(own_name.then(|| pod.0.hostname.clone()));
        Ok(spec)
    }
}

fn process(options: &ContainerOptions, image: &ImageDefaults) -> Result<Process, Error> {
    let mut user = User::default();
    user.set_username(options.user.clone().or_else(|| image.user.clone()));
    let term = ["TERM=xterm".to_owned()];
    let term: &[String] = if options.terminal { &term } else { &[] };
    let environment = merge_environment([term, &image.environment, &options.environment]);
    let mut environment = environment;
    if !environment.iter().any(|variable| variable.starts_with("PATH=")) {
        let path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        environment.insert(0, path.to_owned());
    }
    let directory = options.working_directory.clone().or_else(|| image.working_directory.clone());
    let directory = directory.filter(|path| !path.as_os_str().is_empty());
    let rlimits: Vec<PosixRlimit> =
        options.ulimits.iter().map(rlimit).collect::<Result<_, Error>>()?;
    let mut builder = ProcessBuilder::default();
    if let Some(size) = options.size {
        builder = builder.console_size(console_size(size)?);
    }
    let builder = builder
        .terminal(options.terminal)
        .user(user)
        .args(image.arguments(options)?)
        .env(environment)
        .cwd(directory.unwrap_or_else(|| "/".into()))
        .capabilities(capabilities::of(options)?)
        .no_new_privileges(options.no_new_privileges)
        .oom_score_adj(options.oom_score)
        .rlimits(rlimits);
    builder.build().map_err(incomplete)
}

/// A terminal of so many rows and columns.
pub(crate) fn console_size((rows, columns): (u16, u16)) -> Result<ConsoleSize, Error> {
    BoxBuilder::default().height(rows).width(columns).build().map_err(incomplete)
}

fn rlimit(asked: &Ulimit) -> Result<PosixRlimit, Error> {
    let kind = match asked.name.as_str() {
        "as" => PosixRlimitType::RlimitAs,
        "core" => PosixRlimitType::RlimitCore,
        "cpu" => PosixRlimitType::RlimitCpu,
        "data" => PosixRlimitType::RlimitData,
        "fsize" => PosixRlimitType::RlimitFsize,
        "locks" => PosixRlimitType::RlimitLocks,
        "memlock" => PosixRlimitType::RlimitMemlock,
        "msgqueue" => PosixRlimitType::RlimitMsgqueue,
        "nice" => PosixRlimitType::RlimitNice,
        "nofile" => PosixRlimitType::RlimitNofile,
        "nproc" => PosixRlimitType::RlimitNproc,
        "rss" => PosixRlimitType::RlimitRss,
        "rtprio" => PosixRlimitType::RlimitRtprio,
        "rttime" => PosixRlimitType::RlimitRttime,
        "sigpending" => PosixRlimitType::RlimitSigpending,
        "stack" => PosixRlimitType::RlimitStack,
        other => {
            let message = format!("ulimit '{other}': there is none of that name (setrlimit(2))");
            return Err(Error::new(Kind::Invalid, message));
        }
    };
    PosixRlimitBuilder::default()
        .typ(kind)
        .soft(asked.soft)
        .hard(asked.hard)
        .build()
        .map_err(incomplete)
}

/// The kernel's file systems.
fn kernel_mounts(pod: &PodDirectory, namespaces: &Namespaces) -> Result<Vec<Mount>, Error> {
    let own = |target: &str, kind: &str, options: &[&str]| mount(target, kind, kind, options);
    let mut mounts = vec![
        own("/proc", "proc", &["nosuid", "noexec", "nodev"])?,
        own("/dev", "tmpfs", &["nosuid", "noexec", "mode=755", "size=65536k"])?,
        own(
            "/dev/pts",
            "devpts",
            &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
        )?,
        own("/dev/mqueue", "mqueue", &["nosuid", "noexec", "nodev"])?,
        own("/sys", "sysfs", &["nosuid", "noexec", "nodev", "ro"])?,
    ];
    // Who shares IPC shares the memory that POSIX programs share by name.
    let shared = match namespaces.ipc {
        NamespaceMode::Pod => Some(pod.shared_memory()),
        NamespaceMode::Host => Some("/dev/shm".into()),
        NamespaceMode::Private | NamespaceMode::Container(_) => None,
    };
    mounts.push(match shared {
        Some(path) => bind("/dev/shm", &path, &["nosuid", "noexec", "nodev"])?,
        None => {
            let options = ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"];
            mount("/dev/shm", "tmpfs", "shm", &options)?
        }
    });
    Ok(mounts)
}

/// The pod's files in `/etc`, where its network, or its name, is the container's too.
fn etc_mounts(pod: &PodDirectory, namespaces: &Namespaces) -> Result<Vec<Mount>, Error> {
    let mut names = vec!["hosts", "resolv.conf"];
    if namespaces.uts != NamespaceMode::Host {
        names.push("hostname");
    }
    names
        .into_iter()
        .map(|name| bind(&format!("/etc/{name}"), &pod.etc(name), &["nosuid", "noexec", "nodev"]))
        .collect()
}

fn bind(target: &str, source: &Path, options: &[&str]) -> Result<Mount, Error> {
    let options: Vec<&str> = ["bind", "private"].iter().chain(options).copied().collect();
    mount(target, "bind", &source.to_string_lossy(), &options)
}

fn mount(target: &str, kind: &str, source: &str, options: &[&str]) -> Result<Mount, Error> {
    MountBuilder::default()
        .destination(target)
        .typ(kind)
        .source(source)
        .options(options.iter().map(|&option| option.to_owned()).collect::<Vec<String>>())
        .build()
        .map_err(incomplete)
}

/// The directories in which each CPU counts how often it was too hot: a clock that tells of neighbours.
fn thermal_throttle() -> Vec<String> {
    let cpus = std::fs::read_dir("/sys/devices/system/cpu").into_iter().flatten().flatten();
    let paths = cpus.map(|cpu| cpu.path().join("thermal_throttle"));
    paths.filter(|path| path.is_dir()).map(|path| path.display().to_string()).collect()
}

/// The masks, and nothing that the supervisor fills in.
fn linux() -> Linux {
    let strings = |paths: &[&str]| paths.iter().map(|&path| path.to_owned()).collect::<Vec<_>>();
    let masked = [strings(&MASKED), thermal_throttle()].concat();
    let mut linux = Linux::default();
    linux
        .set_namespaces(None)
        .set_resources(None::<LinuxResources>)
        .set_masked_paths(Some(masked))
        .set_readonly_paths(Some(strings(&READ_ONLY)));
    linux
}

/// Takes from a pause what it has no use for: capabilities, and ways to new privileges.
pub(crate) fn bare(spec: &mut Spec) {
    if let Some(mut process) = spec.process().clone() {
        process.set_capabilities(Some(capabilities::none())).set_no_new_privileges(Some(true));
        spec.set_process(Some(process));
    }
}

/// The runtime configuration of the pause that a pod is made with: its program and nothing else.
pub(crate) fn pause() -> Result<Spec, Error> {
    let mut user = User::default();
    user.set_uid(65535).set_gid(65535);
    let process = ProcessBuilder::default()
        .user(user)
        .args(["/pause".to_owned()])
        // An empty environment keeps pause's stack in one page.
        .env(Vec::<String>::new())
        .cwd("/")
        .capabilities(capabilities::none())
        .no_new_privileges(true)
        .build()
        .map_err(incomplete)?;
    let mut root = Root::default();
    root.set_path("rootfs".into()).set_readonly(Some(true));
    let mut linux = linux();
    linux.set_masked_paths(None).set_readonly_paths(None);
    let mut spec = Spec::default();
    spec.set_process(Some(process))
        .set_root(Some(root))
        .set_mounts(Some(Vec::new()))
        .set_hostname(None)
        .set_linux(Some(linux));
    Ok(spec)
}

pub(crate) fn incomplete(error: OciSpecError) -> Error {
    Error::caused(Kind::System, "runtime configuration", error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Source;

    fn strings(list: &[&str]) -> Vec<String> {
        list.iter().map(|&text| text.to_owned()).collect()
    }

    #[test]
    fn a_command_is_made_as_docker_makes_it() {
        let image = ImageDefaults {
            entrypoint: strings(&["/entry"]),
            command: strings(&["serve"]),
            ..ImageDefaults::default()
        };
        let mut options = ContainerOptions::new(Source::Image("x".into()));
        assert_eq!(image.arguments(&options).unwrap(), ["/entry", "serve"]);
        options.command = strings(&["shell"]);
        assert_eq!(image.arguments(&options).unwrap(), ["/entry", "shell"]);
        options.entrypoint = Some(strings(&["/other"]));
        assert_eq!(image.arguments(&options).unwrap(), ["/other", "shell"]);
        options.command.clear();
        assert_eq!(image.arguments(&options).unwrap(), ["/other"]);
        options.entrypoint = Some(vec![]);
        assert_eq!(image.arguments(&options).unwrap_err().kind(), Kind::Invalid);
    }

    #[test]
    fn row_12_a_variable_without_a_value_never_takes_the_hosts() {
        let image = strings(&["A=1", "PATH", "B=2"]);
        let own = strings(&["B=3=x", "C="]);
        assert_eq!(merge_environment([&[], &image, &own]), ["A=1", "B=3=x", "C="]);
    }
}
