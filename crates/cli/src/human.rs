//! Times, sizes and commands in words, as Docker and Podman say them.

use jiff::Timestamp;
use sandbar_engine::Container;
use sandbar_spec::{
    Connection, ContainerState, ContainerStatus, ExitCode, ExposedPort, PortRequest,
};

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
const WEEK: u64 = 7 * DAY;
const MONTH: u64 = 30 * DAY;
const YEAR: u64 = 365 * DAY;

/// How long: "3 seconds", "About a minute", "5 weeks".
pub(crate) fn duration(seconds: u64) -> String {
    match seconds {
        0 => "Less than a second".to_owned(),
        1 => "1 second".to_owned(),
        2..MINUTE => format!("{seconds} seconds"),
        MINUTE..120 => "About a minute".to_owned(),
        120..HOUR => format!("{} minutes", seconds / MINUTE),
        HOUR..7200 => "About an hour".to_owned(),
        _ if seconds < 2 * DAY => format!("{} hours", seconds / HOUR),
        _ if seconds < 2 * WEEK => format!("{} days", seconds / DAY),
        _ if seconds < 2 * MONTH => format!("{} weeks", seconds / WEEK),
        _ if seconds < 2 * YEAR => format!("{} months", seconds / MONTH),
        _ => format!("{} years", seconds / YEAR),
    }
}

/// How long ago; what lies in the future by a clock that was set back is now.
pub(crate) fn ago(then: Timestamp, now: Timestamp) -> String {
    format!("{} ago", since(then, now))
}

fn since(then: Timestamp, now: Timestamp) -> String {
    duration(u64::try_from(now.duration_since(then).as_secs()).unwrap_or(0))
}

/// A container's state: "Up 3 seconds", "Exited (0) 2 minutes ago".
pub(crate) fn status(status: &ContainerStatus, now: Timestamp) -> String {
    let code = match status.exit_code {
        Some(ExitCode::Known(code)) => code.to_string(),
        Some(ExitCode::Unknown) | None => "unknown".to_owned(),
    };
    let finished = status.finished_at.map(|then| format!(" {}", ago(then, now)));
    let finished = finished.unwrap_or_default();
    match status.state {
        ContainerState::Created => "Created".to_owned(),
        ContainerState::Running => match status.started_at {
            Some(then) => format!("Up {}", since(then, now)),
            None => "Up".to_owned(),
        },
        ContainerState::Restarting => format!("Restarting ({code}){finished}"),
        ContainerState::Exited => format!("Exited ({code}){finished}"),
    }
}

/// A state in one word.
pub(crate) const fn state(state: ContainerState) -> &'static str {
    match state {
        ContainerState::Created => "created",
        ContainerState::Running => "running",
        ContainerState::Restarting => "restarting",
        ContainerState::Exited => "exited",
    }
}

/// How much: "1.24MB", in powers of 1000 with three digits.
#[must_use]
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["kB", "MB", "GB", "TB", "PB", "EB"];
    if bytes < 1000 {
        return format!("{bytes}B");
    }
    // Tenths of a hundredth: integers all the way, as a size is no measurement.
    let mut scale: u64 = 1000;
    let mut units = UNITS.into_iter();
    let mut unit = units.next().unwrap_or_default();
    for next in units {
        // 999.5 of a unit and more is shown as 1 of the next.
        if bytes / (scale / 10) < 9995 {
            break;
        }
        scale = scale.saturating_mul(1000);
        unit = next;
    }
    let hundredths = (u128::from(bytes) * 100 + u128::from(scale / 2)) / u128::from(scale);
    match hundredths {
        ..1000 => trimmed(&format!("{}.{:02}", hundredths / 100, hundredths % 100), unit),
        1000..10000 => {
            let tenths = (u128::from(bytes) * 10 + u128::from(scale / 2)) / u128::from(scale);
            trimmed(&format!("{}.{}", tenths / 10, tenths % 10), unit)
        }
        _ => format!("{}{unit}", (u128::from(bytes) + u128::from(scale / 2)) / u128::from(scale)),
    }
}

fn trimmed(number: &str, unit: &str) -> String {
    format!("{}{unit}", number.trim_end_matches('0').trim_end_matches('.'))
}

