//! Programs: what they make, and that none of them outlives its bounds.

use super::*;
use crate::policy::tests::{messages, with_setup, written};
use std::path::Path;

fn compiled(yaml: &str) -> (Option<Arc<Program>>, Vec<String>) {
    let config: Spanned<JqConfig> = written(yaml);
    let scope = Scope { captures: &[], route: "/", api: "", env: &[], answered: false };
    let (made, problems, _) = with_setup(Path::new("."), |setup| Program::compile(&config.value, &scope, setup));
    (made, messages(&problems))
}

fn run_with(program: &str, input: &str, most: usize) -> Result<String, &'static str> {
    eprintln!("RUN {program:.100}");
    let text = serde_json::to_string(program).unwrap();
    let (program, problems) = compiled(&text);
    assert_eq!(problems, Vec::<String>::new(), "{text}");
    program.unwrap().run(&Json::parse(input).unwrap(), &[], (most as u64, most)).map_err(|unfit| unfit.0)
}

fn run(program: &str, input: &str) -> Result<String, &'static str> {
    run_with(program, input, 1 << 20)
}

#[test]
fn programs_make_what_jq_makes() {
    for (program, input, output) in [
        (".", "{\"b\":1,\"a\":[true,null,\"\\u00e9\\n\"]}", "{\"b\":1,\"a\":[true,null,\"é\\n\"]}"),
        ("{id: .a, all: [.b[] | . * 2]}", "{\"a\":\"x\",\"b\":[1,2]}", "{\"id\":\"x\",\"all\":[2,4]}"),
        (".items |= map(select(.n > 1) | .n += 10)", "{\"items\":[{\"n\":1},{\"n\":2}]}", "{\"items\":[{\"n\":12}]}"),
        ("[.[] | ascii_upcase] | join(\"-\")", "[\"a\",\"b\"]", "\"A-B\""),
        ("with_entries(.value |= tostring) | del(.b)", "{\"a\":1,\"b\":2}", "{\"a\":\"1\"}"),
        ("[.[] | tostring | test(\"^1\")]", "[1,2,12]", "[true,false,true]"),
        ("reduce range(5) as $i (0; . + $i)", "null", "10"),
        ("[limit(3; repeat(1))] | add", "null", "3"),
        ("def f($n): if $n > 20000 then $n else f($n + 1) end; f(0)", "null", "20001"),
        ("[recurse(if . < 3 then . + 1 else empty end)]", "0", "[0,1,2,3]"),
        ("try error(\"x\") catch .", "null", "\"x\""),
        ("(.a, .b) = 1", "{}", "{\"a\":1,\"b\":1}"),
        ("\"ab\" * 3", "null", "\"ababab\""),
        ("[paths]", "{\"a\":[1]}", "[[\"a\"],[\"a\",0]]"),
        ("first(.[] | select(. > 1))", "[1,2,3]", "2"),
        ("@base64 \"\\(.)\"", "\"a\"", "\"YQ==\""),
        ("[.[] as [$a, {b: $b}] | $a + $b]", "[[1,{\"b\":2}]]", "[3]"),
        ("label $out | foreach .[] as $x (0; . + $x; if . > 3 then ., break $out else empty end)", "[1,2,3]", "6"),
        ("\"\\(.a) and \\(.b)\"", "{\"a\":1,\"b\":[2]}", "\"1 and [2]\""),
        (
            "to_entries | group_by(.value) | map({(.[0].key): length}) | add",
            "{\"a\":1,\"b\":1,\"c\":2}",
            "{\"a\":2,\"c\":1}",
        ),
        ("if .a then .b //= 7 else . end", "{\"a\":1}", "{\"a\":1,\"b\":7}"),
    ] {
        assert_eq!(run(program, input).as_deref(), Ok(output), "{program}");
    }
}

#[test]
fn numbers_are_kept_as_far_as_the_language_keeps_them() {
    let digits = "9".repeat(1_000_000);
    for number in ["12345678901234567890123", "10.50", "1e400", "-0", "0.1000", digits.as_str()] {
        assert_eq!(run_with(".[0]", &format!("[{number}]"), 10 << 20).as_deref(), Ok(number), "{number:.30}");
    }
    assert_eq!(run(". + 1", "12345678901234567890123").as_deref(), Ok("12345678901234567890124"));
    assert_eq!(run(". + 1", "10.50").as_deref(), Ok("11.5"));
    assert_eq!(run("[nan, infinite]", "0").as_deref(), Ok("[null,null]"));
}

