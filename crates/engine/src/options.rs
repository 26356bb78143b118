//! What a pod and a container are asked to be.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

use sandbar_spec::{
    Bandwidth, ContainerName, ExposedPort, Limits, Membership, NetworkMode, PodName, PortRequest,
    RestartPolicy, Shared, SignalNumber,
};

/// What a new pod is asked to be.
#[derive(Debug, Clone)]
pub struct PodOptions {
    /// Its name; one is made up if none.
    pub name: Option<PodName>,
    /// Its host name; its name if none.
    pub hostname: Option<String>,
    /// What its containers share.
    pub shared: Shared,
    /// Its sandbox's network.
    pub network: NetworkMode,
    /// The networks that it is on, the one with the default route first; the default one if none.
    pub memberships: Vec<Membership>,
    /// Its published ports.
    pub ports: Vec<PortRequest>,
    /// What its containers find in `/etc/hosts` beside the usual.
    pub hosts: Vec<(String, HostAddress)>,
    /// Its name servers; the host's or its network's if none.
    pub dns: Vec<IpAddr>,
    /// The domains that it searches for names; the host's or its network's if none, none if `.`.
    pub dns_search: Vec<String>,
    /// Options of its resolver (resolv.conf(5)); the host's if none.
    pub dns_options: Vec<String>,
    /// How fast it may send and receive. On a network of CNI plugins alone.
    pub bandwidth: Bandwidth,
}

/// The address of a name in `/etc/hosts`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostAddress {
    /// This.
    Ip(IpAddr),
    /// The host's, as the pod reaches it.
    Gateway,
}

impl Default for PodOptions {
    fn default() -> Self {
        Self {
            name: None,
            hostname: None,
            shared: Shared::default(),
            network: NetworkMode::Bridge,
            memberships: Vec::new(),
            ports: Vec::new(),
            hosts: Vec::new(),
            dns: Vec::new(),
            dns_search: Vec::new(),
            dns_options: Vec::new(),
            bandwidth: Bandwidth::default(),
        }
    }
}

/// Where a container's root filesystem comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// An image, by name, digest or id.
    Image(String),
    /// A directory, beneath a writable layer of the container's own.
    Rootfs(PathBuf),
}

/// Where a container finds one of its namespaces, as it is asked for (`--net`, `--ipc`, `--uts`, `--pid`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sharing {
    /// One of its own; for the network one with loopback alone (`none`).
    Private,
    /// The host's.
    Host,
    /// That of a container, by name or id, in whose pod it then is.
    Container(String),
    /// That of a pod, by name or id, in which it then is.
    Pod(String),
}

/// What is seen at a path of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// Where it comes from.
    pub source: VolumeSource,
    /// Where it is in the container; absolute.
    pub target: PathBuf,
    /// Whether it can't be written.
    pub read_only: bool,
}

/// Where a volume comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VolumeSource {
    /// A path of the host, which is there.
    Path(PathBuf),
    /// A volume of Sandbar's own, made when it is first used, kept when containers go.
    Named(String),
    /// Memory, gone with the container; options of tmpfs(5) such as `size=64m`.
    Tmpfs(Vec<String>),
}

/// A resource limit of a process (`--ulimit`), by its name in setrlimit(2) without `RLIMIT_`, in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ulimit {
    /// Such as `nofile`.
    pub name: String,
    /// The limit that holds.
    pub soft: u64,
    /// The most it can be raised to.
    pub hard: u64,
}

/// What a new container is asked to be.
#[derive(Debug, Clone)]
pub struct ContainerOptions {
    /// Where its root filesystem comes from.
    pub source: Source,
    /// Its name; one is made up if none.
    pub name: Option<ContainerName>,
    /// What it runs in place of the image's command.
    pub command: Vec<String>,
    /// What it runs in place of the image's entry point; empty for none.
    pub entrypoint: Option<Vec<String>>,
    /// `NAME=value`, added to the image's.
    pub environment: Vec<String>,
    /// Its working directory in place of the image's.
    pub working_directory: Option<PathBuf>,
    /// `USER[:GROUP]` in place of the image's.
    pub user: Option<String>,
    /// The pod it joins; one of its own if none is named here or in the four below.
    pub pod: Option<String>,
    /// Its network; its pod's if none.
    pub net: Option<Sharing>,
    /// Its IPC; its pod's if that is shared there.
    pub ipc: Option<Sharing>,
    /// Its host name; its pod's if that is shared there.
    pub uts: Option<Sharing>,
    /// Its processes; its pod's if that is shared there.
    pub pid: Option<Sharing>,
    /// What the pod that is made for it is asked to be, where it joins none: network, ports, host name.
    pub own_pod: PodOptions,
    /// Ports that it listens at beside those that the image names (`--expose`).
    pub exposed: Vec<ExposedPort>,
    /// Whether all ports that it and its image name are published, at random ports of the host.
    pub publish_all: bool,
    /// Its volumes.
    pub volumes: Vec<Volume>,
    /// Whether its root filesystem can't be written.
    pub read_only: bool,
    /// Whether it gets a terminal.
    pub terminal: bool,
    /// Its terminal's rows and columns.
    pub size: Option<(u16, u16)>,
    /// Whether its standard input stays open.
    pub interactive: bool,
    /// Whether it is removed when it has ended.
    pub auto_remove: bool,
    /// When it is started again by itself.
    pub restart: RestartPolicy,
    /// The signal that asks it to end, in place of the image's.
    pub stop_signal: Option<SignalNumber>,
    /// How many seconds it then has.
    pub stop_timeout: u32,
    /// What it may use at most.
    pub limits: Limits,
    /// Resource limits of its processes.
    pub ulimits: Vec<Ulimit>,
    /// Capabilities beside the default ones, by name with or without `CAP_`; `ALL` for all.
    pub cap_add: Vec<String>,
    /// Default capabilities that it does not get; `ALL` for all.
    pub cap_drop: Vec<String>,
    /// Whether its processes can't gain privileges by executing.
    pub no_new_privileges: bool,
    /// How readily the kernel ends it for want of memory, -1000 to 1000.
    pub oom_score: i32,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
}

impl ContainerOptions {
    /// A container of `source`, all else by default.
    #[must_use]
    pub fn new(source: Source) -> Self {
        Self {
            source,
            name: None,
            command: Vec::new(),
            entrypoint: None,
            environment: Vec::new(),
            working_directory: None,
            user: None,
            pod: None,
            net: None,
            ipc: None,
            uts: None,
            pid: None,
            own_pod: PodOptions::default(),
            exposed: Vec::new(),
            publish_all: false,
            volumes: Vec::new(),
            read_only: false,
            terminal: false,
            size: None,
            interactive: false,
            auto_remove: false,
            restart: RestartPolicy::No,
            stop_signal: None,
            stop_timeout: 10,
            limits: Limits::default(),
            ulimits: Vec::new(),
            cap_add: Vec::new(),
            cap_drop: Vec::new(),
            no_new_privileges: false,
            oom_score: 0,
            labels: BTreeMap::new(),
        }
    }
}

/// A further process in a running container.
#[derive(Debug, Clone, Default)]
pub struct ExecOptions {
    /// What it runs.
    pub command: Vec<String>,
    /// `NAME=value`, added to the container's.
    pub environment: Vec<String>,
    /// Its working directory in place of the container's.
    pub working_directory: Option<PathBuf>,
    /// `USER[:GROUP]` in place of the container's.
    pub user: Option<String>,
    /// Whether it gets a terminal.
    pub terminal: bool,
    /// The terminal's rows and columns.
    pub size: Option<(u16, u16)>,
}
