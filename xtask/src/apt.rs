//! Debian's packages: what is missing is installed, and nothing that it brings is started.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use rustix::process::geteuid;

use crate::shell;

/// A package, and the program by which its presence is seen.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Package<'a> {
    pub(crate) name: &'a str,
    pub(crate) program: &'a str,
}

impl Package<'static> {
    pub(crate) const BUSYBOX: Self = Self { name: "busybox-static", program: "busybox" };
    pub(crate) const NGINX: Self = Self { name: "nginx-light", program: "nginx" };
    pub(crate) const NFTABLES: Self = Self { name: "nftables", program: "nft" };
    pub(crate) const IPROUTE: Self = Self { name: "iproute2", program: "ip" };
    pub(crate) const PROCPS: Self = Self { name: "procps", program: "ps" };
    pub(crate) const UTIL_LINUX: Self = Self { name: "util-linux", program: "unshare" };
    pub(crate) const QEMU: Self = Self { name: "qemu-system-x86", program: "qemu-system-x86_64" };
    pub(crate) const KMOD: Self = Self { name: "kmod", program: "depmod" };
    pub(crate) const XZ: Self = Self { name: "xz-utils", program: "xz" };
    pub(crate) const PODMAN: Self = Self { name: "podman", program: "podman" };
    pub(crate) const CRUN: Self = Self { name: "crun", program: "crun" };
    pub(crate) const RUNC: Self = Self { name: "runc", program: "runc" };
    pub(crate) const CONTAINERD: Self = Self { name: "containerd", program: "containerd" };
    pub(crate) const CURL: Self = Self { name: "curl", program: "curl" };
    pub(crate) const DOCKER: Self = Self { name: "docker.io", program: "dockerd" };
    pub(crate) const NETAVARK: Self = Self { name: "netavark", program: "netavark" };
    pub(crate) const AARDVARK: Self = Self { name: "aardvark-dns", program: "aardvark-dns" };
    pub(crate) const CATATONIT: Self = Self { name: "catatonit", program: "catatonit" };
    pub(crate) const IPERF: Self = Self { name: "iperf3", program: "iperf3" };
    pub(crate) const WRK: Self = Self { name: "wrk", program: "wrk" };
    pub(crate) const SYSTEMD: Self = Self { name: "systemd", program: "systemd" };
    pub(crate) const DBUS: Self = Self { name: "dbus", program: "dbus-daemon" };
    pub(crate) const IPTABLES: Self = Self { name: "iptables", program: "iptables" };
    pub(crate) const REGISTRY: Self = Self { name: "docker-registry", program: "docker-registry" };
    pub(crate) const SKOPEO: Self = Self { name: "skopeo", program: "skopeo" };
    pub(crate) const STRACE: Self = Self { name: "strace", program: "strace" };
    pub(crate) const UMOCI: Self = Self { name: "umoci", program: "umoci" };
    pub(crate) const ZSTD: Self = Self { name: "zstd", program: "zstd" };
    pub(crate) const CNI: Self =
        Self { name: "containernetworking-plugins", program: "host-local" };
}

impl Package<'_> {
    fn is_missing(&self) -> bool {
        program(self.program).is_none()
    }
}

/// Where a program is, in the usual folders or those of `PATH`.
pub(crate) fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let usual = ["/usr/sbin", "/usr/bin", "/sbin", "/bin", "/usr/lib/podman", "/usr/lib/cni"];
    std::env::split_paths(&path)
        .chain(usual.iter().map(Into::into))
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}

