//! What an expression refers to, found before it is ever evaluated: unknown names are refused with their place, and only
//! what is named is bound for a request.

use super::ParseError;
use super::steps;
use super::uses::{CALLER, Names, REQUEST, Uses, VARIABLES};
use cel::common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedExpr, LiteralValue, SourceInfo, operators};
use cel::{Context, Env};
use regex::Regex;
use std::sync::Arc;

/// Expressions may go this deep: evaluation does, too, on the stack of a worker.
const DEEPEST: usize = 64;
/// Macros over lists (`all`, `exists`, `map` …) in one expression: each may be inside another.
const MOST_MACROS: usize = 4;
/// The largest compiled pattern of `matches`, in bytes.
const LARGEST_PATTERN: usize = 1 << 20;

/// Names of types, which are values too: `type(x) == string`.
const TYPES: [&str; 10] = ["int", "uint", "double", "bool", "string", "bytes", "list", "map", "null_type", "type"];
/// Functions whose result is no `bool`.
const NOT_BOOL: [&str; 13] =
    ["_+_", "_-_", "_*_", "_/_", "_%_", "-_", "size", "int", "uint", "double", "string", "bytes", "type"];

/// Goes through an expression.
pub struct Reader<'a> {
    source: &'a SourceInfo,
    functions: Context<'static, 'static>,
    /// Variables of the macros around, innermost last.
    scope: Vec<String>,
    macros: usize,
    /// What was found.
    pub uses: Uses,
    /// The patterns of `matches`, each compiled; its number is in the name of the function it is called by.
    pub patterns: Vec<Regex>,
}

impl<'a> Reader<'a> {
    /// A reader of an expression with that source.
    pub fn new(source: &'a SourceInfo, env: &Arc<Env>) -> Self {
        Self {
            source,
            functions: Context::with_env(Arc::clone(env)),
            scope: Vec::new(),
            macros: 0,
            uses: Uses::default(),
            patterns: Vec::new(),
        }
    }

    /// Reads the whole of it, and has calls of `matches` refer to [`Self::patterns`].
    ///
    /// # Errors
    /// The first thing that is wrong, and where.
    pub fn whole(&mut self, expression: &mut IdedExpr) -> Result<(), ParseError> {
        let constant = match &expression.expr {
            Expr::Literal(literal) => !matches!(literal, LiteralValue::Boolean(_)),
            Expr::List(_) | Expr::Map(_) => true,
            Expr::Call(call) => NOT_BOOL.contains(&call.func_name.as_str()),
            _ => false,
        };
        if constant {
            return Err(self.error(expression, "the expression is not a condition: its value is never true or false"));
        }
        self.read(expression, 0)
    }

    /// Whether anything in it is done again and again.
    pub fn has_macros(&self) -> bool {
        self.macros > 0
    }

    fn error(&self, at: &IdedExpr, message: impl Into<String>) -> ParseError {
        let offset = self.source.offset_for(at.id).map_or(0, |(start, _)| start);
        ParseError::at(usize::try_from(offset).unwrap_or(0), message)
    }

    fn read(&mut self, expression: &mut IdedExpr, depth: usize) -> Result<(), ParseError> {
        if depth > DEEPEST {
            return Err(self.error(expression, format!("the expression goes more than {DEEPEST} deep")));
        }
        if let Some(path) = self.path(expression) {
            return self.note(expression, &path);
        }
        let depth = depth + 1;
        match &mut expression.expr {
            Expr::Literal(_) => Ok(()),
            Expr::Ident(_) => self.identifier(expression),
            Expr::Select(select) => self.read(&mut select.operand, depth),
            Expr::Call(_) => self.call(expression, depth),
            Expr::List(list) => list.elements.iter_mut().try_for_each(|element| self.read(element, depth)),
            Expr::Map(map) => map.entries.iter_mut().try_for_each(|entry| match &mut entry.expr {
                EntryExpr::MapEntry(entry) => {
                    self.read(&mut entry.key, depth)?;
                    self.read(&mut entry.value, depth)
                }
                EntryExpr::StructField(field) => self.read(&mut field.value, depth),
            }),
            Expr::Comprehension(_) => self.comprehension(expression, depth),
            Expr::Struct(_) | Expr::Unspecified => {
                Err(self.error(expression, "there are no message types here; a map is written `{'a': 1}`"))
            }
        }
    }

    /// The segments of `request.headers['x-a']` and the like; `None` for everything that is no path from a variable.
    fn path(&self, expression: &IdedExpr) -> Option<Vec<String>> {
        let (mut segments, mut at) = (Vec::new(), expression);
        loop {
            at = match &at.expr {
                Expr::Select(select) => {
                    segments.push(select.field.clone());
                    &select.operand
                }
                Expr::Call(call) if call.func_name == operators::INDEX => {
                    let [of, key] = call.args.as_slice() else { return None };
                    segments.push(text(key)?.to_owned());
                    of
                }
                Expr::Call(call) if call.func_name == operators::IN && segments.is_empty() => {
                    let [key, of] = call.args.as_slice() else { return None };
                    segments.push(text(key)?.to_owned());
                    of
                }
                Expr::Ident(name) => {
                    let known = VARIABLES.contains(&name.as_str()) && !self.scope.contains(name);
                    segments.push(name.clone());
                    segments.reverse();
                    return known.then_some(segments);
                }
                _ => return None,
            };
        }
    }

