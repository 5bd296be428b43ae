//! The README against the code: its YAML, and what it must name.

use std::collections::BTreeSet;
use std::fs;

use crate::copy::{Copy, check, root};
use tollgate::config;
use tollgate::observe::metrics::{Metrics, MetricsSettings};
use tollgate::reply::Reason;

#[test]
fn every_yaml_block_of_the_readme_is_clean() {
    let readme = fs::read_to_string(root().join("README.md")).expect("README.md");
    let blocks: Vec<&str> =
        readme.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap_or_default()).collect();
    assert!(blocks.len() >= 2, "{} blocks", blocks.len());
    for block in blocks {
        let said = check(&Copy::of(block).path);
        assert!(said.is_ok(), "{block}\n{}", said.unwrap_err());
    }
}

/// Every name under `properties` of a schema, at any depth.
fn keys(schema: &serde_json::Value, found: &mut BTreeSet<String>) {
    match schema {
        serde_json::Value::Object(members) => {
            let own = members.get("properties").and_then(serde_json::Value::as_object);
            found.extend(own.into_iter().flat_map(|properties| properties.keys().cloned()));
            members.values().for_each(|member| keys(member, found));
        }
        serde_json::Value::Array(elements) => elements.iter().for_each(|element| keys(element, found)),
        _ => {}
    }
}

#[test]
fn the_readme_names_every_key_of_the_configuration() {
    let mut known = BTreeSet::new();
    keys(&config::schema(), &mut known);
    assert!(known.len() > 50, "{known:?}");
    let missing = missing_in_the_readme(known.iter().map(|key| format!("`{key}`")));
    assert_eq!(missing, Vec::<String>::new());
}

#[test]
fn the_readme_names_every_reason_with_its_statuses() {
    let rows = Reason::ALL
        .iter()
        .map(|reason| format!("| `{}` | {} | {} |", reason.slug(), reason.status().as_u16(), reason.grpc_status()));
    assert_eq!(missing_in_the_readme(rows), Vec::<String>::new());
}

#[test]
fn the_readme_names_every_metric() {
    let metrics =
        Metrics::new(MetricsSettings { workers: 1, max_routes: MetricsSettings::MAX_ROUTES, reasons: Reason::SLUGS });
    let text = metrics.render();
    let names = text.lines().filter_map(|line| line.strip_prefix("# TYPE tollgate_")?.split(' ').next());
    let missing = missing_in_the_readme(names.map(|name| format!("`tollgate_{name}`")));
    assert_eq!(missing, Vec::<String>::new());
}

fn missing_in_the_readme(expected: impl Iterator<Item = String>) -> Vec<String> {
    let readme = fs::read_to_string(root().join("README.md")).expect("README.md");
    expected.filter(|text| !readme.contains(text)).collect()
}
