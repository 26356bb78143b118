//! `sandbar oci spec`.

use std::collections::HashSet;
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;

use oci_spec::runtime::{Capability, LinuxCapabilities, Process, Root, Spec as Specification};

use crate::cli::Exit;
use crate::failure::{Doing, Failure, Result};

/// Write a config.json to begin with
#[derive(Debug, clap::Args)]
pub(super) struct Spec {
    /// The directory to write it to
    #[arg(short, long, value_name = "DIR", default_value = ".")]
    bundle: PathBuf,
}

impl Spec {
    pub(super) fn execute(self) -> Result<Exit> {
        let path = self.bundle.join("config.json");
        let action = || format!("write {}", path.display());
        let text = serde_json::to_string_pretty(&specification()?).doing(action())?;
        let mut file = File::options().write(true).create_new(true).open(&path).doing(action())?;
        writeln!(file, "{text}").doing(action())?;
        Ok(Exit::SUCCESS)
    }
}

/// A shell on a read-only root, with a terminal and few capabilities, as runc has it.
fn specification() -> Result<Specification> {
    let few: HashSet<_> =
        [Capability::AuditWrite, Capability::Kill, Capability::NetBindService].into();
    let mut capabilities = LinuxCapabilities::default();
    capabilities
        .set_bounding(Some(few.clone()))
        .set_effective(Some(few.clone()))
        .set_permitted(Some(few))
        .set_inheritable(None)
        .set_ambient(None);
    let mut process = Process::default();
    process
        .set_terminal(Some(true))
        .set_args(Some(vec!["sh".to_owned()]))
        .set_capabilities(Some(capabilities))
        .set_no_new_privileges(Some(true));
    let mut root = Root::default();
    root.set_path("rootfs".into()).set_readonly(Some(true));
    let mut spec = Specification::default();
    spec.set_process(Some(process)).set_root(Some(root)).set_hostname(Some("sandbar".to_owned()));
    sandbar_runtime::Checked::new(spec.clone()).map_err(|error| Failure::new(error.one_line()))?;
    Ok(spec)
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_it_writes_can_be_run() {
        let spec = super::specification().unwrap();
        assert_eq!(spec.process().as_ref().unwrap().args().as_ref().unwrap(), &["sh"]);
        assert!(spec.linux().as_ref().unwrap().namespaces().as_ref().unwrap().len() >= 5);
    }
}
