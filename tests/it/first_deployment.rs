//! Filling the secrets, as docs/operations.md prints it: typed into bash and at the prompt of zsh, with
//! the real `openssl` and `jq`, and an `aws` that keeps what it is given in a folder.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use data_encoding::HEXLOWER;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::documents::{fences, page};
use crate::pasted::zsh_is_here;
use crate::tools::are_here;

/// What a block that fills secrets begins with.
const SECRETS: &str = "bash secrets";

/// An `aws` that knows the calls of the page. A secret is the folder of its versions.
const AWS: &str = r#"#!/bin/bash
set -eu
call="$1 $2"
shift 2
while [ $# -gt 0 ]; do
  case $1 in
    --query) query=$2 ;;
    --secret-id) id=$2 ;;
    --secret-string) file=${2#file://} ;;
  esac
  shift 2
done
case $call in
  'cloudformation describe-stacks')
    case $query in
      *"ParameterKey=='Appid'"*) echo wx0123456789abcdef ;;
      *) echo "$query" | sed "s/.*OutputKey=='\([^']*\)'.*/\1/" ;;
    esac ;;
  'secretsmanager describe-secret') ls "$STORE/$id" 2> /dev/null | wc -l | tr -d ' ' ;;
  'secretsmanager get-secret-value') cat "$STORE/$id/$(($(ls "$STORE/$id" | wc -l) - 1))" ;;
  'secretsmanager put-secret-value')
    mkdir -p "$STORE/$id"
    cp "$file" "$STORE/$id/$(ls "$STORE/$id" | wc -l | tr -d ' ')"
    echo '{"VersionId": "1"}' ;;
  *) echo "no such call: $call" >&2; exit 252 ;;
esac
"#;

/// Somebody who deploys: a home with the keys of step 1, and what AWS has of them.
struct Operator {
    folder: tempfile::TempDir,
    shell: &'static [&'static str],
}

