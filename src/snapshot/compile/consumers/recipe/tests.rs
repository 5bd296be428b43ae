//! Files of consumers: what they may hold, and what happens when they change.

use super::*;
use crate::consumer::KeyDigest;

fn source(folder: &Path, name: &str, text: &str) -> Source {
    std::fs::write(folder.join(name), text).unwrap();
    Source::of(&Spanned::nowhere(name.to_owned()), folder.join(name)).unwrap()
}

fn digest(key: &str) -> KeyDigest {
    KeyDigest::of(key.as_bytes())
}

const ACME: &str = "acme:
  keys: [sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad]
  groups: partners
";

#[test]
fn a_map_and_lines_stand_side_by_side() {
    let folder = tempfile::tempdir().unwrap();
    let one = source(folder.path(), "a.yaml", ACME);
    let two = source(folder.path(), "b.csv", &format!("other,sha256:{}\n", "0".repeat(64)));
    let mut problems = Problems::new();
    let consumers = Recipe::new(Vec::new(), vec![one, two], Arc::default()).build(Origin::Configuration, &mut problems);
    assert_eq!(problems.into_vec(), []);
    assert_eq!(consumers.count(), (2, 2));
    assert_eq!(consumers.credential(&digest("abc")).unwrap().consumer.groups, ["partners".into()].into());
}

#[test]
fn what_is_wrong_says_file_and_line_and_shows_no_key() {
    let folder = tempfile::tempdir().unwrap();
    let one = source(folder.path(), "a.yaml", &format!("{ACME}  colour: red\nb: {{ keys: 8c2f41d0-in-the-clear }}\n"));
    let two = source(folder.path(), "b.csv", "other,8c2f41d0-in-the-clear\n");
    let mut problems = Problems::new();
    Recipe::new(Vec::new(), vec![one, two], Arc::default()).build(Origin::Configuration, &mut problems);
    let said: Vec<String> = problems.iter().map(|it| format!("{} {:?}", it.message, it.hint)).collect();
    assert_eq!(said.len(), 3, "{said:#?}");
    assert!(said[0].contains("a.yaml:4:3: ") && said[1].contains("a.yaml:5:") && said[2].contains("b.csv:1: "));
    assert!(said.iter().all(|text| !text.contains("8c2f41d0")), "{said:#?}");
}

#[test]
fn a_change_is_exchanged_whole_and_a_bad_file_leaves_the_old_in_service() {
    let folder = tempfile::tempdir().unwrap();
    let recipe = Recipe::new(Vec::new(), vec![source(folder.path(), "a.yaml", ACME)], Arc::default());
    let current = CurrentConsumers::new(recipe.build(Origin::Configuration, &mut Problems::new()));
    let revision = current.load().revision();
    for bad in ["acme: { keys: [sha256:12] }", "acme: [", ""] {
        std::fs::write(folder.path().join("a.yaml"), bad).unwrap();
        if bad.is_empty() {
            std::fs::remove_file(folder.path().join("a.yaml")).unwrap();
        }
        Renewal::renew(&recipe, &current);
        assert_eq!(current.load().revision(), revision, "{bad}");
    }
    source(folder.path(), "a.yaml", &ACME.replace("partners", "[partners, beta]"));
    Renewal::renew(&recipe, &current);
    let consumers = current.load();
    assert_ne!(consumers.revision(), revision);
    assert_eq!(consumers.credential(&digest("abc")).unwrap().consumer.groups.len(), 2);
}

#[test]
fn the_name_tells_the_format() {
    let path = Path::new("consumers.txt");
    assert!(Source::of(&Spanned::nowhere("consumers.txt".to_owned()), path.to_owned()).is_err());
}
