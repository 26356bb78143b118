//! How a resolver begins and ends.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test panics when it fails, and reports what it skips and measures"
)]

mod node;

use std::fs::File;
use std::net::UdpSocket;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use hickory_proto::rr::RecordType::A;
use node::{ensure, found, network, on_a_node, put, resolvers, started, try_ensure, wait_until};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, kill_process};
use sandbar_resolver::{ErrorKind, Outside, Start};

#[test]
fn a_network_has_one_resolver_however_many_start_it() {
    on_a_node("a_network_has_one_resolver_however_many_start_it", || {
        let directory = network("");
        let started = std::thread::scope(|scope| {
            let starting: Vec<_> = (0..8).map(|_| scope.spawn(|| ensure(&directory))).collect();
            starting.into_iter().filter_map(|started| started.join().unwrap().then_some(())).count()
        });
        assert_eq!(started, 1);
        assert_eq!(found("asker.", A), ["10.85.0.2"]);
        assert_eq!(resolvers().len(), 1);
    });
}

#[test]
fn it_ends_some_seconds_after_the_last_endpoint_and_can_be_started_again() {
    on_a_node("it_ends_some_seconds_after_the_last_endpoint_and_can_be_started_again", || {
        let directory = started("");
        // A short absence, as of a restart, is none.
        directory.remove_endpoint("asker").unwrap();
        std::thread::sleep(Duration::from_secs(2));
        put(&directory, "asker", "address 10.85.0.2 name asker");
        std::thread::sleep(Duration::from_secs(2));
        assert!(!ensure(&directory));
        directory.remove_endpoint("asker").unwrap();
        let waited = wait_until("it does not end", || ensure(&directory));
        assert!(
            (Duration::from_millis(2800)..Duration::from_secs(4)).contains(&waited),
            "{waited:?}"
        );
    });
}

#[test]
fn an_endpoint_added_at_the_very_end_has_a_resolver() {
    on_a_node("an_endpoint_added_at_the_very_end_has_a_resolver", || {
        let directory = started("");
        for round in 0..4 {
            directory.remove_endpoint("asker").unwrap();
            std::thread::sleep(Duration::from_millis(2998 + round));
            put(&directory, "asker", "address 10.85.0.2 name asker");
            ensure(&directory);
            assert_eq!(found("asker.", A), ["10.85.0.2"], "{round}");
        }
        wait_until("there are two", || resolvers().len() == 1);
    });
}

#[test]
fn it_ends_at_once_with_the_directory() {
    on_a_node("it_ends_at_once_with_the_directory", || {
        let directory = started("");
        std::fs::remove_dir_all(directory.path()).unwrap();
        let waited = wait_until("it does not end", || resolvers().is_empty());
        assert!(waited < Duration::from_secs(1), "{waited:?}");
    });
}

#[test]
fn one_that_was_killed_is_replaced_by_the_next_who_looks() {
    on_a_node("one_that_was_killed_is_replaced_by_the_next_who_looks", || {
        let directory = started("");
        for _ in 0..5 {
            assert!(!ensure(&directory));
            let pid = Pid::from_raw(resolvers()[0]).unwrap();
            kill_process(pid, Signal::KILL).unwrap();
            wait_until("the lock is held", || ensure(&directory));
            assert_eq!(found("asker.", A), ["10.85.0.2"]);
        }
    });
}

#[test]
fn its_end_is_told_to_all_who_wait_for_it_and_nothing_else_is() {
    on_a_node("its_end_is_told_to_all_who_wait_for_it_and_nothing_else_is", || {
        let directory = network("");
        assert!(directory.end().is_err(), "there never was one");
        assert!(ensure(&directory));
        let before = directory.end().unwrap();
        for _ in 0..3 {
            let after = directory.end().unwrap();
            for _ in 0..20 {
                assert!(!ensure(&directory));
                assert_eq!(found("asker.", A), ["10.85.0.2"]);
            }
            assert!(!is_hung_up(&before) && !is_hung_up(&after));
            kill_process(Pid::from_raw(resolvers()[0]).unwrap(), Signal::KILL).unwrap();
            wait_until("nobody tells", || is_hung_up(&before) && is_hung_up(&after));
            assert!(!is_hung_up(&directory.end().unwrap()), "its end was before");
            assert!(ensure(&directory));
        }
    });
}

fn is_hung_up(end: &OwnedFd) -> bool {
    let mut polled = [PollFd::new(end, PollFlags::IN)];
    poll(&mut polled, Some(&Timespec::default())).unwrap();
    let told = polled[0].revents();
    assert!(told.is_empty() || told == PollFlags::HUP, "{told:?}");
    !told.is_empty()
}

#[test]
fn it_sees_the_files_of_the_namespace_that_it_is_to_be_in() {
    on_a_node("it_sees_the_files_of_the_namespace_that_it_is_to_be_in", || {
        node::upstream("127.0.0.11", |question, _tcp| {
            vec![node::answered(question, &["192.0.2.99"])]
        });
        node::resolv_conf(&["127.0.0.11"]);
        let (mounts, root) = (File::open("/proc/self/ns/mnt").unwrap(), File::open("/").unwrap());
        let inside = std::thread::spawn(move || {
            // A namespace of this thread's own, with files that hide the host's, as a supervisor's may.
            sandbar_sys::unshare(sandbar_sys::Namespaces::NEWNS).unwrap();
            node::run("mount --make-rprivate /");
            let directory = network("");
            node::run("mount -t tmpfs tmpfs /etc");
            let program = File::open(env!("CARGO_BIN_EXE_sandbar-resolver")).unwrap();
            let outside = Outside { mounts: mounts.as_fd(), root: root.as_fd() };
            let start = Start { outside: Some(outside), ..Start::new(program.as_fd()) };
            assert!(start.ensure(&directory).unwrap());
        });
        inside.join().unwrap();
        assert_eq!(found("www.example.com.", A), ["192.0.2.99"]);
        let own = std::fs::read_link("/proc/self/ns/mnt").unwrap();
        let pid = resolvers()[0];
        assert_eq!(std::fs::read_link(format!("/proc/{pid}/ns/mnt")).unwrap(), own);
    });
}

#[test]
fn an_address_that_is_taken_is_told_and_leaves_nothing() {
    on_a_node("an_address_that_is_taken_is_told_and_leaves_nothing", || {
        let directory = network("");
        let other = UdpSocket::bind("10.85.0.1:53").unwrap();
        let error = try_ensure(&directory).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddressTaken);
        assert!(error.to_string().contains("10.85.0.1:53"), "{error}");
        drop(other);
        assert!(ensure(&directory));
    });
}

#[test]
fn it_may_begin_before_the_gateway_has_its_address() {
    on_a_node("it_may_begin_before_the_gateway_has_its_address", || {
        node::run("ip address del 10.85.0.1/24 dev pod");
        started("");
        node::run("ip address add 10.85.0.1/24 dev pod");
        assert_eq!(found("asker.", A), ["10.85.0.2"]);
    });
}