impl Operator {
    fn new(shell: &'static [&'static str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let operator = Self { folder, shell };
        fs::create_dir_all(operator.keys()).unwrap();
        fs::create_dir_all(operator.path("bin")).unwrap();
        let aws = operator.path("bin/aws");
        fs::write(&aws, AWS).unwrap();
        fs::set_permissions(&aws, fs::Permissions::from_mode(0o755)).unwrap();
        operator.openssl(
            "req -x509 -newkey rsa:2048 -nodes -subj /CN=merchant -days 1 -set_serial 0x5157F09EFDC096DE15EBE81A47057A7232F1B8E1 \
             -keyout apiclient_key.pem -out apiclient_cert.pem",
        );
        operator.openssl("genpkey -algorithm RSA -out platform.pem");
        operator.openssl("pkey -in platform.pem -pubout -out pub_key.pem");
        operator.save("pub_key_id.txt", "PUB_KEY_ID_0119000001092026112800001\n");
        // As an editor on Windows leaves it.
        operator.save("apiv3.txt", "0123456789abcdefghijklmnopqrstuv\r\n");
        operator.save("appsecret.txt", "c0ffee00c0ffee00c0ffee00c0ffee00");
        operator
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn keys(&self) -> PathBuf {
        self.path("wxpay-keys")
    }

    fn save(&self, name: &str, text: &str) {
        fs::write(self.keys().join(name), text).unwrap();
    }

    fn openssl(&self, arguments: &str) {
        let ran = Command::new("openssl")
            .args(arguments.split_whitespace())
            .current_dir(self.keys())
            .output()
            .unwrap();
        assert!(ran.status.success(), "{ran:?}");
    }

    /// Types the page's blocks, and gives what the terminal shows.
    fn types_the_blocks(&self) -> String {
        let blocks = fences(&page("docs/operations.md")).into_iter();
        let blocks: Vec<String> = blocks
            .filter(|block| block.info == SECRETS)
            .map(|block| block.text)
            .collect();
        assert_eq!(blocks.len(), 3);
        let path = std::env::var("PATH").unwrap();
        let mut running = Command::new(self.shell[0])
            .args(&self.shell[1..])
            .env("HOME", self.folder.path())
            .env("STORE", self.path("store"))
            .env("PATH", format!("{}:{path}", self.path("bin").display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut typed = running.stdin.take().unwrap();
        typed.write_all(blocks.concat().as_bytes()).unwrap();
        drop(typed);
        let ran = running.wait_with_output().unwrap();
        let shown = [ran.stdout, ran.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
        shown.concat()
    }

    /// How many values a secret was given.
    fn versions(&self, secret: &str) -> usize {
        fs::read_dir(self.path("store").join(secret)).map_or(0, Iterator::count)
    }

    /// The value that a secret was given first.
    fn value(&self, secret: &str) -> Value {
        self.version(secret, 0)
    }

    fn version(&self, secret: &str, version: usize) -> Value {
        let file = self.path("store").join(secret).join(version.to_string());
        serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap()
    }

    fn file(&self, name: &str) -> String {
        fs::read_to_string(self.keys().join(name)).unwrap()
    }
}

/// The API key that was shown, if one was; at most one may be.
fn shown_key(shown: &str) -> Option<String> {
    let mut keys = shown
        .lines()
        .filter_map(|line| line.split_once("shown this once: "));
    let key = keys.next().map(|(_, key)| key.trim().to_owned());
    assert!(keys.next().is_none(), "{shown}");
    key
}

/// The shells that are here; the tools that the page asks for must be.
fn shells() -> Vec<&'static [&'static str]> {
    if !are_here(&["bash", "jq", "openssl"], "no secret was filled") {
        return Vec::new();
    }
    let mut shells: Vec<&'static [&'static str]> = vec![&["bash"]];
    if zsh_is_here() {
        shells.push(&["zsh", "-f", "-i", "-s"]);
    }
    shells
}

#[test]
fn the_secrets_are_filled_once_and_the_number_key_never_changes() {
    for shell in shells() {
        let operator = Operator::new(shell);
        let shown = operator.types_the_blocks();
        let key = shown_key(&shown).unwrap_or_else(|| panic!("no key was shown: {shown}"));
        assert_eq!(key.len(), 64, "{shown}");

        let api = operator.value("ApiSecretArn");
        let hash = HEXLOWER.encode(&Sha256::digest(key.as_bytes()));
        assert_eq!(api["merchant_key_hashes"], serde_json::json!([hash]));
        for name in ["number_key", "token_key"] {
            let key = STANDARD.decode(api[name].as_str().unwrap()).unwrap();
            assert_eq!(key.len(), 32, "{name}");
        }
        assert_ne!(api["number_key"], api["token_key"]);

        let signing = operator.value("SigningSecretArn");
        assert_eq!(
            signing["serial_no"],
            "5157F09EFDC096DE15EBE81A47057A7232F1B8E1"
        );
        assert_eq!(signing["private_key"], operator.file("apiclient_key.pem"));
        let record_key = STANDARD.decode(signing["record_key"].as_str().unwrap());
        assert_eq!(record_key.unwrap().len(), 32);
        let wechatpay = operator.value("WechatpaySecretArn");
        assert_eq!(wechatpay["public_key"], operator.file("pub_key.pem"));
        let key_id = operator.file("pub_key_id.txt");
        assert_eq!(wechatpay["public_key_id"], key_id.trim());
        let apiv3 = operator.value("Apiv3SecretArn");
        assert_eq!(apiv3["apiv3_key"], "0123456789abcdefghijklmnopqrstuv");
        let app = operator.value("AppSecretArn");
        assert_eq!(app["app_secret"], "c0ffee00c0ffee00c0ffee00c0ffee00");
        assert_eq!(app["appid"], "wx0123456789abcdef");

        // Again, from a folder that knows nothing of the first time.
        fs::remove_file(operator.keys().join("api.json")).unwrap();
        let shown = operator.types_the_blocks();
        assert_eq!(shown_key(&shown), None, "{shown}");
        assert!(shown.contains("stays as it is"), "{shown}");
        assert_eq!(operator.versions("ApiSecretArn"), 1);
        assert_eq!(operator.value("ApiSecretArn"), api);
        assert_eq!(operator.versions("Apiv3SecretArn"), 2);
        // What vouches for refunds that are under way stays.
        assert_eq!(operator.version("SigningSecretArn", 1), signing);
    }
}

#[test]
fn no_empty_or_mismatched_key_is_stored() {
    fn removed(keys: &Path, name: &str) {
        fs::remove_file(keys.join(name)).unwrap();
    }
    fn emptied(keys: &Path, name: &str) {
        fs::write(keys.join(name), "\n").unwrap();
    }
    /// A file that is there and holds something else.
    fn replaced(keys: &Path, name: &str) {
        let other = match name {
            "apiclient_key.pem" => fs::read(keys.join("platform.pem")).unwrap(),
            "pub_key_id.txt" => b"0119000001092026112800001".to_vec(),
            _ => b"0123456789abcdef".to_vec(),
        };
        fs::write(keys.join(name), other).unwrap();
    }
    let files = [
        "apiclient_cert.pem",
        "apiclient_key.pem",
        "apiv3.txt",
        "appsecret.txt",
        "pub_key.pem",
        "pub_key_id.txt",
    ];
    for shell in shells() {
        let operator = Operator::new(shell);
        for spoil in [removed, emptied, replaced] {
            for name in files {
                let good = fs::read(operator.keys().join(name)).unwrap();
                spoil(&operator.keys(), name);
                let shown = operator.types_the_blocks();
                for secret in ["Signing", "Wechatpay", "Apiv3", "App"] {
                    let stored = operator.versions(&format!("{secret}SecretArn"));
                    assert_eq!(stored, 0, "{secret} without a good {name}: {shown}");
                }
                fs::write(operator.keys().join(name), good).unwrap();
            }
        }
        let shown = operator.types_the_blocks();
        assert_eq!(operator.versions("SigningSecretArn"), 1, "{shown}");
    }
}
