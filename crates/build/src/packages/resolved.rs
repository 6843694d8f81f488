//! What a package manager says that it has installed: pure.

use serde_json::Value;
use skylift_model::wire::Package;

use super::settings::PackageLanguage;

/// The largest account that is read, in bytes.
pub(super) const ACCOUNT_BYTES_MAX: u64 = 64 << 20;

/// Where the package manager leaves its account, below the folder that it works in.
pub(super) const fn account(language: PackageLanguage) -> &'static str {
    match language {
        PackageLanguage::Python => "account.json",
        PackageLanguage::Node => "files/node_modules/.package-lock.json",
    }
}

/// The packages of an account, in the order of their names; `None` where it is none.
pub(super) fn parse(language: PackageLanguage, account: &[u8]) -> Option<Vec<Package>> {
    let account: Value = serde_json::from_slice(account).ok()?;
    let mut packages = match language {
        PackageLanguage::Python => of_pip(&account)?,
        PackageLanguage::Node => of_npm(&account)?,
    };
    packages.sort_by(|one, other| (&one.name, &one.version).cmp(&(&other.name, &other.version)));
    Some(packages)
}

/// A report of `pip install --report`.
fn of_pip(account: &Value) -> Option<Vec<Package>> {
    let installed = account.get("install")?.as_array()?;
    let package = |one: &Value| {
        let text = |pointer: &str| one.pointer(pointer)?.as_str().map(str::to_owned);
        let hash = text("/download_info/archive_info/hashes/sha256").map(|hash| format!("sha256:{hash}"));
        Some(Package { name: text("/metadata/name")?, version: text("/metadata/version")?, hash })
    };
    installed.iter().map(package).collect()
}

/// The lock file that npm leaves beside what it has installed.
fn of_npm(account: &Value) -> Option<Vec<Package>> {
    let installed = account.get("packages")?.as_object()?;
    let package = |(place, one): (&String, &Value)| {
        let text = |name: &str| one.get(name).and_then(Value::as_str).map(str::to_owned);
        let name = place.rsplit_once("node_modules/").map(|(_, name)| name.to_owned());
        Some(Package { name: text("name").or(name)?, version: text("version")?, hash: text("integrity") })
    };
    installed.iter().filter(|(place, _)| !place.is_empty()).map(package).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn accounts_of_both_package_managers_are_read_and_what_is_none_is_not() {
        let pip = json!({ "version": "1", "install": [
            { "metadata": { "name": "six", "version": "1.17.0" }, "download_info": { "archive_info": { "hashes": { "sha256": "4721" } } } },
            { "metadata": { "name": "numpy", "version": "2.4.6" }, "download_info": { "url": "file:///x", "dir_info": {} } } ] });
        let told = |language, account: &Value| {
            let packages = parse(language, account.to_string().as_bytes())?;
            let line = |one: Package| format!("{} {} {}", one.name, one.version, one.hash.unwrap_or_default());
            Some(packages.into_iter().map(line).collect::<Vec<_>>())
        };
        let expected = ["numpy 2.4.6 ", "six 1.17.0 sha256:4721"].map(str::to_owned).to_vec();
        assert_eq!(told(PackageLanguage::Python, &pip), Some(expected));
        let npm = json!({ "packages": {
            "node_modules/@types/node": { "version": "20.1.0", "integrity": "sha512-a" },
            "node_modules/a/node_modules/b": { "version": "1.0.0" } } });
        let expected = ["@types/node 20.1.0 sha512-a", "b 1.0.0 "].map(str::to_owned).to_vec();
        assert_eq!(told(PackageLanguage::Node, &npm), Some(expected));
        for (language, wrong) in [(PackageLanguage::Python, json!({})), (PackageLanguage::Node, json!([]))] {
            assert_eq!(told(language, &wrong), None);
        }
        assert_eq!(parse(PackageLanguage::Python, br#"{"install":[{"metadata":{}}]}"#), None);
    }
}
