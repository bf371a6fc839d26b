use super::grading::Grading;
use super::source::Part;
use crate::{Continuation, Grade, Question};

/// One question of a file.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    /// What is asked; its id is the question's key in the file.
    pub(crate) question: Question,
    /// Where it stands in the file, from 1.
    pub(crate) line: usize,
    /// As it stands there, JSON.
    pub(crate) document: String,
    pub(crate) grading: Grading,
    /// Bytes of the prompt before the question itself: worked examples.
    shown: usize,
}

/// What an answer is worth, beside the measures that the task's own harness reports.
#[derive(Debug, Clone, PartialEq)]
pub struct Graded {
    /// The score of this project, in [0, 1].
    pub grade: Grade,
    /// The measures of the harness; where there are several, the score rests on the last filter of the first metric.
    pub measures: Vec<Measure>,
}

/// One measure of one answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Measure {
    /// As the harness names it: `exact_match`.
    pub metric: &'static str,
    /// The filter before it: `strict-match`, `none`.
    pub filter: &'static str,
    /// Its values, one except for measures of single instructions; `true` is 1.
    pub values: Vec<f64>,
    /// What the filter made of the answer.
    pub filtered: String,
}

impl Item {
    /// A question that is asked in the same words with and without a chat template.
    pub(crate) fn new(id: String, group: &str, prompt: String, part: &Part<'_>, grading: Grading) -> Self {
        let key = grading.example();
        let question = Question {
            id,
            group: group.to_owned(),
            plain: prompt.clone(),
            user: prompt,
            key,
            reference: grading.reference(),
            max_new_tokens: 256,
            ..Question::default()
        };
        Self { question, line: part.line, document: part.raw.to_owned(), grading, shown: 0 }
    }

    /// Examples before the question.
    pub(crate) fn with_examples(mut self, examples: &str) -> Self {
        self.shown = examples.len();
        for prompt in [&mut self.question.user, &mut self.question.plain] {
            prompt.insert_str(0, examples);
        }
        self
    }

    /// Choices behind one prompt, scored by likelihood.
    pub(crate) fn with_choices(mut self, choices: &[String], gold: usize) -> Self {
        let choice = |(index, said): (usize, &String)| Continuation::choice(said, index == gold);
        self.question.continuations = vec![choices.iter().enumerate().map(choice).collect()];
        self
    }

    /// What is asked and what is right: questions that are alike in both are one, whatever examples stand before them, and in
    /// whatever words another kind of file asks them.
    pub(crate) fn identity(&self) -> String {
        match self.question.identity.as_str() {
            "" => format!("{}\0{}", self.asked(), self.question.key),
            identity => identity.to_owned(),
        }
    }

    /// The same question as that of another kind of file with these parts.
    pub(crate) fn identified_by(mut self, parts: &[&str]) -> Self {
        self.question.identity = parts.join("\0");
        self
    }

    /// The prompt without the examples before it.
    pub(crate) fn asked(&self) -> &str {
        &self.question.user[self.shown..]
    }

    pub(crate) fn grade(&self, answer: &str) -> Graded {
        self.grading.grade(&self.question, answer)
    }
}
