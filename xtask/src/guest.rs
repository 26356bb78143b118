//! A Linux of its own for a job: a virtual machine with Debian's kernel, a pure cgroup v2 hierarchy with every
//! controller, and this machine's root filesystem, read-only below what the guest writes into its own memory.
//!
//! Nothing of the job reaches this machine but what it prints and its exit status, and no process outlives this
//! program. What the machine is made of is in `target/guest`, with what the last guest's kernel said.

mod archive;
mod kernel;

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::geteuid;

use crate::apt::{self, Package};
use crate::shell;
use archive::Archive;
pub(crate) use kernel::Kernel;

/// The guest's first process.
const INIT: &str = include_str!("../guest/init.sh");

/// What reaches the root filesystem and the ports; all else is loaded by the kernel when it is first used.
const MODULES: [&str; 5] = ["virtio_pci", "virtio_console", "9pnet_virtio", "9p", "overlay"];

/// Parameters of the kernel (its `Documentation/admin-guide/kernel-parameters.txt`). The second line is for speed in
/// a machine whose every instruction is translated, and for a clock that is this machine's.
const PARAMETERS: &str = "console=ttyS0 loglevel=4 panic=-1 oops=panic reboot=t cgroup_no_v1=all swapaccount=1 \
     mitigations=off nokaslr tsc=reliable no_timer_check nowatchdog cryptomgr.notests random.trust_cpu=on";

/// The guest's memory. What is written to its files is in it too.
const MEMORY: &str = "3G";

/// What the machine needs to be made of, and the job to be brought in by.
const PACKAGES: [Package<'_>; 5] =
    [Package::QEMU, Package::BUSYBOX, Package::KMOD, Package::XZ, Package::UTIL_LINUX];

/// Installs and fetches what is missing. An error says why there can be no guest here.
pub(crate) fn obtain() -> Result<Kernel> {
    if std::env::consts::ARCH != "x86_64" {
        bail!("the guest is for x86-64 only");
    }
    if !geteuid().is_root() {
        bail!("the guest shows root's files as they are: it needs root");
    }
    apt::install(&PACKAGES)?;
    Kernel::obtain()
}

/// Does a job, the text of a shell script, in a guest, and hands on each line that it prints. An error says that
/// the guest ended without doing it, or that it was not over in time; else it is the job's exit status.
pub(crate) fn run(
    kernel: &Kernel,
    job: &str,
    within: Duration,
    mut line: impl FnMut(&str),
) -> Result<i32> {
    let path = |name: &str| kernel.room().join(name);
    fs::write(path("initramfs"), initramfs(kernel, job)?).context("can't write the initramfs")?;
    fs::write(path("status"), "").context("can't write the status")?;
    let mut machine = machine(kernel, kernel.room(), within);
    shell::show(&shell::line(&machine));
    let mut running = machine
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(File::create(path("complaints"))?)
        .spawn()
        .context("can't run qemu")?;
    if let Some(output) = running.stdout.take() {
        for text in BufReader::new(output).split(b'\n') {
            line(&String::from_utf8_lossy(&text.context("can't read what the guest prints")?));
        }
    }
    let ended = running.wait()?;
    if let Ok(status) = fs::read_to_string(path("status"))
        && let Ok(status) = status.trim().parse()
    {
        return Ok(status);
    }
    if ended.code() == Some(124) {
        bail!("the guest was not over after {} s, and was ended", within.as_secs());
    }
    let read = |name| fs::read_to_string(path(name)).unwrap_or_default();
    let console = read("console");
    let last = console.lines().rev().take(30).collect::<Vec<_>>();
    let last = last.into_iter().rev().collect::<Vec<_>>().join("\n");
    bail!("the guest ended without a result ({ended})\n{}{last}", read("complaints"));
}

/// What the kernel begins with: busybox, the modules that reach the rest, and what is to be done.
fn initramfs(kernel: &Kernel, job: &str) -> Result<Vec<u8>> {
    let mut archive = Archive::default();
    for directory in ["bin", "dev", "host", "modules", "own", "root"] {
        archive.directory(directory);
    }
    let busybox = apt::program("busybox").context("there is no busybox")?;
    let busybox =
        fs::read(&busybox).with_context(|| format!("can't read {}", busybox.display()))?;
    archive.file("bin/busybox", &busybox)?;
    for (number, module) in kernel.modules(&MODULES)?.iter().enumerate() {
        // A wildcard has them in this order.
        archive.file(&format!("modules/{number:03}"), module)?;
    }
    archive.file("init", INIT.as_bytes())?;
    archive.file("job", format!("{}{job}", kernel.offer()).as_bytes())?;
    Ok(archive.finish())
}

/// The virtual machine: hardware's if this machine has it, else one that translates. It has two ports, for what
/// the job prints and for its exit status. It ends with this program, whatever ends that.
fn machine(kernel: &Kernel, files: &Path, within: Duration) -> Command {
    let chardev = |id: &str| format!("file,id={id},path={}", files.join(id).display());
    // A port to standard input and output would be closed both ways when there is no input.
    let output = "file,id=output,path=/dev/stdout";
    let port = |number, id| format!("virtserialport,nr={number},chardev={id}");
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "TERM", "timeout", "--foreground", "--kill-after=5"]);
    command.arg(within.as_secs().to_string()).arg("qemu-system-x86_64");
    command.args(["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"]);
    command.args(["-machine", "q35", "-accel", accelerator()]);
    // Five levels of page tables would only be walked in vain.
    command.args(["-cpu", "max,la57=off", "-smp", "2", "-m", MEMORY]);
    command.arg("-kernel").arg(kernel.image());
    command.arg("-initrd").arg(files.join("initramfs")).args(["-append", PARAMETERS]);
    command
        .args(["-fsdev", "local,id=root,path=/,security_model=none,multidevs=remap,readonly=on"]);
    command.args(["-device", "virtio-9p-pci,fsdev=root,mount_tag=root"]);
    command.args(["-chardev", &chardev("console"), "-serial", "chardev:console"]);
    command.args(["-device", "virtio-serial-pci"]);
    command.args(["-chardev", output, "-device", &port(1, "output")]);
    command.args(["-chardev", &chardev("status"), "-device", &port(2, "status")]);
    command
}

/// The hardware's virtualisation, where the processor has one: a /dev/kvm without it makes no machine of this kind.
fn accelerator() -> &'static str {
    let processors = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let has_hardware = processors.split_whitespace().any(|flag| matches!(flag, "vmx" | "svm"));
    if has_hardware && Path::new("/dev/kvm").exists() {
        "kvm"
    } else {
        "tcg,thread=multi,tb-size=512"
    }
}