#[test]
fn a_program_that_never_ends_is_ended() {
    for program in [
        "def f: f; f",
        "def f: try f catch f; f",
        "repeat(1) | empty",
        "last(repeat(.))",
        "[range(0; 1; 0)] | length",
        "[range(1e18)] | length",
        "until(false; .)",
        "[recurse(.)] | length",
        "while(true; .) | empty",
        "first(range(1e18) | select(. < 0))",
        "[.[] as $a | .[] as $b | .[] as $c | .[] as $d | .[] as $e | .[] as $f | .[] as $g | .[] as $h | 1] | length",
        "[.[] + .[] + .[] + .[] + .[] + .[] + .[] + .[]] | length",
        "[{a: .[], b: .[], c: .[], d: .[], e: .[], f: .[], g: .[], h: .[]}] | length",
        "[\"\\(.[])\\(.[])\\(.[])\\(.[])\\(.[])\\(.[])\\(.[])\\(.[])\"] | length",
        "isempty(.[] < .[] and .[] < .[] and .[] < .[] and .[] < .[] and .[] < .[] and .[] < .[] | select(. == 1))",
        "[limit(1e18; repeat(1))] | length",
        "[skip(1e18; repeat(1))]",
        "reduce repeat(1) as $x (0; $x)",
        "[foreach repeat(1) as $x (0; $x)] | length",
        "label $out | repeat(1) | select(. > 1) | break $out",
        "path(repeat(.a))",
        "[combinations(30)] | length",
        "all(repeat(true); .)",
        "any(repeat(false); .)",
        "walk(until(false; .))",
        "map_values(last(repeat(.)))",
        ".[0] |= until(false; .)",
    ] {
        let began = Instant::now();
        let found = run(program, &format!("[{}]", (0..40).map(|n| n.to_string()).collect::<Vec<_>>().join(",")));
        let ended = ["takes too long", "makes too much", "goes too deep", "fails on it"];
        let why = found.expect_err(program);
        assert!(ended.iter().any(|end| why.contains(end)), "{program}: {why}");
        assert!(began.elapsed() < TIME * 3, "{program} took {:?}", began.elapsed());
    }
}

#[test]
fn what_a_program_makes_is_bounded() {
    for program in [
        "\"x\" * 1000000000000",
        "\"x\" * 10000000000000000000000",
        "reduce range(60) as $i (\"x\"; . + .)",
        "reduce range(60) as $i ([1]; . + .)",
        "reduce range(40) as $i (10; . * .)",
        "[range(1e7) | \"x\" * 1000]",
        "[range(1e7) | [range(1000)]]",
        "def f: . + \"xxxxxxxxxxxxxxxx\" | f; \"\" | f",
        "(\"x\" * 1000000) as $x | [range(1e6) | $x + \"y\"]",
        "(\"x\" * 1000000) | explode | map([., .]) | tojson * 100",
        "(\"x\" * 1000000) | [match(\".\"; \"g\")] | length",
        "(\"x\" * 1000000) / \"\" | length",
    ] {
        let why = run(program, "null").expect_err(program);
        assert!(why.contains("makes too much") || why.contains("takes too long"), "{program}: {why}");
    }
    assert_eq!(run_with("\"x\" * 100", "null", 50), Err("it becomes too large"));
}

#[test]
fn depth_is_bounded_in_calls_and_in_values() {
    for program in [
        "def f: [f]; f",
        "def f: 1 + f; f",
        "def f($n): if $n == 0 then 0 else 1 + f($n - 1) end; f(1e6)",
        "reduce range(1e6) as $i (null; [.])",
        "reduce range(1e6) as $i (null; {a: .})",
        "reduce range(1e6) as $i ({}; .a = .)",
        "setpath([range(100000) | \"a\"]; 1)",
        "getpath([range(100000) | \"a\"]) = 1",
        "\"[\" * 100000 | fromjson",
        "def f: .a |= f; f",
    ] {
        let why = run(program, "null").expect_err(program);
        let ended = ["goes too deep", "takes too long", "fails on it", "makes too much"];
        assert!(ended.iter().any(|end| why.contains(end)), "{program}: {why}");
    }
    assert_eq!(
        run("reduce range(200) as $i (null; [.])", "null"),
        Err("the program of this route makes something that goes too deep")
    );
}

#[test]
fn what_gives_no_value_or_several_or_fails_is_refused() {
    for (program, why) in [
        ("empty", "the program of this route makes nothing of it"),
        ("1, 2", "the program of this route makes several values of it"),
        ("error(\"secret\")", "the program of this route fails on it"),
        (".a.b", "the program of this route fails on it"),
        ("halt", "the program of this route fails on it"),
        ("halt_error", "the program of this route fails on it"),
        ("{(1): 2}", "the program of this route makes something that is not JSON"),
    ] {
        assert_eq!(run(program, "[1]"), Err(why), "{program}");
    }
    assert_eq!(run(".", "{\"a\":1,\"\\u0061\":2}"), Err("a name stands twice in one object"));
}

#[test]
fn nothing_beside_the_input_can_be_read() {
    for (program, problem) in [
        ("env", "jq knows no `env` here"),
        ("$ENV", "jq knows no `$ENV` here"),
        ("input", "jq knows no `input` here"),
        ("inputs", "jq knows no `inputs` here"),
        ("include \"a\"; .", "this is not jq"),
        ("$id", "jq knows no `$id` here"),
        (".a.", "this is not jq"),
        ("{", "this is not jq"),
        ("foo(1)", "jq knows no `foo` here"),
        ("", "this is not jq"),
    ] {
        let (_, problems) = compiled(&serde_json::to_string(program).unwrap());
        assert!(problems.len() == 1 && problems[0].starts_with(problem), "{program}: {problems:?}");
    }
    let deep = format!("{}1{}", "(".repeat(50_000), ")".repeat(50_000));
    let (_, problems) = compiled(&serde_json::to_string(&deep).unwrap());
    assert_eq!(problems, ["a program has at most 65536 bytes"]);
    let (_, problems) = compiled(&serde_json::to_string(&deep[49_000..51_001]).unwrap());
    assert_eq!(problems, ["brackets stand at most 100 deep"]);
}
