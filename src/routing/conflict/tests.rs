//! Which routes cannot stand side by side, and which can.

use super::*;
use crate::routing::support::rule;

/// Host, key and predicates of a rule.
type Written<'a> = (&'a str, &'a str, &'a [&'a str]);

fn conflicts(rules: &[Written<'_>]) -> Vec<(usize, usize, ConflictKind)> {
    let rules = rules.iter().map(|(hosts, key, predicates)| rule(hosts, key, predicates)).collect();
    let conflicts = Router::build(rules).err().unwrap_or_default();
    conflicts.into_iter().map(|conflict| (conflict.loser, conflict.winner, conflict.kind)).collect()
}

#[test]
fn the_same_twice_is_a_tie() {
    let pairs: [[Written<'_>; 2]; 10] = [
        [("", "/a", &[]), ("", "/a", &[])],
        [("h", "/a/{x}", &[]), ("h", "/a/{y}", &[])],
        [("", "GET /a", &[]), ("", "GET,POST /a", &[])],
        [("", "PURGE /a", &[]), ("", "PURGE /a", &[])],
        [("a.h b.h", "/a", &[]), ("c.h b.h", "/a", &[])],
        [("", "/a", &["header x=1"]), ("", "/a", &["header X=1"])],
        [("", "/a", &["header x=1", "query q"]), ("", "/a", &["query q", "header x=1", "query q"])],
        [("", "/@a", &[]), ("", "/%40a", &[])],
        [("", "~/a.*", &[]), ("", "~/a.*", &[])],
        [("", "/{x:a}/**", &[]), ("", "/{y:a}/**", &[])],
    ];
    for pair in pairs {
        assert_eq!(conflicts(&pair), [(1, 0, ConflictKind::Tie)], "{pair:?}");
    }
}

#[test]
fn predicates_of_equal_weight_that_one_request_can_pass_tie() {
    assert_eq!(conflicts(&[("", "/a", &["header x=1"]), ("", "/a", &["header y=1"])]), [(1, 0, ConflictKind::Tie)]);
    assert_eq!(conflicts(&[("", "/a", &["query x"]), ("", "/a", &["query y"])]), [(1, 0, ConflictKind::Tie)]);
}

#[test]
fn of_several_that_tie_each_is_named_once() {
    let four: [Written<'_>; 4] = [("a.h b.h", "/a", &[]); 4];
    let conflicts = conflicts(&four);
    assert_eq!(conflicts.iter().map(|(loser, ..)| *loser).collect::<Vec<_>>(), [1, 2, 3]);
}

#[test]
fn what_is_meant_for_different_requests_stands() {
    let apart: [[Written<'_>; 2]; 16] = [
        [("", "/a", &[]), ("", "/a/", &[])],
        [("", "/a", &[]), ("h", "/a", &[])],
        [("*.h", "/a", &[]), ("a.h", "/a", &[])],
        [("", "GET /a", &[]), ("", "POST /a", &[])],
        [("", "GET /a", &[]), ("", "HEAD /a", &[])],
        [("", "GET /a", &[]), ("", "/a", &[])],
        [("", "/a", &["header x=1"]), ("", "/a", &["header x=2"])],
        [("", "/a", &["header x=1"]), ("", "/a", &["header x"])],
        [("", "/a", &["header x"]), ("", "/a", &["!header x"])],
        [("", "/a", &["header x"]), ("", "/a", &["query x"])],
        [("", "/a", &["header x~1.*"]), ("", "/a", &["header x~.*1"])],
        [("", "/a", &["header x"]), ("", "/a", &[])],
        [("", "/{x:a+}", &[]), ("", "/{x:[a]+}", &[])],
        [("", "/{x}/a", &[]), ("", "/*/b", &[])],
        [("", "/{x}/**", &[]), ("", "/**", &[])],
        [("", "~/a.*", &[]), ("", "~/.*a", &[])],
    ];
    for pair in apart {
        assert_eq!(conflicts(&pair), [], "{pair:?}");
        let turned = [pair[1], pair[0]];
        assert_eq!(conflicts(&turned), [], "{turned:?}");
    }
}

#[test]
fn names_the_route_that_shadows_another() {
    let shadowing: [[Written<'_>; 2]; 12] = [
        [("", "/a/{x}", &[]), ("", "/a/*", &[])],
        [("", "/{x}/**", &[]), ("", "/*/b", &[])],
        [("", "/{x}/**", &[]), ("", "/*/b/**", &[])],
        [("", "/{x}/**", &[]), ("", "/*", &[])],
        [("", "/{x}/{y}", &[]), ("", "/*/b", &[])],
        [("", "/{x}/{y:[a-c]+}", &[]), ("", "GET /*/abc", &["header x"])],
        [("", "GET /{x}", &[]), ("", "HEAD /*", &[])],
        [("", "/**", &[]), ("", "GET ~/a.*", &["query q"])],
        [("h", "/{x}", &["header x"]), ("h", "/*", &["header x=1"])],
        [("", "/a", &["header x", "header x^=1"]), ("", "/a", &["header x=12"])],
        [("", "GET,PUT /a", &["query q~[0-9]", "query q"]), ("", "PUT /a", &["query q=1"])],
        [("a.h b.h", "/{x}", &[]), ("b.h", "/*", &[])],
    ];
    for pair in shadowing {
        assert_eq!(conflicts(&pair), [(1, 0, ConflictKind::Shadowed)], "{pair:?}");
        let turned = [pair[1], pair[0]];
        assert_eq!(conflicts(&turned), [(0, 1, ConflictKind::Shadowed)], "{turned:?}");
    }
}

#[test]
fn a_route_that_can_still_win_is_not_shadowed() {
    let pairs: [[Written<'_>; 2]; 11] = [
        [("", "GET /a", &["header x", "header x^=1"]), ("", "HEAD /a", &["header x=12"])],
        [("", "GET /{x}", &[]), ("", "/*", &[])],
        [("", "/{x}", &["header x=1"]), ("", "/*", &[])],
        [("", "/{x}", &["header x=1"]), ("", "/*", &["header x"])],
        [("a.h", "/{x}", &[]), ("a.h b.h", "/*", &[])],
        [("h", "/{x}", &[]), ("", "/*", &[])],
        [("", "/{x}", &[]), ("", "/*/", &[])],
        [("", "/{x}/b", &[]), ("", "/*/**", &[])],
        [("", "/{x}/{y:[a-c]+}", &[]), ("", "/*/{y:[a-b]+}", &[])],
        [("", "/{x}/{y:[a:]+}", &[]), ("", "/*/a:", &[])],
        [("", "GET /**", &[]), ("", "~/a.*", &[])],
    ];
    for pair in pairs {
        assert_eq!(conflicts(&pair), [], "{pair:?}");
    }
}

#[test]
fn every_conflict_is_told_at_once() {
    let rules: [Written<'_>; 5] =
        [("", "/a", &[]), ("", "/b/*", &[]), ("", "/a", &[]), ("", "/b/{x}", &[]), ("", "/c", &[])];
    assert_eq!(conflicts(&rules), [(1, 3, ConflictKind::Shadowed), (2, 0, ConflictKind::Tie)]);
}
