//! `sandbar oci features` (`features.md` of the runtime specification).

use serde_json::{Value, json};

use crate::cli::Exit;
use crate::failure::Result;
use crate::output;

/// Show what is supported, as JSON
#[derive(Debug, clap::Args)]
pub(super) struct Features {}

impl Features {
    pub(super) fn execute(self) -> Result<Exit> {
        let Self {} = self;
        output::json(&json!({
            "ociVersionMin": "1.0.0",
            "ociVersionMax": "1.3.0",
            "hooks": [
                "prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop",
            ],
            "mountOptions": sandbar_runtime::MOUNT_OPTIONS.to_vec(),
            "linux": linux(),
            "annotations": { "io.sandbar.version": env!("CARGO_PKG_VERSION") },
        }))?;
        Ok(Exit::SUCCESS)
    }
}

fn linux() -> Value {
    let enabled = |enabled: bool| json!({ "enabled": enabled });
    json!({
        "namespaces": ["cgroup", "ipc", "mount", "network", "pid", "time", "user", "uts"],
        "cgroup": { "v1": true, "v2": true, "systemd": true, "systemdUser": false, "rdma": true },
        "seccomp": {
            "enabled": true,
            "actions": [
                "SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO", "SCMP_ACT_KILL", "SCMP_ACT_KILL_PROCESS",
                "SCMP_ACT_KILL_THREAD", "SCMP_ACT_LOG", "SCMP_ACT_NOTIFY", "SCMP_ACT_TRACE", "SCMP_ACT_TRAP",
            ],
            "operators": [
                "SCMP_CMP_EQ", "SCMP_CMP_GE", "SCMP_CMP_GT", "SCMP_CMP_LE", "SCMP_CMP_LT",
                "SCMP_CMP_MASKED_EQ", "SCMP_CMP_NE",
            ],
            "archs": ["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM", "SCMP_ARCH_X32", "SCMP_ARCH_X86", "SCMP_ARCH_X86_64"],
        },
        "apparmor": enabled(true),
        "selinux": enabled(true),
        "intelRdt": enabled(false),
        "memoryPolicy": enabled(false),
        "netDevices": enabled(false),
        "mountExtensions": { "idmap": enabled(true) },
    })
}
