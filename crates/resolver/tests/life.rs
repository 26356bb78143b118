//! How a resolver begins and ends.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test panics when it fails, and reports what it skips and measures"
)]

mod node;

use std::net::UdpSocket;
use std::time::Duration;

use hickory_proto::rr::RecordType::A;
use node::{ensure, found, network, on_a_node, put, resolvers, started, try_ensure, wait_until};
use rustix::process::{Pid, Signal, kill_process};
use sandbar_resolver::ErrorKind;

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
