//! Trust in a server: Mozilla's authorities, and those that were named explicitly, and no others.

use std::path::Path;

use shared::clock::Clock;
use shared::process::{EXTRA_CA_FILE, Process};
use shared::telemetry::Log;

use crate::harness;

fn process() -> Process {
    Process::with(Clock::system(), Log::stdout()).unwrap()
}

#[tokio::test]
async fn an_authority_is_trusted_only_where_it_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = simulator::Config::new(folder.path());
    config.keys_from = Some(harness::keys().await);
    config.tls_port = Some(0);
    let simulator = simulator::Simulator::start(config).await.unwrap();
    let url = format!("{}/nothing/here", simulator.tls_url().unwrap());

    let refused = process().http.get(&url).send().await.unwrap_err();
    assert!(refused.is_connect(), "{refused:?}");
    assert!(format!("{refused:?}").contains("UnknownIssuer"));

    let authorities = Path::new(&simulator.merchant().ca_file);
    let trusting = process().trusting(authorities).unwrap();
    let answered = trusting.http.get(&url).send().await.unwrap();
    assert_eq!(answered.status(), 404);

    // Nor is a certificate that is over, of another host, or of an authority that only looks the same.
    for fault in ["tls_expired", "tls_wrong_host", "tls_untrusted"] {
        let faults = format!("{}/_sim/faults", simulator.control_url());
        let plain = process().http;
        let on = plain
            .post(&faults)
            .json(&serde_json::json!({"name": fault}));
        assert!(on.send().await.unwrap().status().is_success(), "{fault}");
        // A client of its own: an open connection shows no certificate again.
        let trusting = process().trusting(authorities).unwrap();
        let refused = trusting.http.get(&url).send().await.unwrap_err();
        assert!(refused.is_connect(), "{fault}: {refused:?}");
        plain.delete(&faults).send().await.unwrap();
    }

    simulator.stop().await;
}

#[test]
fn a_file_without_authorities_stops_the_start_and_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let damaged = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for (name, content) in [
        ("missing.pem", None),
        ("empty.pem", Some("")),
        ("text.pem", Some("not PEM")),
        ("damaged.pem", Some(damaged)),
    ] {
        let path = folder.path().join(name);
        if let Some(content) = content {
            std::fs::write(&path, content).unwrap();
        }
        let told = process().trusting(&path).unwrap_err().to_string();
        assert!(told.contains(EXTRA_CA_FILE), "{told}");
        assert!(told.contains(name), "{told}");
    }
}
