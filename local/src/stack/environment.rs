//! The template of a stack, its parameters' values and each function's environment.

use std::collections::BTreeMap;

use shared::config::Vars;
use simulator::{Mode, Simulator};

use super::error::StartError;
use super::options::Options;
use crate::aws::{Aws, access_key_of};
use crate::template::Function;

/// The template as it was when this binary was built, for use outside a checkout.
const BUILT_IN_TEMPLATE: &str = include_str!("../../../template.yaml");

pub(super) fn template_text() -> Result<String, StartError> {
    let start = std::env::current_dir()
        .map_err(|error| StartError::system("the current folder cannot be read", error))?;
    let found = start
        .ancestors()
        .map(|folder| folder.join("template.yaml"))
        .find(|file| file.is_file());
    match found {
        Some(file) => std::fs::read_to_string(&file).map_err(|error| {
            StartError::system(format!("{} cannot be read", file.display()), error)
        }),
        None => Ok(BUILT_IN_TEMPLATE.to_owned()),
    }
}

pub(super) fn parameters(
    options: &Options,
    api_url: &str,
    simulator: &Simulator,
) -> BTreeMap<String, String> {
    let (base, backup) = (simulator.base_url(), simulator.backup_url());
    let host = |url: &str| url.trim_start_matches("http://").to_owned();
    let merchant = simulator.merchant();
    // WeChat Pay's minute between two refunds of an order, at the stack's speed.
    let interval = (60.0 / options.speed).ceil().clamp(1.0, 60.0);
    let mut parameters = BTreeMap::from([
        ("Mchid".to_owned(), merchant.mchid.clone()),
        ("Appid".to_owned(), merchant.appid.clone()),
        // The simulated merchant has one app, which is a mobile app, too.
        ("AppidApp".to_owned(), merchant.appid.clone()),
        (
            "PlatformCertificates".to_owned(),
            match options.mode {
                Mode::PublicKey => "off",
                Mode::Certificate | Mode::Both => "on",
            }
            .to_owned(),
        ),
        ("PublicBaseUrl".to_owned(), api_url.to_owned()),
        ("WechatpayBaseUrl".to_owned(), base.to_owned()),
        ("WechatpayBackupUrl".to_owned(), backup.to_owned()),
        ("WechatApiBaseUrl".to_owned(), base.to_owned()),
        ("RefundIntervalSeconds".to_owned(), format!("{interval}")),
    ]);
    parameters.extend(options.parameters.clone());
    // The simulator's files are at its own address, whatever leads to its API.
    let given = parameters.remove("WechatpayTrustedHosts").into_iter();
    let trusted: Vec<String> = given.chain([host(base), host(backup)]).collect();
    parameters.insert("WechatpayTrustedHosts".to_owned(), trusted.join(","));
    parameters
}

/// A function's environment: the template's, and where AWS is.
pub(super) fn vars(id: &str, function: &Function, aws: &Aws) -> Vars {
    let mut variables = function.environment.clone();
    for (name, value) in [
        ("AWS_REGION", crate::template::REGION.to_owned()),
        ("AWS_ACCESS_KEY_ID", access_key_of(id)),
        ("AWS_SECRET_ACCESS_KEY", "local".to_owned()),
        ("AWS_ENDPOINT_URL", aws.url.clone()),
    ] {
        variables.insert(name.to_owned(), value);
    }
    Vars::from_map(variables)
}
