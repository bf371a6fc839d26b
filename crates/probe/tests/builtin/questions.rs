//! Which questions are asked, and for what.

use std::collections::HashSet;
use std::sync::Arc;

use neuro_probe::{Count, Probe, ProbeError, ProbeFile, ProbeRequest, Role, Scoring};

use crate::support::{many, probe, request};

#[test]
fn roles_share_no_question_and_hold_enough() {
    for name in ["eq", "reason", "recall", "follow", "sane", "text:likelihood"] {
        let of = |role: Role| -> HashSet<String> {
            let probe = Probe::build(name, &request(32, 5, role)).unwrap_or_else(|error| panic!("{name}: {error}"));
            probe.questions().iter().map(|question| question.plain.clone() + &question.key).collect()
        };
        let sets = Role::ALL.map(of);
        for (index, set) in sets.iter().enumerate() {
            assert_eq!(set.len(), 32, "{name}");
            assert!(sets[index + 1..].iter().all(|other| set.is_disjoint(other)), "{name}");
        }
    }
}

#[test]
fn more_than_a_role_holds_is_refused() {
    for (name, count, part) in [
        ("eq", 100, "was asked for 100 questions, but has "),
        ("recall", 356, "`all` asks every question there is"),
        ("sane", 160, "for this purpose"),
        ("follow", 5_000, "the topics suffice for no more"),
        ("reason@1", 100_001, "one run holds no more"),
        ("reason", 0, "at least 1"),
    ] {
        let error =
            Probe::build(name, &request(count, 0, Role::Confirm)).map(|probe| probe.id()).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
    let all = ProbeRequest { count: Count::All, ..ProbeRequest::default() };
    for name in ["reason", "follow"] {
        assert!(matches!(Probe::build(name, &all), Err(ProbeError::Unlimited { .. })));
    }
    let whole = Probe::build("eq", &all).unwrap();
    assert_eq!(whole.id(), "eq v2 count=all");
}

#[test]
fn more_questions_begin_with_the_same() {
    for name in ["eq", "reason", "recall", "follow", "sane", "text"] {
        let (few, more) = (probe(name, 9), probe(name, 30));
        assert_eq!(few.questions(), &more.questions()[..9], "{name}");
    }
}

#[test]
fn prompts_share_their_beginning_and_answers_are_short() {
    for name in ["eq", "reason", "recall", "follow", "sane"] {
        let probe = many(name);
        let first = &probe.questions()[0];
        for question in probe.questions() {
            assert_eq!(question.system, first.system, "{name}");
            let shared = question.plain.bytes().zip(first.plain.bytes()).take_while(|(a, b)| a == b).count();
            assert!(shared >= 36, "{name}: {}", question.plain);
            assert!(question.max_new_tokens <= 96 && question.plain.len() < 900, "{name}: {}", question.plain);
        }
    }
}

#[test]
fn depth_is_in_the_name() {
    let text = |name: &str| probe(name, 40).questions().iter().map(|question| question.user.len()).sum::<usize>();
    assert!(text("reason@1") < text("reason@3") && text("reason@3") < text("reason@8"));
    let probe = probe("reason@12:likelihood", 20);
    assert_eq!((probe.name(), probe.scoring()), ("reason@12:likelihood", Scoring::Likelihood));
    assert!(probe.questions().iter().all(|question| question.id.contains(" 12 ")));
    for wrong in ["reason@0", "reason@13", "reason@", "reason@x", "reasons", "sane:likelihood:likelihood"] {
        assert!(
            matches!(Probe::build(wrong, &ProbeRequest::default()), Err(ProbeError::UnknownProbe { .. })),
            "{wrong}"
        );
        assert!(!Probe::is_known(wrong), "{wrong}");
    }
    assert!(Probe::is_known("reason@4:likelihood") && Probe::is_known("eq"));
}

#[test]
fn what_makes_no_sense_says_why() {
    let error = Probe::build("sane:likelihood", &ProbeRequest::default()).unwrap_err().to_string();
    assert!(error.contains("ask `sane`, or `text:likelihood`"), "{error}");
    assert_eq!(probe("text", 4).name(), "text:likelihood");
    let file = ProbeFile::new("a.txt", &b"x"[..]);
    let with_file = |name: &str, content: &[u8]| {
        let file = ProbeFile { content: Arc::from(content), ..file.clone() };
        Probe::build(name, &ProbeRequest { file: Some(file), count: Count::All, ..ProbeRequest::default() })
    };
    let error = with_file("eq", b"").unwrap_err().to_string();
    assert!(error.contains("questions of its own, but a.txt"), "{error}");
    for (content, part) in [
        (&b""[..], "a.txt, line 1: found no text"),
        (b"word", "a.txt, line 1: found no text"),
        (b"one\ntwo \xff three", "a.txt, line 2: found bytes that are not UTF-8"),
    ] {
        let error = with_file("text", content).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
    let probe = with_file("text", "\u{feff}Once upon a time\n".as_bytes()).unwrap();
    assert_eq!((probe.questions().len(), probe.questions()[0].key.as_str()), (1, " upon a time"));
    assert!(probe.id().starts_with("text:likelihood v2 text=sha256:"), "{}", probe.id());
}
