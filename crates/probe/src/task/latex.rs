//! Formulas compared as text, as Hendrycks' MATH does (`is_equiv` of lm_eval/tasks/hendrycks_math/utils.py): both are
//! brought into one spelling first. Where the original fails in the middle of that, both are compared as they stand.

/// What stands between the first and the last dollar sign, or everything.
pub(crate) fn answer(text: &str) -> &str {
    match (text.find('$'), text.rfind('$')) {
        (Some(first), Some(last)) if first < last => &text[first + 1..last],
        _ => text,
    }
}

/// What the last `\boxed{…}` or `\fbox{…}` holds.
pub(crate) fn boxed(text: &str) -> Option<&str> {
    if let Some((_, last)) = text.rsplit_once("\\boxed ") {
        return last.split('$').next();
    }
    let start = text.rfind("\\boxed").or_else(|| text.rfind("\\fbox"))?;
    let open = start + text[start..].find('{')?;
    let mut depth = 0;
    for (place, character) in text[open..].char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth == 1 => return Some(&text[open + 1..open + place]),
            '}' => depth -= 1,
            _ => {}
        }
    }
    None
}

/// Whether two formulas are spelt alike once both are in one spelling.
pub(crate) fn is_equivalent(one: &str, other: &str) -> bool {
    match (spelling(one), spelling(other)) {
        (Some(one), Some(other)) => one == other,
        _ => one == other,
    }
}

/// The one spelling; none where the original fails.
fn spelling(formula: &str) -> Option<String> {
    let mut text = formula.to_owned();
    for (found, replacement) in [
        ("\n", ""),
        ("\\!", ""),
        ("\\\\", "\\"),
        ("tfrac", "frac"),
        ("dfrac", "frac"),
        ("\\left", ""),
        ("\\right", ""),
        ("^{\\circ}", ""),
        ("^\\circ", ""),
        ("\\$", ""),
    ] {
        text = text.replace(found, replacement);
    }
    // A unit on the right.
    if text.contains("\\text{ ") {
        let mut parts = text.split("\\text{ ");
        let (first, second, third) = (parts.next()?, parts.next(), parts.next());
        if second.is_none() || third.is_some() {
            return None;
        }
        text = first.to_owned();
    }
    text = text.replace("\\%", "").replace(" .", " 0.").replace("{.", "{0.");
    if text.is_empty() {
        return Some(text);
    }
    if text.starts_with('.') {
        text.insert(0, '0');
    }
    // `k = ` in front.
    if text.matches('=').count() == 1
        && let Some((_, value)) = text.split_once('=').filter(|(name, _)| name.chars().count() <= 2)
    {
        text = value.to_owned();
    }
    let text = roots(&text)?.replace(' ', "");
    let text = fractions(&text)?;
    let text = if text == "0.5" { "\\frac{1}{2}".to_owned() } else { text };
    slash(text)
}

/// `\sqrt3` becomes `\sqrt{3}`.
fn roots(text: &str) -> Option<String> {
    let mut parts = text.split("\\sqrt");
    let mut spelt = parts.next()?.to_owned();
    for part in parts {
        let first = part.chars().next()?;
        spelt.push_str("\\sqrt");
        if first == '{' {
            spelt.push_str(part);
        } else {
            spelt.push_str(&format!("{{{first}}}{}", &part[first.len_utf8()..]));
        }
    }
    Some(spelt)
}

/// `\frac12` and `\frac1{2}` become `\frac{1}{2}`.
fn fractions(text: &str) -> Option<String> {
    let mut parts = text.split("\\frac");
    let mut spelt = parts.next()?.to_owned();
    for part in parts {
        spelt.push_str("\\frac");
        let mut characters = part.chars();
        let upper = characters.next()?;
        if upper == '{' {
            spelt.push_str(part);
            continue;
        }
        let Some(lower) = characters.next() else { return Some(text.to_owned()) };
        let rest = characters.as_str();
        let lower = if lower == '{' { lower.to_string() } else { format!("{{{lower}}}") };
        spelt.push_str(&format!("{{{upper}}}{lower}{rest}"));
    }
    Some(spelt)
}

/// `3/4` becomes `\frac{3}{4}`. Of one slash between other things the original makes a failure.
fn slash(text: String) -> Option<String> {
    if text.matches('/').count() != 1 {
        return Some(text);
    }
    let (upper, lower) = text.split_once('/')?;
    let whole = |number: &str| {
        let digits = number.strip_prefix(['-', '+']).unwrap_or(number);
        !digits.is_empty() && digits.chars().all(|digit| digit.is_ascii_digit())
    };
    let canonical = |number: &str| {
        let digits = number.strip_prefix('-').unwrap_or(number);
        whole(number) && !number.starts_with('+') && (digits == "0" || !digits.starts_with('0')) && number != "-0"
    };
    match (whole(upper) && whole(lower), canonical(upper) && canonical(lower)) {
        (false, _) => None,
        (_, true) => Some(format!("\\frac{{{upper}}}{{{lower}}}")),
        _ => Some(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_formula_are_alike() {
        for (one, other) in [
            ("\\frac12", "\\dfrac{1}{2}"),
            ("1/2", "\\frac{1}{2}"),
            ("0.5", "\\tfrac{1}{2}"),
            (".5", "0.5"),
            ("x = 5", "5"),
            ("\\sqrt3", "\\sqrt{3}"),
            ("\\left( 3, \\frac{\\pi}{2} \\right)", "(3,\\frac{\\pi}{2})"),
            ("90^\\circ", "90"),
            ("5\\text{ cm}", "5"),
            ("10\\%", "10"),
            ("a/b", "a/b"),
        ] {
            assert!(is_equivalent(one, other), "{one} and {other}");
        }
        for (one, other) in [("1/3", "\\frac{1}{2}"), ("a/b", "\\frac{a}{b}"), ("5", "6"), ("\\sqrt", "\\sqrt{}")] {
            assert!(!is_equivalent(one, other), "{one} and {other}");
        }
    }

    #[test]
    fn answers_stand_between_dollars_or_in_a_box() {
        assert_eq!(answer("so $x$ is $5$."), "x$ is $5");
        assert_eq!(answer("5$"), "5$");
        assert_eq!(boxed("\\boxed{1} and \\boxed{\\frac{1}{2}}."), Some("\\frac{1}{2}"));
        assert_eq!(boxed("$\\boxed 7$"), Some("7"));
        assert_eq!(boxed("\\boxed{1"), None);
    }
}
