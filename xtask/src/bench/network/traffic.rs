//! Bytes and connections through a published port, as a share of what goes straight to the pod's address.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::NODE;
use crate::bench::comparison::{Bound, Finding, Line, median};
use crate::bench::peers::{IMAGE, Peer};
use crate::shell;

/// Of what is reached without it.
const SHARE: f64 = 0.95;

/// How long one measurement takes.
const SECONDS: &str = "2";

/// What is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Load {
    /// Bytes over so many connections, by iperf3.
    Streams(u32),
    /// Connections, each for one small page of nginx, by wrk.
    Connections,
}

const LOADS: [Load; 3] = [Load::Streams(1), Load::Streams(8), Load::Connections];

/// The servers' ports in the pod, and as which they are published: iperf3's, nginx's.
const PORTS: [(u16, u16); 2] = [(5201, 25201), (8080, 28080)];

pub(super) fn measure(scratch: &Path, peers: &[&Peer], rounds: usize) -> Vec<Line> {
    let mut lines = LOADS.map(|load| Line {
        what: load.words(),
        bound: Bound::AtLeast(SHARE),
        unit: "",
        measured: Vec::new(),
    });
    for peer in peers {
        println!("measuring traffic through a published port of {}'s", peer.name);
        let shares = shares(scratch, peer, rounds).map_err(|error| format!("{error:#}"));
        let cleared = peer.run(&["rm", "-f", "traffic"]);
        for (index, line) in lines.iter_mut().enumerate() {
            let finding = match (&shares, &cleared) {
                (Ok(found), Ok(())) => found.get(index).map(Shares::finding),
                (Err(why), _) => Some(Err(why.clone())),
                (_, Err(error)) => Some(Err(format!("{error:#}"))),
            };
            let finding = finding.unwrap_or_else(|| Err("nothing was counted".to_owned()));
            line.measured.push((peer.name, finding));
        }
    }
    lines.into()
}

/// What was reached by each of the two ways, one right after the other.
#[derive(Debug, Clone, Copy)]
struct Pair {
    direct: f64,
    published: f64,
}

/// What was reached, and in what it was counted.
#[derive(Debug, Default)]
struct Shares {
    pairs: Vec<Pair>,
    unit: &'static str,
}

impl Shares {
    /// The median of the pairs' ratios: what the machine does beside is much the same for the two of a pair.
    fn finding(&self) -> Result<Finding, String> {
        let of_pairs = |number: fn(&Pair) -> f64| {
            let mut numbers: Vec<f64> = self.pairs.iter().map(number).collect();
            median(&mut numbers).ok_or("nothing was counted")
        };
        let (published, direct) = (of_pairs(|pair| pair.published)?, of_pairs(|pair| pair.direct)?);
        let of = format!("{published:.1} of {direct:.1} {}", self.unit);
        Ok(Finding { value: of_pairs(|pair| pair.published / pair.direct)?, of })
    }
}

fn shares(scratch: &Path, peer: &Peer, rounds: usize) -> Result<[Shares; 3]> {
    let publish = PORTS.map(|(inside, outside)| format!("{outside}:{inside}"));
    let [first, second] = publish.each_ref().map(String::as_str);
    peer.run(&[
        "run",
        "-d",
        "--name",
        "traffic",
        "--stop-signal",
        "KILL",
        "-p",
        first,
        "-p",
        second,
        IMAGE,
        "sleep",
        "86400",
    ])?;
    let pod = Pod::of(peer)?;
    let _servers = pod.serve(scratch)?;
    let mut all: [Shares; 3] = Default::default();
    for round in 0..rounds {
        for (load, shares) in LOADS.into_iter().zip(&mut all) {
            let [iperf, nginx] = PORTS;
            let (inside, outside) = if load == Load::Connections { nginx } else { iperf };
            shares.unit = load.unit();
            // Who is first may have it easier: they take turns in that, too.
            let published = || load.run(NODE, outside);
            let early = (round % 2 == 1).then(published).transpose()?;
            let direct = load.run(&pod.address, inside)?;
            let published = early.map_or_else(published, Ok)?;
            shares.pairs.push(Pair { direct, published });
        }
    }
    Ok(all)
}

