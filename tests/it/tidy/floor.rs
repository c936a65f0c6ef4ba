//! Who may import whom, as the map in `src/lib.rs` tells it.

use std::collections::BTreeMap;
use std::fs;

use super::none;
use super::source::{root, texts};

/// The rooms that every other one may use.
const COMMON: [&str; 2] = ["sys", "document"];
/// Folder and file above all rooms.
const COMMAND_LINE: [&str; 2] = ["cli", "main"];

/// The floor of every room as `src/lib.rs` tells it; `None` for what stands apart.
fn floors() -> BTreeMap<String, Option<u32>> {
    let lib = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let mut floors = BTreeMap::new();
    let mut said: Option<&str> = None;
    for line in lib.lines() {
        if let Some(words) = line.strip_prefix("/// ").or_else(|| line.strip_prefix("// ")) {
            said = said.or(Some(words));
        } else if let Some(room) = line.strip_prefix("pub mod ").and_then(|rest| rest.strip_suffix(';')) {
            let words = said.take().unwrap_or_else(|| panic!("{room} has no floor"));
            let (place, _) = words.split_once(':').unwrap_or_else(|| panic!("{room}: {words}"));
            let floor = match place.strip_prefix("Floor ") {
                Some(number) => Some(number.parse().unwrap_or_else(|_| panic!("{room}: {words}"))),
                None if place == "Apart" => None,
                None => panic!("{room}: {words}"),
            };
            floors.insert(room.to_owned(), floor);
        }
    }
    floors
}

/// The names that follow `crate::`, those in braces among them.
fn imports(text: &str) -> Vec<&str> {
    let mut rooms = Vec::new();
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    for rest in text.split("crate::").skip(1) {
        let Some(braces) = rest.strip_prefix('{') else {
            rooms.push(&rest[..rest.find(|c| !is_name(c)).unwrap_or(rest.len())]);
            continue;
        };
        let mut depth = 0;
        for part in braces.split_inclusive([',', '{', '}']) {
            let name = part.trim().split(|c| !is_name(c)).next().unwrap_or_default();
            if depth == 0 && !name.is_empty() {
                rooms.push(name);
            }
            match part.chars().last() {
                Some('{') => depth += 1,
                Some('}') if depth == 0 => break,
                Some('}') => depth -= 1,
                _ => {}
            }
        }
    }
    rooms
}

#[test]
fn imports_only_look_down() {
    assert_eq!(imports("use crate::a::B; use crate::{b, c::{D, e}, f::g};"), ["a", "b", "c", "f"]);
    let floors = floors();
    assert!(floors.len() > 10, "{floors:?}");
    let mut broken = Vec::new();
    let mut looked_down = 0;
    for source in texts("src") {
        let path = source.path.strip_prefix("src/").expect("it lies there");
        let room = path.split('/').next().expect("a path has a first part").trim_end_matches(".rs");
        if room == "lib" || COMMAND_LINE.contains(&room) {
            continue;
        }
        let Some(own) = floors.get(room) else {
            broken.push(format!("{}: src/lib.rs names no room {room}", source.path));
            continue;
        };
        for used in imports(&source.text).into_iter().filter(|used| *used != room) {
            let floor = floors.get(used).unwrap_or_else(|| panic!("{}: no room {used}", source.path));
            let is_below = matches!((own, floor), (Some(own), Some(floor)) if floor < own);
            let is_common = COMMON.contains(&used) && own.is_some();
            if !is_below && !is_common {
                broken.push(format!("{} imports {used}", source.path));
            }
            looked_down += 1;
        }
    }
    assert!(looked_down > 30, "only {looked_down} imports were found");
    none("a room uses rooms of lower floors only", &broken);
}
