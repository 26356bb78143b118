//! What a container may use at most.

use sandbar_engine::ContainerOptions;
use sandbar_spec::{Bytes, Limits};

use crate::failure::{Failure, Result};
use crate::values::{Cpus, MemorySwap, PidsLimit, UlimitValue};

/// Limits.
#[derive(Debug, clap::Args)]
pub(crate) struct Resources {
    /// Memory, as in 512m; 0 for no limit
    #[arg(short, long, value_name = "SIZE")]
    memory: Option<Bytes>,
    /// Memory and swap together; -1 for no limit
    #[arg(long, value_name = "SIZE", allow_hyphen_values = true)]
    memory_swap: Option<MemorySwap>,
    /// Processors, as in 1.5; 0 for no limit
    #[arg(long, value_name = "NUMBER")]
    cpus: Option<Cpus>,
    /// Weight against others; 1024 is the usual
    #[arg(long, value_name = "NUMBER")]
    cpu_shares: Option<u64>,
    /// Processes and threads; -1 for no limit
    #[arg(long, value_name = "NUMBER", allow_hyphen_values = true)]
    pids_limit: Option<PidsLimit>,
    /// A limit of each process, as in nofile=1024
    #[arg(long, value_name = "NAME=SOFT[:HARD]")]
    ulimit: Vec<UlimitValue>,
    /// How readily memory shortage ends it
    #[arg(
        long,
        value_name = "-1000..1000",
        allow_hyphen_values = true,
        default_value_t = 0,
        hide_default_value = true,
        value_parser = clap::value_parser!(i32).range(-1000..=1000)
    )]
    oom_score_adj: i32,
}

impl Resources {
    /// Into the engine's options.
    pub(crate) fn resolve(self, options: &mut ContainerOptions) -> Result<()> {
        let memory = self.memory.filter(|memory| memory.0 > 0);
        let memory_swap = match self.memory_swap {
            None | Some(MemorySwap::Unlimited | MemorySwap::At(Bytes(0))) => None,
            Some(MemorySwap::At(both)) => Some(both),
        };
        match (memory, memory_swap) {
            (None, Some(_)) => {
                let message = "--memory-swap limits memory and swap together, and needs --memory";
                return Err(Failure::new(message));
            }
            (Some(memory), Some(both)) if both < memory => {
                let message = "--memory-swap includes the memory, and can't be less than --memory";
                return Err(Failure::new(message));
            }
            _ => {}
        }
        options.limits = Limits {
            memory,
            memory_swap,
            nano_cpus: self.cpus.map(|cpus| cpus.0).filter(|nano| *nano > 0),
            cpu_shares: self.cpu_shares.filter(|shares| *shares > 0),
            pids: self.pids_limit.map(|limit| limit.0),
        };
        options.ulimits = self.ulimit.into_iter().map(|ulimit| ulimit.0).collect();
        options.oom_score = self.oom_score_adj;
        Ok(())
    }
}
