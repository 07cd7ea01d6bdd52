//! Platform certificates, sealed, and two of them during a rotation.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::support::{Bench, PublicKey, certificate_mode, open};

#[tokio::test]
async fn platform_certificates_certificates_open_and_rotate() {
    let bench = Bench::with(certificate_mode).await;
    let key = bench.client.file.apiv3_key.clone();
    let answer = bench.client.get("/v3/certificates").await;
    assert_eq!(answer.status, 200);
    let data = answer.json()["data"].clone();
    assert_eq!(data.as_array().unwrap().len(), 1);
    let sealed = &data[0]["encrypt_certificate"];
    assert_eq!(sealed["algorithm"], "AEAD_AES_256_GCM");
    assert_eq!(sealed["associated_data"], "certificate");
    let nonce = sealed["nonce"].as_str().unwrap();
    assert_eq!(nonce.len(), 12);
    assert!(
        nonce
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    );
    let pem = String::from_utf8(open(&key, sealed).unwrap()).unwrap();
    assert!(
        pem.ends_with("-----END CERTIFICATE-----"),
        "no newline at the end"
    );
    assert!(pem.lines().all(|line| line.len() <= 64));
    assert!(
        bench
            .client
            .verifies(&answer, &PublicKey::of_certificate(&pem))
    );
    let (_, block) = x509_parser::pem::parse_x509_pem(pem.as_bytes()).unwrap();
    let certificate = block.parse_x509().unwrap();
    let issuer = certificate.issuer().to_string();
    assert_eq!(
        issuer,
        "C=CN, O=Tenpay.com, OU=Tenpay.com CA Center, CN=Tenpay.com Root CA"
    );
    let subject = certificate.subject().to_string();
    assert_eq!(
        subject,
        "CN=Tenpay.com sign, O=Tenpay.com, OU=Tenpay.com CA Center, C=CN, L=ShenZhen"
    );
    let serial = data[0]["serial_no"].as_str().unwrap();
    assert_eq!(serial.len(), 40);
    let hex: String = certificate
        .raw_serial()
        .iter()
        .map(|byte| format!("{byte:02X}"))
        .collect();
    assert_eq!(serial, format!("{hex:0>40}"));
    let life = certificate.validity().not_after.timestamp()
        - certificate.validity().not_before.timestamp();
    assert_eq!(life, 1825 * 86_400);
    for name in ["effective_time", "expire_time"] {
        assert!(data[0][name].as_str().unwrap().ends_with("+08:00"));
    }

    let mchid = &bench.client.file.mchid;
    let rotate = format!("/_sim/merchants/{mchid}/rotate");
    bench
        .control(&rotate, json!({"what": "platform_certificate"}))
        .await;
    let data = bench.client.get("/v3/certificates").await.json()["data"].clone();
    assert_eq!(data.as_array().unwrap().len(), 2);
    let both: Vec<String> = (0..2)
        .map(|index| data[index]["serial_no"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(
        bench.query("none").await.header("wechatpay-serial"),
        both[0],
        "the old one signs"
    );
    let settings = format!("/_sim/merchants/{mchid}");
    bench
        .control(&settings, json!({"new_certificate_share": 1.0}))
        .await;
    assert_eq!(
        bench.query("none").await.header("wechatpay-serial"),
        both[1]
    );
    bench
        .control(&rotate, json!({"what": "platform_certificate_end"}))
        .await;
    let answer = bench.client.get("/v3/certificates").await;
    assert_eq!(answer.json()["data"].as_array().unwrap().len(), 1);
    assert!(
        bench
            .client
            .verifies(&answer, &bench.client.platform_certificate())
    );

    let other = bench
        .control("/_sim/merchants", json!({"mode": "certificate"}))
        .await;
    assert_ne!(
        other["platform_certificates"][0],
        json!(both[1]),
        "each merchant its own"
    );
}

#[tokio::test]
async fn platform_certificates_a_serial_keeps_its_leading_zeros() {
    let bench = Bench::with(certificate_mode).await;
    let folder = Arc::clone(&bench.folder);
    bench.simulator.stop().await;
    // One serial in eight starts with a zero by itself; these start with three.
    let serial = "000A".repeat(10);
    let path = folder.path().join("state/merchants.json");
    let mut state: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    for kind in ["certificates", "platform_certificates"] {
        let held = &mut state["merchants"][0][kind][0];
        let pem = certificate(&serial, held["private_pem"].as_str().unwrap());
        held["certificate_pem"] = json!(pem);
    }
    std::fs::write(&path, state.to_string()).unwrap();
    let bench = Bench::within(folder, certificate_mode).await;
    assert_eq!(bench.client.file.serial_no, serial, "in merchant.json");
    let merchants = bench.seen("/_sim/merchants").await;
    let told = &merchants["items"][0]["certificates"][0]["serial_no"];
    assert_eq!(*told, json!(serial));
    let data = bench.client.get("/v3/certificates").await.json()["data"].clone();
    assert_eq!(data[0]["serial_no"], serial);
    let mchid = &bench.client.file.mchid;
    let target = format!("/v3/pay/transactions/out-trade-no/none?mchid={mchid}");
    for (named, status) in [
        (serial.as_str(), 404),
        (serial.trim_start_matches('0'), 401),
    ] {
        let mut draft = bench.client.draft("GET", &target, b"");
        draft.serial_no = named.to_owned();
        let answer = bench.client.send(draft).await;
        assert_eq!(answer.status, status, "{named}: {}", answer.text());
        let signed_by = answer.header("wechatpay-serial");
        assert_eq!(signed_by, if status == 404 { &serial } else { "" });
    }
}

/// A certificate of a key with a serial of our choice, signed by itself.
fn certificate(serial: &str, private_pem: &str) -> String {
    let digits: Vec<char> = serial.chars().collect();
    let bytes: Vec<u8> = digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(&String::from_iter(pair), 16).unwrap())
        .collect();
    let key =
        rcgen::KeyPair::from_pkcs8_pem_and_sign_algo(private_pem, &rcgen::PKCS_RSA_SHA256).unwrap();
    let mut params = rcgen::CertificateParams::default();
    params.serial_number = Some(rcgen::SerialNumber::from_slice(&bytes));
    params.self_signed(&key).unwrap().pem()
}

#[tokio::test]
async fn new_platform_certificates_are_valid_by_the_clients_clock() {
    // A client checks validity by its own clock, which the business clock does not move.
    let bench = Bench::with(certificate_mode).await;
    bench
        .control("/_sim/clock", json!({"advance_s": 34 * 3_600}))
        .await;
    let mchid = &bench.client.file.mchid;
    bench
        .control(
            &format!("/_sim/merchants/{mchid}/rotate"),
            json!({"what": "platform_certificate"}),
        )
        .await;
    let data = bench.client.get("/v3/certificates").await.json()["data"].clone();
    assert_eq!(data.as_array().unwrap().len(), 2);
    let sealed = &data[1]["encrypt_certificate"];
    let rotated = open(&bench.client.file.apiv3_key, sealed).unwrap();
    let other = bench
        .control("/_sim/merchants", json!({"mode": "certificate"}))
        .await;
    let folder = bench.client.folder.join("merchants");
    let folder = folder.join(other["mchid"].as_str().unwrap());
    let added = std::fs::read(folder.join("platform_cert.pem")).unwrap();
    for pem in [rotated, added] {
        let (_, block) = x509_parser::pem::parse_x509_pem(&pem).unwrap();
        assert!(block.parse_x509().unwrap().validity().is_valid());
    }
}
