//! The binaries that are measured, and what can be told without running them: their size, as a zip
//! too, and the C library they need.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::Result;
use crate::numbers::{EXCHANGE, FLOOR, HELLO};

/// What a zip of one file named `bootstrap` adds to its deflated bytes: local header, central
/// directory, end record.
const ZIP_BYTES: u64 = (30 + 9) + (46 + 9) + 22;

/// What gzip adds to the same bytes: header and trailer.
const GZIP_BYTES: u64 = 10 + 8;

/// The binaries, by the function's crate name.
pub(crate) type Artefacts = BTreeMap<String, PathBuf>;

/// The functions' binaries: those of the folder, or of the last `sam build`, or made now.
///
/// `names` is what the template declares: logical id and binary.
pub(crate) fn functions(
    root: &Path,
    folder: Option<&Path>,
    names: &BTreeMap<String, String>,
) -> Result<(Artefacts, String)> {
    if let Some(folder) = folder {
        let found = found(folder, names);
        let missing: Vec<&str> = names
            .values()
            .filter(|binary| !found.contains_key(*binary))
            .map(String::as_str)
            .collect();
        if !missing.is_empty() {
            let (folder, missing) = (folder.display(), missing.join(", "));
            return Err(format!("{folder} has no bootstrap of {missing}").into());
        }
        return Ok((found, "given bootstraps".to_owned()));
    }
    let found = found(&root.join(".aws-sam/build"), names);
    if found.len() == names.len() {
        return Ok((found, "the bootstraps of the last `sam build`".to_owned()));
    }
    let packages: Vec<&str> = names.values().map(String::as_str).collect();
    let release = build(root, &packages, &[])?;
    let built = names
        .values()
        .map(|binary| (binary.clone(), release.join(binary)));
    Ok((
        built.collect(),
        "made by `cargo build --release`".to_owned(),
    ))
}

/// The two yardsticks of a start, made now.
pub(crate) fn yardsticks(root: &Path) -> Result<[(&'static str, PathBuf); 2]> {
    let release = build(root, &["floor"], &["--bins", "--examples"])?;
    Ok([
        (FLOOR, release.join("floor")),
        (HELLO, release.join("examples/hello")),
    ])
}

/// The two that say what an invocation costs before our code runs: `lambda_http` alone, and the Runtime
/// API's two requests alone.
pub(crate) fn invocations(root: &Path) -> Result<[(&'static str, PathBuf); 2]> {
    let release = build(root, &["floor"], &["--examples"])?;
    Ok([HELLO, EXCHANGE].map(|name| (name, release.join("examples").join(name))))
}

fn found(folder: &Path, names: &BTreeMap<String, String>) -> Artefacts {
    let mut found = Artefacts::new();
    for (id, binary) in names {
        let places = [
            folder.join(id).join("bootstrap"),
            folder.join(binary).join("bootstrap"),
            folder.join(binary),
        ];
        if let Some(path) = places.into_iter().find(|path| path.is_file()) {
            found.insert(binary.clone(), path);
        }
    }
    found
}

/// Builds as `cargo lambda build` does: for a named target, and for the processor that it chooses. So a
/// yardstick differs from the functions by what it does alone, and what both depend on is compiled once.
fn build(root: &Path, packages: &[&str], more: &[&str]) -> Result<PathBuf> {
    let told = Command::new("rustc").arg("-vV").output()?;
    let told = String::from_utf8(told.stdout)?;
    let host = told.lines().find_map(|line| line.strip_prefix("host: "));
    let host = host.ok_or("rustc does not say what it runs on")?;
    let processor = if host.starts_with("aarch64") {
        "neoverse-n1"
    } else {
        "haswell"
    };
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .current_dir(root)
        .env("RUSTFLAGS", format!("-C target-cpu={processor}"))
        .args(["build", "--release", "--target", host]);
    for package in packages {
        command.args(["-p", package]);
    }
    let status = command.args(more).stdout(Stdio::null()).status()?;
    if !status.success() {
        return Err(format!("`cargo build --release` of {} failed", packages.join(", ")).into());
    }
    let target = match std::env::var_os("CARGO_TARGET_DIR") {
        Some(target) => root.join(target),
        None => root.join("target"),
    };
    Ok(target.join(host).join("release"))
}

/// What a binary is like at rest.
#[derive(Clone, Debug)]
pub(crate) struct AtRest {
    pub(crate) elf_bytes: u64,
    pub(crate) zip_bytes: u64,
    /// The newest `GLIBC_2.x` it asks for: the x.
    pub(crate) glibc_minor: Option<u32>,
}

impl AtRest {
    pub(crate) fn of(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path)?;
        Ok(Self {
            elf_bytes: bytes.len() as u64,
            zip_bytes: deflated(path)? + ZIP_BYTES,
            glibc_minor: glibc_minor(&bytes),
        })
    }
}

/// The size after deflate at its best, which is what `zip -9` does and gzip is everywhere.
fn deflated(path: &Path) -> Result<u64> {
    let output = Command::new("gzip")
        .args(["-9", "-n", "-c"])
        .arg(path)
        .stderr(Stdio::inherit())
        .output()?;
    if !output.status.success() {
        return Err("gzip failed".into());
    }
    Ok((output.stdout.len() as u64).saturating_sub(GZIP_BYTES))
}

fn glibc_minor(bytes: &[u8]) -> Option<u32> {
    const NAME: &[u8] = b"GLIBC_2.";
    bytes
        .windows(NAME.len())
        .enumerate()
        .filter(|(_, window)| *window == NAME)
        .filter_map(|(at, _)| {
            let digits = bytes.get(at + NAME.len()..at + NAME.len() + 2)?;
            let text: String = digits
                .iter()
                .take_while(|byte| byte.is_ascii_digit())
                .map(|byte| char::from(*byte))
                .collect();
            text.parse().ok()
        })
        .max()
}

#[cfg(test)]
mod tests {
    use super::glibc_minor;

    #[test]
    fn the_newest_version_asked_for_is_found() {
        assert_eq!(
            glibc_minor(b"\0GLIBC_2.2.5\0GLIBC_2.34\0GLIBC_2.17\0GLIBCXX_3.4.30\0"),
            Some(34)
        );
        assert_eq!(glibc_minor(b"static"), None);
    }
}
