//! What a container's processes are allowed.

use sandbar_engine::ContainerOptions;

use crate::values::SecurityOption;

/// Privileges.
#[derive(Debug, clap::Args)]
pub(crate) struct Security {
    /// Give a capability; ALL for all
    #[arg(long, value_name = "NAME")]
    cap_add: Vec<String>,
    /// Take a capability; ALL for all
    #[arg(long, value_name = "NAME")]
    cap_drop: Vec<String>,
    /// no-new-privileges
    #[arg(long, value_name = "OPTION")]
    security_opt: Vec<SecurityOption>,
}

impl Security {
    /// Into the engine's options.
    pub(crate) fn resolve(self, options: &mut ContainerOptions) {
        let list = |given: Vec<String>| -> Vec<String> {
            given.iter().flat_map(|names| names.split(',')).map(str::to_owned).collect()
        };
        options.cap_add = list(self.cap_add);
        options.cap_drop = list(self.cap_drop);
        // The last one counts.
        if let Some(SecurityOption::NoNewPrivileges(set)) = self.security_opt.last() {
            options.no_new_privileges = *set;
        }
    }
}