/// Installs those that are missing.
pub(crate) fn install(packages: &[Package<'_>]) -> Result<()> {
    let missing: Vec<_> =
        packages.iter().filter(|package| package.is_missing()).map(|it| it.name).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names = missing.join(" ");
    if program("apt-get").is_none() {
        bail!("missing: {names} (Debian's names); install them, there is no apt-get here to do it");
    }
    if !geteuid().is_root() {
        bail!("missing: {names}; run 'apt-get install {names}' as root, or this as root");
    }
    let before = listeners()?;
    if !shell::succeeds(apt_get().args(["install", "--simulate"]).args(&missing)) {
        shell::show_and_run(apt_get().arg("update"))?;
    }
    let arguments = ["install", "--yes", "--no-install-recommends"];
    if shell::show_and_run(apt_get().args(arguments).args(&missing)).is_err() {
        // A list of some age names versions that are gone.
        shell::show_and_run(apt_get().arg("update"))?;
        shell::show_and_run(apt_get().args(arguments).args(&missing))?;
    }
    if missing.contains(&Package::NGINX.name) {
        keep_down("nginx")?;
    }
    let after = listeners()?;
    let new: Vec<_> = after.difference(&before).map(String::as_str).collect();
    if !new.is_empty() {
        println!("note: since the installation something new listens: {}", new.join(", "));
    }
    Ok(())
}

/// Fetches a package's archive into an empty directory, and installs nothing.
pub(crate) fn download(package: &str, into: &Path) -> Result<PathBuf> {
    let mut download = apt_get();
    // As root: the user that apt fetches as can't write there.
    download.args(["-o", "APT::Sandbox::User=root", "download", package]).current_dir(into);
    shell::show_and_run(&mut download)?;
    let entry = fs::read_dir(into)?.next().with_context(|| format!("apt-get left no {package}"))?;
    Ok(entry?.path())
}

/// Unpacks what is wanted of a package's archive into a directory. Patterns are those of tar(1).
pub(crate) fn unpack(archive: &Path, into: &Path, wanted: &[&str]) -> Result<()> {
    fs::create_dir_all(into).with_context(|| format!("can't create {}", into.display()))?;
    let mut whole = Command::new("dpkg-deb")
        .arg("--fsys-tarfile")
        .arg(archive)
        .stdout(Stdio::piped())
        .spawn()
        .context("can't run dpkg-deb")?;
    let files = whole.stdout.take().context("dpkg-deb has no output")?;
    let mut tar = Command::new("tar");
    tar.args(["--extract", "--no-same-owner", "--wildcards", "--directory"]).arg(into).args(wanted);
    let taken = tar.stdin(files).status().context("can't run tar")?;
    if !(whole.wait()?.success() && taken.success()) {
        bail!("{} can't be unpacked", archive.display());
    }
    Ok(())
}

/// The names on which a package depends directly.
pub(crate) fn dependencies(package: &str) -> Result<Vec<String>> {
    let told = shell::output(Command::new("apt-cache").args(["depends", package]))?;
    let names = told.lines().filter_map(|line| line.trim().strip_prefix("Depends: "));
    Ok(names.map(str::to_owned).collect())
}

/// An apt-get that asks nothing and whose packages start nothing: for them the machine is in single-user mode
/// (runlevel(8)), and systemd is not there (`SYSTEMD_OFFLINE` of systemctl(1)).
fn apt_get() -> Command {
    let mut command = Command::new("apt-get");
    command.arg("--quiet=2").envs([
        ("DEBIAN_FRONTEND", "noninteractive"),
        ("RUNLEVEL", "1"),
        ("SYSTEMD_OFFLINE", "1"),
    ]);
    command
}

/// Has a service that was just installed not start with the machine.
fn keep_down(service: &str) -> Result<()> {
    if Path::new("/run/systemd/system").exists() {
        shell::show_and_run(Command::new("systemctl").args(["disable", "--now", service]))?;
    }
    Ok(())
}

/// What listens for TCP on this network, as the kernel's tables have it (proc_pid_net(5)).
fn listeners() -> Result<BTreeSet<String>> {
    const LISTEN: &str = "0A";
    let mut found = BTreeSet::new();
    for table in ["/proc/self/net/tcp", "/proc/self/net/tcp6"] {
        // Without IPv6 there is no second table.
        if let Ok(text) = fs::read_to_string(table) {
            let rows = text.lines().skip(1).map(|row| row.split_whitespace().collect::<Vec<_>>());
            found.extend(rows.filter_map(|row| match row.as_slice() {
                [_, address, _, state, ..] if *state == LISTEN => port(address),
                _ => None,
            }));
        }
    }
    Ok(found)
}

/// `0100007F:1F90` is port 8080.
fn port(address: &str) -> Option<String> {
    let (_, port) = address.split_once(':')?;
    Some(format!("port {}", u16::from_str_radix(port, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn a_listener_is_seen() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = format!("port {}", listener.local_addr().unwrap().port());
        assert!(listeners().unwrap().contains(&port));
    }

    #[test]
    fn a_port_is_written_in_hexadecimal() {
        assert_eq!(port("0100007F:1F90").as_deref(), Some("port 8080"));
        assert_eq!(port("0100007F"), None);
    }

    #[test]
    fn what_is_there_is_not_installed() {
        let package = Package { name: "no-such-package", program: "sh" };
        install(&[package]).unwrap();
    }
}
