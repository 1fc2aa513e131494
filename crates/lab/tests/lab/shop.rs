//! Tests that the shop's load balancer hides a dead host, but not if its health checks are off.

use super::common::{demo_spec, eventually, get, name, up};
use firedrill_lab::{
    Lab,
    demo::{self, Shop},
    shop::Balancer,
};

/// Whether the edge considers app1 to be up.
fn app1_is_up(lab: &Lab) -> Option<bool> {
    let answer = get(lab, "client1", "edge1:80", "/_edge/status").ok()?;
    let status: serde_json::Value = serde_json::from_str(answer.strip_prefix("200 ")?).ok()?;
    status["backends"].as_array()?.iter().find(|b| b["name"] == "app1")?["up"].as_bool()
}

/// Makes `count` orders one after the other. Returns the number of successful ones.
fn checkouts(lab: &Lab, count: usize) -> usize {
    (0..count)
        .filter(|_| get(lab, "client1", "edge1:80", "/checkout").is_ok_and(|a| a.starts_with("200 ")))
        .count()
}

#[test]
fn a_dead_host_is_taken_out_and_comes_back() {
    let Some(lab) = up(&demo_spec("eject")) else { return };
    eventually("app1 is up", || app1_is_up(&lab).filter(|up| *up));
    eventually("four good orders in a row", || (checkouts(&lab, 4) == 4).then_some(()));
    lab.kill("app1").unwrap();
    eventually("app1 is out", || app1_is_up(&lab).filter(|up| !*up));
    // On a busy machine, an order may take too long, or another host may be out for a moment, so this is tried repeatedly.
    eventually("nobody notices any more", || (checkouts(&lab, 12) == 12).then_some(()));
    lab.power_on("app1").unwrap();
    eventually("app1 is back", || app1_is_up(&lab).filter(|up| *up));
}

#[test]
fn without_health_checks_clients_notice_a_dead_host() {
    let shop = Shop { balancer: Balancer::BuiltIn, health_check: false };
    let Some(lab) = up(&demo::spec(&name("broken"), &shop)) else { return };
    eventually("four good orders in a row", || (checkouts(&lab, 4) == 4).then_some(()));
    lab.kill("app1").unwrap();
    let up = eventually("the edge answers", || app1_is_up(&lab));
    assert!(up, "the backend is out, although nothing checks it");
    eventually("each fourth order is lost", || (checkouts(&lab, 8) == 6).then_some(()));
}