impl Load {
    fn words(self) -> String {
        let what = match self {
            Self::Streams(1) => "bytes a second, 1 stream (iperf3)".to_owned(),
            Self::Streams(count) => format!("bytes a second, {count} streams (iperf3)"),
            Self::Connections => "connections a second (wrk, nginx)".to_owned(),
        };
        format!("{what}: by a published port, of by the pod's address")
    }

    fn unit(self) -> &'static str {
        match self {
            Self::Streams(_) => "Gbit/s",
            Self::Connections => "thousand/s",
        }
    }

    fn run(self, address: &str, port: u16) -> Result<f64> {
        match self {
            Self::Streams(count) => {
                let (count, port) = (count.to_string(), port.to_string());
                let words = ["-c", address, "-p", &port, "-P", &count, "-t", SECONDS, "-J"];
                let report = shell::output(Command::new("iperf3").args(words))?;
                let report: Value = serde_json::from_str(&report).context("iperf3's report")?;
                let bits = report["end"]["sum_received"]["bits_per_second"].as_f64();
                let why = || format!("iperf3 to {address}:{port}: {}", report["error"]);
                Ok(bits.with_context(why)? / 1e9)
            }
            Self::Connections => {
                let url = format!("http://{address}:{port}/");
                let duration = format!("{SECONDS}s");
                let words = ["-t1", "-c8", "-d", &duration, "-H", "Connection: close", &url];
                let told = shell::output(Command::new("wrk").args(words))?;
                let line = told.lines().find_map(|line| line.strip_prefix("Requests/sec:"));
                let number: f64 = line.context("wrk tells no speed")?.trim().parse()?;
                Ok(number / 1e3)
            }
        }
    }
}

/// Where the servers run.
struct Pod {
    namespace: String,
    address: String,
}

/// Servers that end with this.
struct Servers(Vec<Child>);

impl Pod {
    fn of(peer: &Peer) -> Result<Self> {
        let containers = peer.containers()?;
        let named = |container: &&Value| container["Names"].to_string().contains("traffic");
        let container = containers.iter().find(named).context("ps does not show it")?;
        let pid = container["Pid"].as_u64().context("ps tells no pid")?;
        let namespace = format!("--net=/proc/{pid}/ns/net");
        let words = ["-j", "-4", "addr", "show", "dev", "eth0"];
        let told = shell::output(Command::new("nsenter").args([&namespace, "ip"]).args(words))?;
        let told: Value = serde_json::from_str(&told).context("ip's answer")?;
        let address = told[0]["addr_info"][0]["local"].as_str().context("eth0 has no address")?;
        Ok(Self { address: address.to_owned(), namespace })
    }

    fn serve(&self, scratch: &Path) -> Result<Servers> {
        let configuration = scratch.join("nginx.conf");
        let port = PORTS[1].0;
        let text = format!(
            "daemon off; pid {0}/nginx.pid; error_log /dev/null; worker_processes 1;\n\
             events {{}} http {{ access_log off; server {{ listen {port}; return 200 \"x\"; }} }}\n",
            scratch.display()
        );
        std::fs::write(&configuration, text)?;
        let nginx = ["nginx", "-c", configuration.to_str().context("a path that is no text")?];
        let mut servers = Servers(Vec::new());
        for words in [["iperf3", "-s"].as_slice(), &nginx] {
            let messages = File::create(scratch.join("servers.messages"))?;
            let child = Command::new("nsenter")
                .arg(&self.namespace)
                .args(words)
                .stdin(Stdio::null())
                .stdout(messages.try_clone()?)
                .stderr(messages)
                .spawn()?;
            servers.0.push(child);
        }
        let deadline = Instant::now() + Duration::from_secs(10);
        for (port, _) in PORTS {
            while std::net::TcpStream::connect((self.address.as_str(), port)).is_err() {
                if Instant::now() > deadline {
                    bail!("nobody listens at {}:{port}", self.address);
                }
                sleep(Duration::from_millis(20));
            }
        }
        Ok(servers)
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        for server in &mut self.0 {
            // Asked, not killed: nginx's worker goes with its master then.
            let pid = server.id().cast_signed();
            if let Some(pid) = rustix::process::Pid::from_raw(pid) {
                let _gone = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
            }
            let _waited = server.wait();
        }
    }
}
