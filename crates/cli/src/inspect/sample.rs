//! A pod with one container, for tests.

use jiff::Timestamp;
use oci_spec::runtime::Spec;
use sandbar_engine::{Container, Pod};
use sandbar_spec::layout::{ContainerDirectory, PodDirectory};
use sandbar_spec::{
    Bytes, Connection, ContainerConfig, ContainerId, ContainerState, ContainerStatus, Limits,
    NamespaceMode, Namespaces, NetworkId, NetworkMode, PodConfig, PodId, PodStatus, PortRequest,
    RestartPolicy, Rootfs, Shared, SignalNumber,
};
use serde_json::json;

fn time(minute: u8) -> Timestamp {
    format!("2030-01-01T00:{minute:02}:00Z").parse().unwrap()
}

/// When the tests look.
pub(crate) fn now() -> Timestamp {
    time(3)
}

fn pod_config() -> PodConfig {
    PodConfig {
        id: PodId::from_random([0xcd; 32]),
        name: "shop".parse().unwrap(),
        created_at: time(0),
        hostname: "shop".into(),
        shared: Shared::default(),
        network: NetworkMode::Bridge,
        hosts: Vec::new(),
        dns: Vec::new(),
        dns_search: Vec::new(),
        dns_options: Vec::new(),
        bandwidth: sandbar_spec::Bandwidth::default(),
        cni: None,
        ports: vec!["8080:80".parse::<PortRequest>().unwrap().mapping().unwrap()],
        pause: Some(ContainerId::from_random([0xef; 32])),
        implicit: false,
    }
}

fn connection() -> Connection {
    Connection {
        network: "sandbar".parse().unwrap(),
        network_id: NetworkId::from_random([0x11; 32]),
        ip: [10, 84, 0, 2].into(),
        prefix: 16,
        gateway: [10, 84, 0, 1].into(),
        ipv6: None,
        mac: "02:00:0a:54:00:02".into(),
        interface: "eth0".into(),
        host_interface: "sbx".into(),
        aliases: Vec::new(),
        names: false,
        internal: false,
    }
}

/// A container that runs.
pub(crate) fn container() -> Container {
    let id = ContainerId::from_random([0xab; 32]);
    let pod = PodDirectory::at("/run/sandbar/pods/p".into());
    let directory: ContainerDirectory = pod.container(&id);
    let config = ContainerConfig {
        joined: Vec::new(),
        id,
        name: "web".parse().unwrap(),
        pod: PodId::from_random([0xcd; 32]),
        created_at: time(0),
        image: "nginx".into(),
        image_id: Some(format!("sha256:{}", "cd".repeat(32))),
        command: ["nginx", "-g", "daemon off;"].map(str::to_owned).into(),
        namespaces: Namespaces {
            net: NamespaceMode::Pod,
            ipc: NamespaceMode::Pod,
            uts: NamespaceMode::Pod,
            pid: NamespaceMode::Private,
        },
        rootfs: Rootfs::ReadOnly("/srv".into()),
        terminal: false,
        restart: RestartPolicy::OnFailure(Some(3)),
        stop_signal: SignalNumber::TERM,
        stop_timeout: 10,
        limits: Limits {
            memory: Some(Bytes(64 << 20)),
            nano_cpus: Some(1_500_000_000),
            ..Limits::default()
        },
        exposed: Vec::new(),
        auto_remove: false,
        labels: [("tier".to_owned(), "front".to_owned())].into(),
        log_path: "/var/lib/sandbar/containers/x/ctr.log".into(),
    };
    let status = ContainerStatus {
        state: ContainerState::Running,
        pid: Some(42),
        started_at: Some(time(1)),
        ..ContainerStatus::default()
    };
    Container { config, status, pod: pod_config(), connections: vec![connection()], directory }
}

/// The pod that it is in.
pub(crate) fn pod() -> Pod {
    Pod {
        config: pod_config(),
        status: PodStatus::default(),
        connections: vec![connection()],
        containers: vec![container()],
    }
}

/// The container's bundle.
pub(crate) fn spec() -> Spec {
    let bind = |source: &str, target: &str, options: &[&str]| json!({"type": "bind", "source": source, "destination": target, "options": options});
    serde_json::from_value(json!({
        "ociVersion": "1.2.0",
        "process": {
            "user": {"uid": 0, "gid": 0, "username": "app"},
            "args": ["nginx"],
            "env": ["A=1"],
            "cwd": "/srv",
        },
        "root": {"path": "rootfs", "readonly": true},
        "mounts": [
            {"type": "proc", "source": "proc", "destination": "/proc"},
            bind("/run/sandbar/pods/p/etc/hosts", "/etc/hosts", &["rbind", "rprivate"]),
            bind("/srv/data", "/data", &["rbind", "rprivate", "rro"]),
            bind("/var/lib/sandbar/volumes/db", "/db", &["rbind", "rprivate"]),
        ],
    }))
    .unwrap()
}
