//! What a test needs of the machine it runs on.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Something that not every machine has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// nginx.
    Nginx,
    /// The web application of `examples/blog`, built.
    Blog,
    /// util-linux's `setsid --ctty`, for terminals.
    Setsid,
    /// Perl, with Debian's perl-base.
    Perl,
    /// Podman, crun and what Debian's Podman needs for them.
    Podman,
    /// containerd and its `ctr`.
    Containerd,
    /// curl, with HTTP/2.
    Curl,
    /// Docker's daemon and command line, of Debian.
    Docker,
    /// The image of pause for every architecture.
    PauseImage,
    /// systemd, D-Bus's daemon and cgroup v2 alone, in which they can be run.
    Systemd,
    /// cgroup v2 alone.
    CgroupV2,
    /// The plugins of CNI, and iptables for them.
    Cni,
    /// Distribution's registry and skopeo, of Debian.
    Registry,
    /// strace, and file systems in files (`mkfs.ext4`, loop devices).
    PowerLoss,
    /// umoci, GNU tar with extended attributes, and mount(8).
    Umoci,
    /// The program `zstd`.
    Zstd,
    /// iptables that writes nftables' tables.
    IptablesNft,
    /// The cgroup controller for memory.
    MemoryController,
    /// The cgroup controller for numbers of processes.
    PidsController,
    /// The cgroup controller for processors.
    CpuController,
}

impl Need {
    /// Why a test with these needs can't run here, if it can't.
    pub(crate) fn missing(needs: &[Self]) -> Option<String> {
        if !rustix::process::geteuid().is_root() {
            return Some("it needs root".to_owned());
        }
        if !Path::new("/bin/busybox").exists() {
            return Some("it needs /bin/busybox (Debian's busybox-static)".to_owned());
        }
        if !runs("nft", &["--version"]) {
            return Some("it needs nft (Debian's nftables)".to_owned());
        }
        if !runs("unshare", &["--net", "--mount", "nft", "list", "tables"]) {
            return Some("it needs namespaces, and nftables in the kernel".to_owned());
        }
        needs.iter().find(|need| !need.is_there()).map(|need| need.why().to_owned())
    }

    /// Where the image of pause for every architecture is made, an OCI image layout.
    pub fn pause_image() -> PathBuf {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        here.with_file_name("target/pause-image/image")
    }

    fn is_there(self) -> bool {
        match self {
            Self::Registry => {
                runs("docker-registry", &["--version"]) && runs("skopeo", &["--version"])
            }
            Self::PowerLoss => {
                runs("strace", &["--version"])
                    && runs("mkfs.ext4", &["-V"])
                    && Path::new("/dev/loop-control").exists()
            }
            Self::Umoci => {
                runs("umoci", &["--version"])
                    && runs("tar", &["--xattrs", "--version"])
                    && runs("mount", &["--version"])
            }
            Self::Zstd => runs("zstd", &["--version"]),
            Self::Nginx => Path::new("/usr/sbin/nginx").exists(),
            Self::Blog => crate::node::beside_sandbar("blog").exists(),
            Self::Setsid => runs("setsid", &["--version"]),
            Self::Perl => runs("perl", &["-MSocket", "-e", "1"]),
            Self::Podman => runs("podman", &["--version"]),
            Self::Containerd => runs("containerd", &["--version"]),
            Self::Curl => runs("curl", &["--http2-prior-knowledge", "--version"]),
            Self::Docker => {
                ["/usr/sbin/dockerd", "/usr/bin/docker"].iter().all(|it| runs(it, &["--version"]))
            }
            Self::PauseImage => Self::pause_image().join("index.json").exists(),
            Self::Systemd => {
                runs("systemd", &["--version"])
                    && runs("dbus-daemon", &["--version"])
                    && Self::CgroupV2.is_there()
            }
            Self::CgroupV2 => Path::new("/sys/fs/cgroup/cgroup.controllers").exists(),
            Self::Cni => {
                let plugin = |name: &&str| Path::new("/usr/lib/cni").join(name).exists();
                let plugins = ["bridge", "host-local", "portmap"];
                plugins.iter().all(plugin) && runs("iptables", &["--version"])
            }
            Self::IptablesNft => {
                ["iptables-nft", "ip6tables-nft"].iter().all(|it| runs(it, &["--version"]))
            }
            Self::MemoryController => has_controller("memory"),
            Self::PidsController => has_controller("pids"),
            Self::CpuController => has_controller("cpu"),
        }
    }

    fn why(self) -> &'static str {
        match self {
            Self::Registry => "it needs docker-registry and skopeo",
            Self::PowerLoss => "it needs strace, mkfs.ext4 and loop devices",
            Self::Umoci => "it needs umoci, and GNU tar",
            Self::Zstd => "it needs zstd",
            Self::Nginx => "it needs nginx",
            Self::Blog => "it needs examples/blog: cargo build -p blog first",
            Self::Setsid => "it needs setsid (util-linux)",
            Self::Perl => "it needs perl",
            Self::Podman => "it needs podman",
            Self::Containerd => "it needs containerd",
            Self::Curl => "it needs curl with HTTP/2",
            Self::Docker => "it needs Docker (Debian's docker.io)",
            Self::PauseImage => "it needs target/pause-image: cargo xtask pause-image first",
            Self::Systemd => "it needs systemd, dbus-daemon, and cgroup v2 alone",
            Self::CgroupV2 => "it needs cgroup v2 alone",
            Self::Cni => {
                "it needs iptables and /usr/lib/cni (Debian's containernetworking-plugins)"
            }
            Self::IptablesNft => "it needs iptables-nft (Debian's iptables)",
            Self::MemoryController => "it needs the cgroup controller 'memory'",
            Self::PidsController => "it needs the cgroup controller 'pids'",
            Self::CpuController => "it needs the cgroup controller 'cpu'",
        }
    }
}

fn runs(program: &str, arguments: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Whether the machine's cgroups, of either version, limit this.
fn has_controller(name: &str) -> bool {
    let v2 = fs::read_to_string("/sys/fs/cgroup/cgroup.controllers").unwrap_or_default();
    let v1 = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    v2.split_whitespace().any(|it| it == name)
        || v1.lines().any(|line| {
            line.contains(" - cgroup ")
                && line.rsplit(' ').next().is_some_and(|all| all.split(',').any(|it| it == name))
        })
}
