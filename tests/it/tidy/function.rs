//! The functions of a source file: how long each is, and what it takes.

use super::source::Text;

/// A function as it stands in the source.
pub struct Function {
    /// File and line.
    pub place: String,
    pub name: String,
    pub lines: usize,
    /// As written, `self` not among them.
    pub parameters: Vec<String>,
}

/// All functions with a body or without, closures not.
pub fn functions(source: &Text) -> Vec<Function> {
    let lines: Vec<&str> = source.text.lines().collect();
    let starts = lines.iter().enumerate().filter_map(|(at, line)| {
        let words = line.trim_start();
        let before = words.split("fn ").next()?;
        let is_start = words.contains("fn ")
            && before.split_whitespace().all(|word| {
                ["const", "async", "unsafe", "extern", "\"C\""].contains(&word) || word.starts_with("pub")
            });
        is_start.then_some((at, line.len() - words.len()))
    });
    starts.map(|(at, indent)| function(source, &lines, (at, indent))).collect()
}

fn function(source: &Text, lines: &[&str], (at, indent): (usize, usize)) -> Function {
    let text = lines[at..].join("\n");
    let (_, rest) = text.split_once("fn ").expect("a start has the word");
    let name_end = rest.find(['(', '<']).expect("a function has parentheses");
    let (name, rest) = rest.split_at(name_end);
    // What is formatted closes a body where its first line begins, and one line ends with its own brace.
    let end = " ".repeat(indent) + "}";
    let closes = |line: &&str| **line == end;
    let is_one_line = lines[at].ends_with(['}', ';']);
    let length = if is_one_line { 1 } else { 1 + lines[at..].iter().position(closes).unwrap_or(0) };
    Function {
        place: format!("{}:{}", source.path, at + 1),
        name: name.to_owned(),
        lines: length,
        parameters: parameters(rest),
    }
}

/// The parameters of a function, from its generics on; those of bounds such as `Fn(u32)` are not among them.
fn parameters(text: &str) -> Vec<String> {
    let mut depth = 0;
    let mut generics = text.starts_with('<');
    let mut all = vec![String::new()];
    let mut before = ' ';
    for c in text.chars() {
        match c {
            '(' | '[' | '{' | '<' => depth += 1,
            '>' if before == '-' || before == '=' => {}
            ')' | ']' | '}' | '>' => depth -= 1,
            _ => {}
        }
        if generics {
            generics = depth > 0;
        } else if depth == 0 {
            break;
        } else if c == ',' && depth == 1 {
            all.push(String::new());
        } else if depth > 1 || c != '(' {
            all.last_mut().expect("there is always one").push(c);
        }
        before = c;
    }
    let trimmed = all.iter().map(|parameter| parameter.trim().to_owned());
    let is_self = |parameter: &str| {
        let words = parameter.split(':').next().unwrap_or_default();
        words.split([' ', '&']).any(|word| word == "self")
    };
    trimmed.filter(|p| !p.is_empty() && !p.starts_with("//") && !is_self(p)).collect()
}

#[test]
fn functions_are_counted_as_they_are_written() {
    let text = "trait T {\n    fn a(&mut self) -> u8;\n}\n\npub(super) async fn b<F: Fn(u8, u8) -> u8>(\n    f: F,\n    \
                (x, y): (u8, u8),\n    z: Vec<(u8, u8)>,\n) where\n    F: Sized,\n{\n    if true {\n    }\n}\n\nfn c() {}\n";
    let source = Text { path: "p".to_owned(), text: text.to_owned() };
    let found = functions(&source);
    let told: Vec<(&str, usize)> = found.iter().map(|f| (f.name.as_str(), f.lines)).collect();
    assert_eq!(told, [("a", 1), ("b", 10), ("c", 1)]);
    assert!(found[0].parameters.is_empty() && found[2].parameters.is_empty());
    assert_eq!(found[1].parameters, ["f: F", "(x, y): (u8, u8)", "z: Vec<(u8, u8)>"]);
    assert_eq!(found[1].place, "p:5");
}
