//! Facts: what a model knows, and a guard against paths that forget.
//!
//! The facts were written out for this project, in three groups by how popular they are: 1 everyone has met it, 2 general
//! knowledge, 3 seldom asked. An answer is right when the first thing that it names, of all answers of its relation, is
//! this fact's, under any of its names; so a list of all capitals is worth what its first one is. By likelihood the answer
//! competes with three others of its relation, drawn from the fact itself: who knows nothing scores a quarter.

use std::sync::Arc;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};

use crate::draw::draw;
use crate::dress::{named, spoken, without_echo, words};
use crate::{
    Continuation, Frame, Grade, Likelihood, Probe, ProbeError, ProbeParts, ProbeRequest, Question, Scorer, Scoring,
};

/// Of the facts, the wording and the drawing.
const VERSION: u32 = 1;
/// Relations as `# question with a {}`, below each its facts: popularity, subject, answer and its other names, parted by
/// ` | `.
const FACTS: &str = include_str!("facts.txt");
const MAX_NEW_TOKENS: usize = 16;
/// Wrong answers that the right one competes with.
const RIVALS: usize = 3;

const SYSTEM: &str = "You know many facts. You answer every question with the name alone, without any explanation.";
const PLAIN: &str = "Each question is answered with the name alone.";

/// Facts of one relation.
struct Relation<'a> {
    template: &'a str,
    facts: Vec<Fact<'a>>,
}

/// Something that is known.
struct Fact<'a> {
    popularity: &'a str,
    subject: &'a str,
    /// The key, and what else it is called.
    names: Vec<&'a str>,
}

/// Builds `recall` or `recall:likelihood`.
pub(crate) fn build(name: &str, scoring: Scoring, request: &ProbeRequest) -> Result<Probe, ProbeError> {
    let all: Vec<Question> = relations().iter().flat_map(Relation::questions).collect();
    let (questions, drawing) = draw(name, all, |question| &question.id, request)?;
    Probe::from_parts(ProbeParts {
        name: name.to_owned(),
        parameters: format!("v{VERSION} {drawing}"),
        scoring,
        likelihood: Likelihood::Choice,
        scorer: Arc::new(Recalled),
        frame: Frame::one_line(),
        questions,
    })
}

fn relations() -> Vec<Relation<'static>> {
    let mut relations: Vec<Relation<'static>> = Vec::new();
    for line in FACTS.lines().filter(|line| !line.is_empty()) {
        if let Some(template) = line.strip_prefix("# ") {
            relations.push(Relation { template, facts: Vec::new() });
            continue;
        }
        let mut fields = line.split(" | ");
        if let (Some(relation), Some(popularity), Some(subject)) = (relations.last_mut(), fields.next(), fields.next())
        {
            relation.facts.push(Fact { popularity, subject, names: fields.collect() });
        }
    }
    relations
}

impl Relation<'_> {
    fn questions(&self) -> Vec<Question> {
        self.facts.iter().map(|fact| self.question(fact)).collect()
    }

    fn question(&self, fact: &Fact<'_>) -> Question {
        let user = self.template.replace("{}", fact.subject);
        let key = fact.names.first().copied().unwrap_or_default();
        // A subject may share its answer with others: several books of one author.
        let (mut rivals, mut others): (Vec<&str>, Vec<&str>) = (Vec::new(), Vec::new());
        for other in self.facts.iter().filter(|other| other.names.first() != fact.names.first()) {
            rivals.extend(other.names.first().filter(|name| !rivals.contains(name)));
            others.extend(&other.names);
        }
        let mut seed = [0; 32];
        seed.copy_from_slice(&Sha256::digest(&user));
        let mut rng = ChaCha8Rng::from_seed(seed);
        let mut choices = rivals;
        choices.shuffle(&mut rng);
        choices.truncate(RIVALS);
        choices.push(key);
        choices.shuffle(&mut rng);
        Question {
            id: user.clone(),
            group: format!("popularity {}", fact.popularity),
            system: Some(SYSTEM.to_owned()),
            plain: format!("{PLAIN}\n\nQuestion: {user}\nAnswer:"),
            user,
            key: key.to_owned(),
            reference: format!("{}\n{}", fact.names.join(" | "), others.join(" | ")),
            continuations: vec![choices.iter().map(|choice| Continuation::choice(*choice, *choice == key)).collect()],
            max_new_tokens: MAX_NEW_TOKENS,
            ..Question::default()
        }
    }
}

