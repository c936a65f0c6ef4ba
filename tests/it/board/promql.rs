//! As much of PromQL as it takes to see what an expression asks for; whether it is valid is promtool's to say.

/// A comparison of a label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matcher {
    pub label: String,
    pub operator: String,
    pub value: String,
}

/// A metric that an expression asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector {
    pub name: String,
    pub matchers: Vec<Matcher>,
    /// What stands in brackets.
    pub range: Option<String>,
    pub has_offset: bool,
    /// The function whose argument it is.
    pub function: Option<String>,
}

/// What an expression asks for.
#[derive(Debug, Default)]
pub struct Query {
    pub selectors: Vec<Selector>,
    /// Labels that results are grouped or matched by.
    pub grouped_by: Vec<String>,
    /// Texts in `label_replace`: the labels that it makes are among them.
    pub made: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    Text(String),
    Number(String),
    Sign(char),
}

const GROUPING: [&str; 6] = ["by", "without", "on", "ignoring", "group_left", "group_right"];
const OPERATORS: [&str; 4] = ["and", "or", "unless", "bool"];
const AGGREGATIONS: [&str; 7] = ["sum", "min", "max", "avg", "count", "topk", "quantile"];

/// Reads an expression; `$variables` may stand for labels and durations.
pub fn read(expr: &str) -> Query {
    let tokens = tokens(expr);
    let mut query = Query::default();
    // The function of each open parenthesis.
    let mut open: Vec<Option<String>> = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let next = tokens.get(at + 1);
        match &tokens[at] {
            Token::Word(word) if GROUPING.contains(&word.as_str()) => {
                let labels = tokens[at + 2..].iter().take_while(|token| **token != Token::Sign(')'));
                let labels: Vec<&Token> = labels.collect();
                at += 2 + labels.len();
                query.grouped_by.extend(labels.into_iter().filter_map(word_of));
            }
            Token::Word(word) if word == "offset" => {
                query.selectors.last_mut().expect("an offset follows a selector").has_offset = true;
                at += 1;
            }
            Token::Word(word)
                if OPERATORS.contains(&word.as_str()) || AGGREGATIONS.contains(&word.as_str()) => {}
            Token::Word(word) if next == Some(&Token::Sign('(')) => {
                open.push(Some(word.clone()));
                at += 1;
            }
            Token::Word(word) => {
                let function = open.last().cloned().flatten();
                let mut selector = Selector { name: word.clone(), function, ..Selector::default() };
                at = finish(&tokens, at + 1, &mut selector);
                query.selectors.push(selector);
                continue;
            }
            Token::Text(made) if open.last() == Some(&Some("label_replace".to_owned())) => {
                query.made.push(made.clone());
            }
            Token::Sign('(') => open.push(None),
            Token::Sign(')') => {
                open.pop().unwrap_or_else(|| panic!("a parenthesis too many: {expr}"));
            }
            Token::Text(_) | Token::Number(_) | Token::Sign(_) => {}
        }
        at += 1;
    }
    assert!(open.is_empty(), "a parenthesis is open: {expr}");
    query
}

fn word_of(token: &Token) -> Option<String> {
    if let Token::Word(word) = token { Some(word.clone()) } else { None }
}

/// Reads the matchers and the range of a selector; tells where it ends.
fn finish(tokens: &[Token], mut at: usize, selector: &mut Selector) -> usize {
    if tokens.get(at) == Some(&Token::Sign('{')) {
        at += 1;
        while tokens[at] != Token::Sign('}') {
            let Token::Word(label) = &tokens[at] else { panic!("no label: {:?}", tokens[at]) };
            let mut operator = String::new();
            at += 1;
            while let Token::Sign(sign) = tokens[at] {
                operator.push(sign);
                at += 1;
            }
            let Token::Text(value) = &tokens[at] else { panic!("no value: {:?}", tokens[at]) };
            selector.matchers.push(Matcher { label: label.clone(), operator, value: value.clone() });
            at += 1;
            if tokens[at] == Token::Sign(',') {
                at += 1;
            }
        }
        at += 1;
    }
    if tokens.get(at) == Some(&Token::Sign('[')) {
        let (Token::Word(range) | Token::Number(range)) = &tokens[at + 1] else {
            panic!("no range: {:?}", tokens[at + 1])
        };
        selector.range = Some(range.clone());
        at += 3;
    }
    at
}

fn tokens(expr: &str) -> Vec<Token> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let mut tokens = Vec::new();
    let mut rest = expr;
    while let Some(first) = rest.chars().next() {
        let length = if first == '"' {
            let end = rest[1..].find('"').unwrap_or_else(|| panic!("a text is open: {expr}")) + 2;
            tokens.push(Token::Text(rest[1..end - 1].to_owned()));
            end
        } else if first.is_ascii_alphabetic() || first == '_' || first == '$' {
            let end = rest[1..].find(|c| !is_word(c)).map_or(rest.len(), |end| end + 1);
            tokens.push(Token::Word(rest[..end].to_owned()));
            end
        } else if first.is_ascii_digit() {
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '.').unwrap_or(rest.len());
            tokens.push(Token::Number(rest[..end].to_owned()));
            end
        } else {
            if !first.is_whitespace() {
                tokens.push(Token::Sign(first));
            }
            first.len_utf8()
        };
        rest = &rest[length..];
    }
    tokens
}

#[test]
fn expressions_are_read_as_they_are_meant() {
    let query = read(
        "sum by (app, $l) (((a{x=\"1\", $l=~\"$v|)\"} unless a offset 1h) and on (job) b) or rate(c_total[$__rate_interval])) \
         / on (app) group_left () label_replace(d:e, \"made\", \"$1\", \"x\", \"(.*)\") > 0.5 and time() - f < 3600",
    );
    let names: Vec<&str> = query.selectors.iter().map(|selector| selector.name.as_str()).collect();
    assert_eq!(names, ["a", "a", "b", "c_total", "d:e", "f"]);
    let matcher = |label: &str, operator: &str, value: &str| Matcher {
        label: label.to_owned(),
        operator: operator.to_owned(),
        value: value.to_owned(),
    };
    assert_eq!(query.selectors[0].matchers, [matcher("x", "=", "1"), matcher("$l", "=~", "$v|)")]);
    let offsets: Vec<bool> = query.selectors.iter().map(|selector| selector.has_offset).collect();
    assert_eq!(offsets, [false, true, false, false, false, false]);
    let rate = &query.selectors[3];
    assert_eq!((rate.range.as_deref(), rate.function.as_deref()), (Some("$__rate_interval"), Some("rate")));
    assert_eq!(query.grouped_by, ["app", "$l", "job", "app"]);
    assert_eq!(query.made, ["made", "$1", "x", "(.*)"]);
}
