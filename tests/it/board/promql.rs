//! What an expression of PromQL asks for, as the field's own parser reads it.

use std::time::Duration;

use promql_parser::label::Matchers;
use promql_parser::parser::value::ValueType;
use promql_parser::parser::{self, BinModifier, Expr, LabelModifier, VectorMatchCardinality, VectorSelector};

/// Variables of the board that stand where PromQL wants a label or a duration, and what stands for them here. Those
/// within quotes are texts.
const STANDS_FOR: [(&str, &str); 3] =
    [("$__rate_interval", "1913s"), ("$__range", "1931s"), ("$watch_label", "watch_label__")];
const RATE_INTERVAL: Duration = Duration::from_secs(1913);

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
    pub range: Option<Duration>,
    pub has_offset: bool,
    /// The function whose argument it is.
    pub function: Option<String>,
}

impl Selector {
    /// True if the range is `$__rate_interval`.
    pub fn has_rate_interval(&self) -> bool {
        self.range == Some(RATE_INTERVAL)
    }
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

/// Reads an expression; `$variables` may stand for labels and durations.
///
/// # Panics
/// It is no PromQL.
pub fn read(expr: &str) -> Query {
    let text = STANDS_FOR.iter().fold(expr.to_owned(), |text, (variable, word)| text.replace(variable, word));
    let parsed = parser::parse(&text).unwrap_or_else(|error| panic!("{expr}: {error}"));
    let mut query = Query::default();
    query.take(&parsed, None);
    query
}

impl Query {
    /// Takes in an expression that is the argument of `function`.
    fn take(&mut self, expr: &Expr, function: Option<&str>) {
        match expr {
            Expr::Aggregate(aggregate) => {
                self.group(aggregate.modifier.as_ref());
                self.take(&aggregate.expr, None);
                aggregate.param.iter().for_each(|param| self.take(param, None));
            }
            Expr::Binary(binary) => {
                self.take(&binary.lhs, None);
                self.take(&binary.rhs, None);
                binary.modifier.iter().for_each(|modifier| self.combine(modifier));
            }
            Expr::Call(call) => {
                for arg in &call.args.args {
                    match &**arg {
                        Expr::StringLiteral(text) if call.func.name == "label_replace" => {
                            self.made.push(text.val.clone());
                        }
                        arg => self.take(arg, Some(call.func.name)),
                    }
                }
            }
            Expr::Unary(unary) => self.take(&unary.expr, None),
            Expr::Paren(paren) => self.take(&paren.expr, function),
            Expr::Subquery(subquery) => self.take(&subquery.expr, None),
            Expr::VectorSelector(selector) => self.select(selector, None, function),
            Expr::MatrixSelector(matrix) => self.select(&matrix.vs, Some(matrix.range), function),
            Expr::NumberLiteral(_) | Expr::StringLiteral(_) | Expr::Extension(_) => {
                assert_ne!(expr.value_type(), ValueType::Vector, "{expr}");
            }
        }
    }

    fn select(&mut self, selector: &VectorSelector, range: Option<Duration>, function: Option<&str>) {
        self.selectors.push(Selector {
            name: selector.name.clone().unwrap_or_default(),
            matchers: matchers(&selector.matchers),
            range,
            has_offset: selector.offset.is_some(),
            function: function.map(str::to_owned),
        });
    }

    fn group(&mut self, modifier: Option<&LabelModifier>) {
        let labels = modifier.map(|modifier| modifier.labels().labels.as_slice()).unwrap_or_default();
        self.grouped_by.extend(labels.iter().map(|label| variable(label)));
    }

    fn combine(&mut self, modifier: &BinModifier) {
        self.group(modifier.matching.as_ref());
        if let VectorMatchCardinality::ManyToOne(labels) | VectorMatchCardinality::OneToMany(labels) =
            &modifier.card
        {
            self.grouped_by.extend(labels.labels.iter().map(|label| variable(label)));
        }
    }
}

fn matchers(of: &Matchers) -> Vec<Matcher> {
    let matcher = |matcher: &promql_parser::label::Matcher| Matcher {
        label: variable(&matcher.name),
        operator: matcher.op.to_string(),
        value: matcher.value.clone(),
    };
    of.matchers.iter().map(matcher).collect()
}

/// The label, or the variable for which it stands.
fn variable(label: &str) -> String {
    let found = STANDS_FOR.iter().find(|(_, word)| *word == label);
    found.map_or(label, |(variable, _)| variable).to_owned()
}

#[test]
fn expressions_are_read_as_they_are_meant() {
    let query = read(
        "sum by (app, $watch_label) (((a{x=\"1\", $watch_label=~\"$v|\"} unless a offset 1h) and on (job) b) \
         or rate(c_total[$__rate_interval])) \
         / on (app) group_left () label_replace(d:e, \"made\", \"$1\", \"x\", \"(.*)\") > 0.5 and time() - f < 3600",
    );
    let names: Vec<&str> = query.selectors.iter().map(|selector| selector.name.as_str()).collect();
    assert_eq!(names, ["a", "a", "b", "c_total", "d:e", "f"]);
    let matcher = |label: &str, operator: &str, value: &str| Matcher {
        label: label.to_owned(),
        operator: operator.to_owned(),
        value: value.to_owned(),
    };
    assert_eq!(query.selectors[0].matchers, [matcher("x", "=", "1"), matcher("$watch_label", "=~", "$v|")]);
    let offsets: Vec<bool> = query.selectors.iter().map(|selector| selector.has_offset).collect();
    assert_eq!(offsets, [false, true, false, false, false, false]);
    let rate = &query.selectors[3];
    assert_eq!((rate.has_rate_interval(), rate.function.as_deref()), (true, Some("rate")));
    assert_eq!(query.grouped_by, ["app", "$watch_label", "job", "app"]);
    assert_eq!(query.made, ["made", "$1", "x", "(.*)"]);
}
