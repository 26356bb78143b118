//! The names that a pod finds which is on several networks.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test panics when it fails, and reports what it skips and measures"
)]

mod node;

use std::sync::atomic::Ordering::SeqCst;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType::{A, PTR};
use node::{code, found, on_a_node, put, started};
use sandbar_resolver::NetworkDirectory;

/// The asking pod as it is on `blog`, and on others.
const ASKER: &str = "address 10.85.0.2 address fd00:85::2 name asker";

/// Another network, with a till and a database.
fn shop() -> NetworkDirectory {
    let directory = NetworkDirectory::new("/run/sandbar/networks/Shop");
    let text = "network shop\nlisten 10.86.0.1\nsubnet 10.86.0.0/24";
    directory.write(&text.parse().unwrap()).unwrap();
    put(&directory, "1", "address 10.86.0.7 name till");
    put(&directory, "2", "address 10.86.0.8 name db");
    directory
}

#[test]
fn a_pod_finds_the_names_of_those_of_its_networks_that_it_is_on_now() {
    on_a_node("a_pod_finds_the_names_of_those_of_its_networks_that_it_is_on_now", || {
        let blog = started("");
        shop();
        put(&blog, "3", "address 10.85.0.8 name db");
        let (till, back) = ("till.dns.sandbar.", "7.0.86.10.in-addr.arpa.");
        assert_eq!(code(till, A), ResponseCode::NXDomain, "on one network alone");
        put(&blog, "asker", &format!("{ASKER} on blog on Shop"));
        for name in [till, "till.", "till.shop."] {
            assert_eq!(found(name, A), ["10.86.0.7"], "{name}");
        }
        assert_eq!(found(back, PTR), ["till.shop."]);
        // Its first network's.
        assert_eq!(found("db.", A), ["10.85.0.8"]);
        put(&blog, "asker", &format!("{ASKER} on Shop on blog"));
        assert_eq!(found("db.", A), ["10.86.0.8"]);
        assert_eq!(found("db.blog.", A), ["10.85.0.8"]);
        put(&blog, "asker", ASKER);
        assert_eq!(code(till, A), ResponseCode::NXDomain, "no longer");
    });
}

#[test]
fn a_change_on_the_other_network_is_found_by_the_very_next_question() {
    on_a_node("a_change_on_the_other_network_is_found_by_the_very_next_question", || {
        let blog = started("");
        put(&blog, "asker", &format!("{ASKER} on blog on Shop"));
        let late = "late.dns.sandbar.";
        assert_eq!(code(late, A), ResponseCode::NXDomain, "no such network yet");
        for round in 1..20 {
            let shop = shop();
            let address = format!("10.86.0.{round}");
            put(&shop, "late", &format!("address {address} name late"));
            assert_eq!(found(late, A), [address]);
            shop.remove_endpoint("late").unwrap();
            assert_eq!(code(late, A), ResponseCode::NXDomain);
            std::fs::remove_dir_all(shop.path()).unwrap();
            assert_eq!(code("till.dns.sandbar.", A), ResponseCode::NXDomain);
        }
    });
}

#[test]
fn an_internal_network_forwards_for_who_has_another_way_out() {
    on_a_node("an_internal_network_forwards_for_who_has_another_way_out", || {
        node::resolv_conf(&["127.0.0.11"]);
        let asked = node::upstream("127.0.0.11", |question, _tcp| {
            vec![node::answered(question, &["192.0.2.99"])]
        });
        let blog = started("internal \n");
        put(&blog, "other", "address 10.85.0.9 name other forwards ");
        assert_eq!(code("example.com.", A), ResponseCode::NXDomain);
        assert_eq!(asked.load(SeqCst), 0, "that is another's right");
        put(&blog, "asker", &format!("{ASKER} forwards "));
        assert_eq!(found("example.com.", A), ["192.0.2.99"]);
        assert_eq!(found("other.", A), ["10.85.0.9"]);
        assert_eq!(code("nobody.dns.sandbar.", A), ResponseCode::NXDomain);
        assert_eq!(asked.load(SeqCst), 1);
    });
}
