//! The 25 kinds of verifiable instruction of IFEval (Zhou et al., 2023), strictly and loosely.
//!
//! Source of the rules: instructions.py and evaluation_lib.py of google-research/instruction_following_eval, and the copy in
//! lm-evaluation-harness (`ifeval`, version 4.0). Three rules of the original rest on other packages: counting sentences on
//! NLTK's trained Punkt, counting capitalised words on its tokenizer, and naming languages on langdetect, which draws at
//! random. [`sentences`], [`words`] and [`language`] do the same with what is written there; where an instruction lacks an
//! argument the original draws one at random, and here the file is refused.

mod arguments;
mod language;
mod rules;
mod sentences;
mod words;

use serde_json::Value;

use arguments::Arguments;
use rules::{Case, Relation, Rule};

/// One instruction with its arguments.
#[derive(Debug, Clone)]
pub(crate) struct Instruction {
    rule: Rule,
}

/// Which instructions of a prompt an answer follows, in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Followed {
    /// The answer as it stands.
    pub(crate) strict: Vec<bool>,
    /// Or without its first line, its last line, or asterisks: what politeness and markup would cost.
    pub(crate) loose: Vec<bool>,
}

impl Instruction {
    /// Reads an instruction from its id, such as `punctuation:no_comma`, and its arguments; null ones count as missing.
    ///
    /// # Errors
    /// Says which id is unknown, or which argument is missing or of the wrong kind.
    pub(crate) fn read(id: &str, arguments: &Value) -> Result<Self, String> {
        let arguments = Arguments { id, values: arguments };
        let relation = |name| arguments.text(name).and_then(|relation| Relation::read(id, name, relation));
        let rule = match id {
            "keywords:existence" => Rule::Keywords(arguments.patterns("keywords")?),
            "keywords:frequency" => Rule::KeywordFrequency {
                keyword: arguments.pattern("keyword")?,
                relation: relation("relation")?,
                frequency: arguments.count("frequency")?,
            },
            "keywords:forbidden_words" => Rule::ForbiddenWords(arguments.words("forbidden_words")?),
            "keywords:letter_frequency" => Rule::LetterFrequency {
                letter: arguments.letter("letter")?,
                relation: relation("let_relation")?,
                frequency: arguments.count("let_frequency")?,
            },
            "language:response_language" => Rule::Language(arguments.language("language")?),
            "length_constraints:number_sentences" => {
                Rule::Sentences(relation("relation")?, arguments.count("num_sentences")?)
            }
            "length_constraints:number_paragraphs" => Rule::Paragraphs(arguments.count("num_paragraphs")?),
            "length_constraints:number_words" => Rule::Words(relation("relation")?, arguments.count("num_words")?),
            "length_constraints:nth_paragraph_first_word" => Rule::ParagraphStart {
                paragraphs: arguments.count("num_paragraphs")?,
                nth: arguments.count("nth_paragraph")?,
                word: arguments.text("first_word")?.to_lowercase(),
            },
            "detectable_content:number_placeholders" => Rule::Placeholders(arguments.count("num_placeholders")?),
            "detectable_content:postscript" => Rule::Postscript(arguments.text("postscript_marker")?.trim().to_owned()),
            "detectable_format:number_bullet_lists" => Rule::Bullets(arguments.count("num_bullets")?),
            "detectable_format:constrained_response" => Rule::ConstrainedResponse,
            "detectable_format:number_highlighted_sections" => Rule::Highlights(arguments.count("num_highlights")?),
            "detectable_format:multiple_sections" => Rule::Sections {
                splitter: arguments.pattern("section_spliter")?,
                sections: arguments.count("num_sections")?,
            },
            "detectable_format:json_format" => Rule::Json,
            "detectable_format:title" => Rule::Title,
            "combination:two_responses" => Rule::TwoResponses,
            "combination:repeat_prompt" => Rule::RepeatPrompt(arguments.text("prompt_to_repeat")?.to_owned()),
            "startend:end_checker" => Rule::End(arguments.text("end_phrase")?.to_owned()),
            "startend:quotation" => Rule::Quotation,
            "change_case:capital_word_frequency" => {
                Rule::CapitalWords(relation("capital_relation")?, arguments.count("capital_frequency")?)
            }
            "change_case:english_capital" => Rule::English(Case::Upper),
            "change_case:english_lowercase" => Rule::English(Case::Lower),
            "punctuation:no_comma" => Rule::NoComma,
            _ => return Err(format!("there is no instruction `{id}`; the 25 kinds are those of IFEval")),
        };
        Ok(Self { rule })
    }

    /// Whether the text follows it; an empty text follows nothing.
    fn is_followed(&self, text: &str) -> bool {
        !text.trim().is_empty() && self.rule.holds(text)
    }
}

/// Checks an answer against the instructions of its prompt.
pub(crate) fn follow(instructions: &[Instruction], answer: &str) -> Followed {
    let lines: Vec<&str> = answer.split('\n').collect();
    let part = |from: usize, to: usize| lines.get(from..to).unwrap_or_default().join("\n").trim().to_owned();
    let parts = [answer.to_owned(), part(1, lines.len()), part(0, lines.len() - 1), part(1, lines.len() - 1)];
    let loosened: Vec<String> = parts.iter().cloned().chain(parts.iter().map(|part| part.replace('*', ""))).collect();
    Followed {
        strict: instructions.iter().map(|instruction| instruction.is_followed(answer)).collect(),
        loose: instructions.iter().map(|one| loosened.iter().any(|text| one.is_followed(text))).collect(),
    }
}

#[cfg(test)]
mod tests;