/// Whether the first known name in the answer is the fact's. The reference: its names, and in another line those of others.
#[derive(Debug)]
struct Recalled;

impl Scorer for Recalled {
    fn id(&self) -> String {
        "recall.v1".to_owned()
    }

    fn grade(&self, question: &Question, answer: &str) -> Grade {
        let Some(said) = spoken(answer) else { return Grade::failure() };
        let said = folded(&without_echo(&question.user, said));
        let Some(first) = said.lines().map(|line| words(line).join(" ")).find(|line| !line.is_empty()) else {
            return Grade::failure();
        };
        let (own, others) = question.reference.split_once('\n').unwrap_or((&question.reference, ""));
        let own: Vec<String> = own.split(" | ").map(folded).collect();
        let names: Vec<String> = own.iter().cloned().chain(others.split(" | ").map(folded)).collect();
        match named(&said, &names) {
            Some(index) => Grade::right(index < own.len(), names[index].clone()),
            None => Grade::right(false, first.chars().take(80).collect::<String>()),
        }
    }
}

/// Without the accents of Latin letters, so that `São Paulo` and `Sao Paulo` are one name.
fn folded(text: &str) -> String {
    const ACCENTS: [(&str, char); 9] = [
        ("áàâäãåā", 'a'),
        ("éèêëěē", 'e'),
        ("íìîïī", 'i'),
        ("óòôöõøō", 'o'),
        ("úùûüů", 'u'),
        ("çčć", 'c'),
        ("ñň", 'n'),
        ("šśş", 's'),
        ("ýÿ", 'y'),
    ];
    let fold = |c: char| ACCENTS.iter().find(|(accented, _)| accented.contains(c)).map_or(c, |(_, plain)| *plain);
    text.to_lowercase().chars().map(fold).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashSet};

    use super::*;

    #[test]
    fn the_facts_are_what_the_module_says() {
        let relations = relations();
        let mut popularity = BTreeMap::new();
        let mut questions = HashSet::new();
        for relation in &relations {
            assert_eq!(relation.template.matches("{}").count(), 1, "{}", relation.template);
            let answers: HashSet<&str> = relation.facts.iter().map(|fact| fact.names[0]).collect();
            assert!(answers.len() > RIVALS, "{}", relation.template);
            for fact in &relation.facts {
                assert!(["1", "2", "3"].contains(&fact.popularity), "{}", fact.subject);
                *popularity.entry(fact.popularity).or_insert(0) += 1;
                assert!(questions.insert(relation.template.replace("{}", fact.subject)), "{} twice", fact.subject);
                // The question may not name the answer, nor another one's name be this one's.
                let question = folded(&relation.template.replace("{}", fact.subject));
                for name in &fact.names {
                    assert!(
                        !name.trim().is_empty() && named(&question, &[folded(name)]).is_none(),
                        "{question} {name}"
                    );
                }
            }
        }
        assert!(questions.len() >= 300, "{}", questions.len());
        assert!(popularity.len() == 3 && popularity.values().all(|count| *count >= 60), "{popularity:?}");
    }

    #[test]
    fn a_fact_has_many_spellings() {
        let relation = Relation {
            template: "Who painted {}?",
            facts: vec![
                Fact { popularity: "1", subject: "A", names: vec!["Paul Gauguin", "Gauguin"] },
                Fact { popularity: "1", subject: "B", names: vec!["Paul Cézanne", "Cézanne"] },
            ],
        };
        let question = &relation.questions()[1];
        let score = |answer: &str| Recalled.grade(question, answer).score;
        for right in ["Paul Cézanne", "cezanne", "**Paul Cezanne**.", "Sure! It was Cézanne", "Who painted B?\nCÉZANNE"]
        {
            assert_eq!(score(right), 1.0, "{right}");
        }
        for wrong in ["Paul Gauguin", "Gauguin, Cézanne", "Paul", "nobody knows", "Cézannes"] {
            assert_eq!(score(wrong), 0.0, "{wrong}");
        }
        assert!(Recalled.grade(question, " ...").parse_failure);
    }
}