    /// Notes that a path is read.
    fn note(&mut self, at: &IdedExpr, path: &[String]) -> Result<(), ParseError> {
        let segment = |position: usize| path.get(position).map(String::as_str);
        let (root, first, second) = (segment(0).unwrap_or_default(), segment(1), segment(2));
        let known: &'static [&'static str] = match root {
            "request" => &REQUEST,
            "caller" => &CALLER,
            _ => &[],
        };
        if let Some(field) = first
            && !known.is_empty()
            && !known.contains(&field)
        {
            let error = self.error(at, format!("`{root}` has no `{field}`"));
            return Err(error.near(field, known).hint(format!("it has {}", known.join(", "))));
        }
        match (root, first) {
            ("caller", field) => self.uses.caller.add(field),
            ("now", _) => self.uses.now = true,
            ("claims", claim) => self.uses.claims.add(claim),
            ("request", Some("headers")) => {
                if second.is_some_and(|name| name.bytes().any(|byte| byte.is_ascii_uppercase())) {
                    return Err(self.error(at, "names of header fields are in lower case here"));
                }
                self.uses.headers.add(second);
            }
            ("request", Some("query")) => self.uses.query.add(second),
            ("request", None) => {
                self.uses.headers = Names::All;
                self.uses.query = Names::All;
            }
            _ => {}
        }
        if root == "request" {
            self.uses.request.add(first);
        }
        Ok(())
    }

    fn identifier(&self, expression: &IdedExpr) -> Result<(), ParseError> {
        let Expr::Ident(name) = &expression.expr else { return Ok(()) };
        if self.scope.contains(name) || TYPES.contains(&name.as_str()) {
            return Ok(());
        }
        let error = self.error(expression, format!("there is no variable `{name}`"));
        Err(error.near(name, &VARIABLES).hint(format!("there are {}", VARIABLES.join(", "))))
    }

    fn call(&mut self, expression: &mut IdedExpr, depth: usize) -> Result<(), ParseError> {
        let Expr::Call(call) = &expression.expr else { return Ok(()) };
        let name = call.func_name.as_str();
        let is_operator = !name.bytes().any(|byte| byte.is_ascii_alphanumeric()) || name.starts_with('@');
        // A name that is declared cannot be added: that is how the library tells.
        if !is_operator && self.functions.add_function(name, |it: i64| it).is_ok() {
            return Err(self.error(expression, format!("there is no function `{name}`")).near(
                name,
                &["size", "contains", "startsWith", "endsWith", "matches", "has", "all", "exists", "map", "filter"],
            ));
        }
        if name == "matches" {
            self.pattern(expression)?;
        }
        let Expr::Call(call) = &mut expression.expr else { return Ok(()) };
        if let Some(target) = &mut call.target {
            self.read(target, depth)?;
        }
        call.args.iter_mut().try_for_each(|argument| self.read(argument, depth))
    }

    /// Compiles the pattern of `x.matches('…')`, once and not for each request, and has the call refer to it.
    fn pattern(&mut self, expression: &mut IdedExpr) -> Result<(), ParseError> {
        let Expr::Call(call) = &expression.expr else { return Ok(()) };
        let (subject, pattern) = match (&call.target, call.args.as_slice()) {
            (Some(target), [pattern]) => (target.as_ref(), pattern),
            (None, [subject, pattern]) => (subject, pattern),
            _ => return Err(self.error(expression, "`matches` takes a text and a pattern")),
        };
        let Some(written) = text(pattern) else {
            return Err(self.error(pattern, "the pattern of `matches` is written out, as a text in quotes"));
        };
        let compiled = regex::RegexBuilder::new(written).size_limit(LARGEST_PATTERN).build();
        let compiled = compiled.map_err(|error| {
            let why = error.to_string();
            let why = why.lines().last().unwrap_or_default().trim_start_matches("error: ");
            self.error(pattern, format!("the pattern is not a regular expression: {why}"))
        })?;
        let call =
            CallExpr { func_name: pattern_function(self.patterns.len()), target: None, args: vec![subject.clone()] };
        expression.expr = Expr::Call(call);
        self.patterns.push(compiled);
        // The name is that of a function now, which this reader has added, too.
        Ok(())
    }

    fn comprehension(&mut self, expression: &mut IdedExpr, depth: usize) -> Result<(), ParseError> {
        self.macros += 1;
        if self.macros > MOST_MACROS {
            return Err(self.error(expression, format!("more than {MOST_MACROS} macros such as `exists` and `map`")));
        }
        let Expr::Comprehension(comprehension) = &mut expression.expr else { return Ok(()) };
        let ComprehensionExpr { iter_range, iter_var, iter_var2, accu_var, accu_init, loop_cond, loop_step, result } =
            comprehension.as_mut();
        self.read(iter_range, depth)?;
        self.read(accu_init, depth)?;
        let outside = self.scope.len();
        self.scope.extend([iter_var.clone(), accu_var.clone()]);
        self.scope.extend(iter_var2.clone());
        let inner = [loop_cond, loop_step, result].into_iter().try_for_each(|part| self.read(part, depth));
        self.scope.truncate(outside);
        inner?;
        steps::count(comprehension);
        Ok(())
    }
}

/// The function a pattern is called by: no expression can name it.
pub fn pattern_function(number: usize) -> String {
    format!("matches#{number}")
}

fn text(expression: &IdedExpr) -> Option<&str> {
    match &expression.expr {
        Expr::Literal(LiteralValue::String(text)) => Some(text.inner()),
        _ => None,
    }
}
