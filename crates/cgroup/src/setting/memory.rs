//! Memory and swap.

use super::{Lack, Settings, Undo, or};
use crate::Controller::Memory;
use crate::error::Cause;
use crate::{Ceiling, Limits, Result};

const LIMIT: &str = "the memory limit";
const SWAP: &str = "swap";
const RESERVATION: &str = "the memory reservation";

impl Settings {
    pub(super) fn memory_v1(&mut self, limits: &Limits) -> Result<()> {
        const BOTH: &str = "memory.memsw.limit_in_bytes";
        let memory = limits.memory;
        if let (Some(Ceiling::At(both)), Some(Ceiling::Unlimited)) = (limits.memory_swap, memory) {
            return Err(swap_error(both, NEEDS_MEMORY));
        }
        swap_above(limits)?;
        if let Some(memory) = memory {
            self.ask(LIMIT, Memory, "memory.limit_in_bytes", or(memory, "-1"));
        }
        match (limits.memory_swap, memory) {
            // Memory can't go above memory and swap together; there may be no swap accounting.
            (None, Some(Ceiling::Unlimited)) => {
                self.ask(LIMIT, Memory, BOTH, "-1".to_owned()).lack = Lack::Nothing;
            }
            (None, _) => {}
            (Some(both), _) => {
                self.ask(SWAP, Memory, BOTH, or(both, "-1"));
            }
        }
        if let Some(soft) = limits.memory_reservation {
            self.ask(RESERVATION, Memory, "memory.soft_limit_in_bytes", or(soft, "-1"));
        }
        if let Some(swappiness) = limits.memory_swappiness {
            if swappiness > 100 {
                let (limit, value) = ("memory swappiness".into(), swappiness.to_string());
                return Err(Cause::InvalidLimit { limit, value, why: "the most is 100" }.into());
            }
            self.ask("memory swappiness", Memory, "memory.swappiness", swappiness.to_string());
        }
        if let Some(disabled) = limits.oom_killer_disabled {
            let value = u8::from(disabled).to_string();
            let limit = "the out-of-memory killer";
            self.ask(limit, Memory, "memory.oom_control", value).undo =
                Undo::Number("oom_kill_disable");
        }
        Ok(())
    }

    pub(super) fn memory_v2(&mut self, limits: &Limits) -> Result<()> {
        if limits.memory_swappiness.is_some() {
            return Err(Cause::OnlyIn { limit: "memory swappiness", version: 1 }.into());
        }
        if limits.oom_killer_disabled == Some(true) {
            let limit = "a disabled out-of-memory killer";
            return Err(Cause::OnlyIn { limit, version: 1 }.into());
        }
        swap_above(limits)?;
        if let Some(memory) = limits.memory {
            self.ask(LIMIT, Memory, "memory.max", or(memory, "max"));
        }
        let swap = match (limits.memory_swap, limits.memory) {
            // Both at once, as in version 1; there may be no swap accounting.
            (None, Some(Ceiling::Unlimited)) => {
                self.ask(LIMIT, Memory, "memory.swap.max", "max".to_owned()).lack = Lack::Nothing;
                None
            }
            (None, _) => None,
            (Some(Ceiling::At(both)), None) => return Err(swap_error(both, NEEDS_MEMORY)),
            (Some(Ceiling::At(both)), Some(Ceiling::At(memory))) => {
                Some(Ceiling::At(both - memory))
            }
            (Some(swap), _) => Some(swap),
        };
        if let Some(swap) = swap {
            self.ask(SWAP, Memory, "memory.swap.max", or(swap, "max"));
        }
        if let Some(soft) = limits.memory_reservation {
            self.ask(RESERVATION, Memory, "memory.low", or(soft, "max"));
        }
        Ok(())
    }
}

const NEEDS_MEMORY: &str = "it needs a memory limit";

/// Fails where memory and swap together are less than memory alone.
fn swap_above(limits: &Limits) -> Result<()> {
    match (limits.memory_swap, limits.memory) {
        (Some(Ceiling::At(both)), Some(Ceiling::At(memory))) if both < memory => {
            Err(swap_error(both, "it includes the memory limit, which is higher"))
        }
        _ => Ok(()),
    }
}

fn swap_error(both: u64, why: &'static str) -> crate::Error {
    let limit = "memory and swap limit".into();
    Cause::InvalidLimit { limit, value: format!("{both} bytes"), why }.into()
}

#[cfg(test)]
mod tests {
    use super::super::{Setting, v1, v2};
    use super::*;
    use crate::ErrorKind;

    fn files(settings: &[Setting]) -> Vec<(&str, &str)> {
        settings.iter().map(|s| (s.file.as_ref(), s.value.as_str())).collect()
    }

    #[test]
    fn swap_below_memory_is_refused_and_swap_without_memory_where_it_can_not_be_converted() {
        let of =
            |memory| Limits { memory, memory_swap: Some(Ceiling::At(10)), ..Limits::default() };
        for version in [v1, v2] {
            let error = version(&of(Some(Ceiling::At(11)))).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidLimit);
        }
        assert_eq!(v2(&of(None)).unwrap_err().kind(), ErrorKind::InvalidLimit);
        assert_eq!(v1(&of(Some(Ceiling::Unlimited))).unwrap_err().kind(), ErrorKind::InvalidLimit);
        let alone = v1(&of(None)).unwrap();
        assert_eq!(files(&alone), [("memory.memsw.limit_in_bytes", "10")]);
        let unlimited = v2(&of(Some(Ceiling::Unlimited))).unwrap();
        assert_eq!(files(&unlimited), [("memory.max", "max"), ("memory.swap.max", "10")]);
        let none = v2(&of(Some(Ceiling::At(10)))).unwrap();
        assert_eq!(files(&none)[1], ("memory.swap.max", "0"));
    }

    #[test]
    fn what_only_version_1_has_is_refused_in_version_2() {
        let swappiness = Limits { memory_swappiness: Some(10), ..Limits::default() };
        assert_eq!(files(&v1(&swappiness).unwrap()), [("memory.swappiness", "10")]);
        let error = v2(&swappiness).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NoController);
        assert_eq!(error.to_string(), "memory swappiness can be had only in cgroup version 1");
        let oom = |disabled| Limits { oom_killer_disabled: Some(disabled), ..Limits::default() };
        assert_eq!(files(&v1(&oom(true)).unwrap()), [("memory.oom_control", "1")]);
        assert!(v2(&oom(true)).is_err());
        assert_eq!(v2(&oom(false)).unwrap(), []);
        let much = Limits { memory_swappiness: Some(101), ..Limits::default() };
        assert_eq!(v1(&much).unwrap_err().kind(), ErrorKind::InvalidLimit);
    }
}
