//! `when:`: an expression in CEL (<https://cel.dev>), compiled when the configuration is.
//!
//! The library's interface changes with each of its versions, so nothing outside of this folder knows it.

mod guard;
mod read;
mod steps;
mod uses;

use super::Facts;
use cel::common::ast::IdedExpr;
use cel::common::types::CelBool;
use cel::{Context, Env, ExecutionError, Value};
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use steps::Steps;
use uses::Uses;

/// The stack of the parser, in bytes; only what is used of it is ever taken.
const PARSER_STACK: usize = 64 << 20;

/// Why an expression is not one, and where.
#[derive(Debug, Default)]
pub struct ParseError {
    /// Characters before the place.
    pub offset: usize,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub hint: Option<String>,
    /// A name that is unknown, and those that are known.
    pub near: Option<(String, Vec<&'static str>)>,
}

impl ParseError {
    fn at(offset: usize, message: impl Into<String>) -> Self {
        Self { offset, message: message.into(), ..Self::default() }
    }

    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    fn near(mut self, wrong: &str, known: &[&'static str]) -> Self {
        self.near = Some((wrong.to_owned(), known.to_vec()));
        self
    }
}

/// A compiled expression.
pub struct Condition {
    text: Box<str>,
    expression: IdedExpr,
    uses: Uses,
    /// Whether it has macros, whose rounds are counted.
    repeats: bool,
    /// The functions it calls; each request has a scope of its own within.
    functions: Context<'static, 'static>,
}

impl Condition {
    /// Compiles an expression.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        guard::check(text)?;
        // The parser goes as deep as the text does, far beyond what is let through afterwards: it gets a stack that
        // is deep enough for the longest text, and should it fail it fails alone.
        let parser = std::thread::Builder::new().stack_size(PARSER_STACK);
        std::thread::scope(|scope| {
            match parser.spawn_scoped(scope, || Self::compile(text)).map(|parser| parser.join()) {
                Ok(Ok(compiled)) => compiled,
                Ok(Err(_)) | Err(_) => Err(ParseError::at(0, "the expression cannot be parsed")),
            }
        })
    }

    fn compile(text: &str) -> Result<Self, ParseError> {
        let env = Arc::new(Env::stdlib());
        let program = env.compile(text).map_err(|errors| syntax(text, &errors))?;
        let mut expression = program.expression().clone();
        let mut reader = read::Reader::new(program.source_info(), &env);
        reader.whole(&mut expression)?;
        let (repeats, uses, patterns) = (reader.has_macros(), reader.uses, reader.patterns);
        let mut functions = Context::with_env(env);
        for (number, pattern) in patterns.into_iter().enumerate() {
            let matches = move |subject: Arc<String>| pattern.is_match(&subject);
            // Only a name of the standard library is refused, and this is none.
            let _ = functions.add_function(&read::pattern_function(number), matches);
        }
        let condition = Self { text: text.into(), expression, uses, repeats, functions };
        condition.refuse_constants()?;
        Ok(condition)
    }

    /// An expression that reads nothing has its value now: it must be one that decides.
    fn refuse_constants(&self) -> Result<(), ParseError> {
        if self.uses.request.any() || self.uses.now || self.reads_caller() {
            return Ok(());
        }
        let steps = Steps::default();
        let mut context = self.functions.new_inner_scope();
        context.set_variable_resolver(&steps);
        match Value::resolve_val(&self.expression, &context) {
            Ok(value) if value.downcast_ref::<CelBool>().is_some() => Ok(()),
            Ok(_) => Err(ParseError::at(0, "the value of the expression is never true or false")),
            Err(error) => Err(ParseError::at(0, format!("the expression can never be evaluated: {}", plain(&error)))),
        }
    }

    /// Whether it reads who the caller is.
    pub fn reads_caller(&self) -> bool {
        self.uses.caller.any() || self.uses.claims.any()
    }

    /// Its value for a request.
    ///
    /// # Errors
    /// Why it has none, in words that hold nothing of the request but the names it lacks.
    pub fn evaluate(&self, facts: &Facts<'_>) -> Result<bool, Cow<'static, str>> {
        let steps = Steps::default();
        let mut context = self.functions.new_inner_scope();
        if self.repeats {
            context.set_variable_resolver(&steps);
        }
        self.uses.bind(facts, &mut context)?;
        let value = Value::resolve_val(&self.expression, &context).map_err(|error| plain(&error))?;
        value.downcast_ref::<CelBool>().map(|value| *value.inner()).ok_or("its value is not true or false".into())
    }

    /// Whether it is true; without a value it is not.
    pub fn holds(&self, facts: &Facts<'_>) -> bool {
        self.evaluate(facts).unwrap_or_else(|why| {
            log::debug!("allow: `when: {}` cannot be evaluated: {why}", self.text);
            false
        })
    }
}

/// What the parser says, without its drawing of the place.
fn syntax(text: &str, errors: &cel::ParseErrors) -> ParseError {
    let Some(first) = errors.errors.first() else { return ParseError::at(0, "the expression cannot be parsed") };
    let (line, column) = first.pos;
    let before: usize = text.split_inclusive('\n').take(usize::try_from(line - 1).unwrap_or(0)).map(str::len).sum();
    let offset = before + usize::try_from(column - 1).unwrap_or(0);
    // The list of everything that could stand there is longer than it is helpful.
    let said = first.msg.lines().next().unwrap_or_default();
    let said = said.split(" expecting ").next().unwrap_or(said).trim_start_matches("Syntax error: ");
    ParseError::at(offset.min(text.len()), format!("the expression cannot be parsed: {said}"))
}

/// Why an evaluation failed. The library's own words would show values of the request.
fn plain(error: &ExecutionError) -> Cow<'static, str> {
    match error {
        ExecutionError::NoSuchKey(_) => "a name it reads is not there; ask for it with `has(…)` first".into(),
        // Names that do not exist were refused when it was read: what is missing is another round.
        ExecutionError::UndeclaredReference(_) => "its macros go on for too long".into(),
        ExecutionError::NoSuchOverload(error) => error.to_string().into(),
        ExecutionError::UnsupportedBinaryOperator(operator, ..) => {
            format!("`{operator}` does not fit its two sides").into()
        }
        ExecutionError::UnexpectedType { got, want } => format!("a {got} stands where a {want} is needed").into(),
        ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) => "it divides by zero".into(),
        ExecutionError::Overflow(..) => "a number is too large".into(),
        ExecutionError::IndexOutOfBounds(_) => "a list is shorter than it needs".into(),
        _ => "a value is not of the kind it needs".into(),
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "when {}", self.text.split_whitespace().collect::<Vec<_>>().join(" "))
    }
}

impl fmt::Debug for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests;
