//! What depends on cgroups, once more where the hierarchy is version 2 alone: in a guest, as few machines that build
//! things have one.
//!
//! A machine without hardware virtualisation translates the guest's instructions, and takes about ten times as long.
//! So the guest runs what cgroups have a part in, and not what is about archives, the network, terminals, logs and
//! messages, which is the same in both versions and is tested on the machine itself.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::step::Outcome;
use super::tally::Tally;
use crate::apt::{self, Package};
use crate::guest::{self, Kernel};
use crate::{build, shell};

/// The files of tests, each with its arguments. Those that are left out say nothing of cgroups. Of the others some
/// tests need a machine of a usual speed, as they do something very often or many times at once.
const FILES: [(&str, &str); 13] = [
    // crates/cgroup's.
    ("kernel", ""),
    ("limits", ""),
    ("exit_codes", ""),
    ("pods", ""),
    ("shared_pid", "--skip twenty_thousand_orphans"),
    ("supervisor_killed", "--skip killed_at_any_moment_of_a_start"),
    ("confinement", ""),
    ("leftovers", "--skip thirty_pods_at_once"),
    ("oci", ""),
    ("oci_bundles", ""),
    ("oci_exec", ""),
    ("oci_systemd", ""),
    ("security_rows", "--skip row_7_a_target_that_is_raced"),
];

/// What is run there and is not on every machine.
const PACKAGES: [Package<'_>; 2] = [Package::SYSTEMD, Package::DBUS];

/// How much longer the tests wait there for what has to happen.
const PATIENCE: u32 = 10;

/// How long all of them may take.
const AT_MOST: Duration = Duration::from_secs(900);

/// Runs them, and counts them.
pub(crate) fn run(tally: &mut Tally) -> Outcome {
    match apt::install(&PACKAGES).and_then(|()| guest::obtain()) {
        Ok(kernel) => run_in(&kernel, tally).into(),
        Err(why) => Outcome::Skipped(format!("{why:#}")),
    }
}

fn run_in(kernel: &Kernel, tally: &mut Tally) -> Result<()> {
    let mut arguments = vec!["test", "--workspace", "--no-run"];
    arguments.extend(FILES.iter().flat_map(|(name, _)| ["--test", name]));
    let job = job(&build::built(&arguments)?)?;
    let status = guest::run(kernel, &job, AT_MOST, |line| {
        println!("{line}");
        tally.read(line);
    })?;
    if status != 0 {
        bail!("tests in the guest failed");
    }
    if tally.total() == 0 {
        bail!("no test was run in the guest");
    }
    Ok(())
}

/// A shell script that runs every file, and fails if one of them does.
fn job(executables: &BTreeMap<String, PathBuf>) -> Result<String> {
    let mut job = format!("export HOME=/root SANDBAR_TESTS_PATIENCE={PATIENCE}\nstatus=0\n");
    for (name, arguments) in FILES {
        let program = executables.get(name).with_context(|| format!("there is no test {name}"))?;
        let program = shell::quote(program.as_os_str());
        writeln!(job, "echo; echo '     Running {name}'\n{program} {arguments} || status=1")?;
    }
    job.push_str("exit $status\n");
    Ok(job)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_job_fails_if_any_file_does() {
        let executables =
            FILES.map(|(name, _)| (name.to_owned(), PathBuf::from(format!("/t/{name}-1"))));
        let job = job(&BTreeMap::from(executables)).unwrap();
        assert!(job.contains("\n/t/limits-1  || status=1\n"), "{job}");
        assert!(job.ends_with("exit $status\n"));
        assert!(super::job(&BTreeMap::new()).is_err());
    }
}