/// A command in quotes, cut to twenty characters unless `whole`.
pub(crate) fn command(words: &[String], whole: bool) -> String {
    const LONGEST: usize = 20;
    let mut text = words.join(" ");
    if !whole && text.chars().count() > LONGEST {
        text = text.chars().take(LONGEST - 1).chain(['…']).collect();
    }
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            _ if character.is_control() => quoted.extend(character.escape_default()),
            _ => quoted.push(character),
        }
    }
    quoted + "\""
}

/// Whether ports that are published there can be reached by IPv6, too.
pub(crate) fn has_ipv6(connections: &[Connection]) -> bool {
    Connection::gateway_of(connections).is_some_and(|gateway| gateway.ipv6.is_some())
}

/// The ports under which a running container can be reached.
pub(crate) fn ports(container: &Container) -> String {
    if container.status.state != ContainerState::Running || !container.config.shares_pod_network() {
        return String::new();
    }
    let published = &container.pod.ports;
    let has_ipv6 = has_ipv6(&container.connections);
    let shown = published.iter().flat_map(|port| port.addresses(has_ipv6).map(|ip| port.at(ip)));
    // As Docker has it: what is exposed, but not published, is shown without a host's port.
    let is_published = |exposed: &ExposedPort| {
        published.iter().any(|port| PortRequest::at_random(*exposed).part_of(port).is_some())
    };
    let exposed = container.config.exposed.iter().filter(|port| !is_published(port));
    shown.chain(exposed.map(ToString::to_string)).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_dockers() {
        for (seconds, text) in [
            (0, "Less than a second"),
            (1, "1 second"),
            (59, "59 seconds"),
            (60, "About a minute"),
            (119, "About a minute"),
            (120, "2 minutes"),
            (HOUR, "About an hour"),
            (2 * HOUR, "2 hours"),
            (47 * HOUR, "47 hours"),
            (2 * DAY, "2 days"),
            (15 * DAY, "2 weeks"),
            (90 * DAY, "3 months"),
            (3 * YEAR, "3 years"),
        ] {
            assert_eq!(duration(seconds), text);
        }
        let now = Timestamp::UNIX_EPOCH;
        let future: Timestamp = "2030-01-01T00:00:00Z".parse().unwrap();
        assert_eq!(ago(future, now), "Less than a second ago");
    }

    #[test]
    fn a_status_never_invents_a_code() {
        let started: Timestamp = "2030-01-01T00:00:00Z".parse().unwrap();
        let now: Timestamp = "2030-01-01T00:00:03Z".parse().unwrap();
        let mut it = ContainerStatus::default();
        assert_eq!(status(&it, now), "Created");
        it.state = ContainerState::Running;
        it.started_at = Some(started);
        assert_eq!(status(&it, now), "Up 3 seconds");
        it.state = ContainerState::Exited;
        it.finished_at = Some(started);
        it.exit_code = Some(ExitCode::Known(137));
        assert_eq!(status(&it, now), "Exited (137) 3 seconds ago");
        it.exit_code = Some(ExitCode::Unknown);
        assert_eq!(status(&it, now), "Exited (unknown) 3 seconds ago");
        it.finished_at = None;
        assert_eq!(status(&it, now), "Exited (unknown)");
        it.exit_code = Some(ExitCode::Known(1));
        it.state = ContainerState::Restarting;
        assert_eq!(status(&it, now), "Restarting (1)");
    }

    #[test]
    fn sizes_have_three_digits() {
        for (bytes, text) in [
            (0, "0B"),
            (999, "999B"),
            (1000, "1kB"),
            (1240, "1.24kB"),
            (15_349, "15.3kB"),
            (999_499, "999kB"),
            (999_500, "1MB"),
            (1_236_000, "1.24MB"),
            (133_000_000, "133MB"),
            (9_999_000_000, "10GB"),
            (u64::MAX, "18.4EB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }

    #[test]
    fn commands_are_quoted_and_cut() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(command(&words("sleep 5"), false), "\"sleep 5\"");
        let long = words("/docker-entrypoint.sh nginx");
        assert_eq!(command(&long, false), "\"/docker-entrypoint.…\"");
        assert_eq!(command(&long, true), "\"/docker-entrypoint.sh nginx\"");
        assert_eq!(command(&["a\"\x1b".to_owned()], true), "\"a\\\"\\u{1b}\"");
    }
}
