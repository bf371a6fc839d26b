//! The phantom's language: 32 concepts, each with one word in each of three scripts.

use super::{CONCEPTS, SCRIPTS};

/// Names of the scripts, as a question asks for them.
pub(super) const SCRIPT_NAMES: [&str; SCRIPTS] = ["latin", "greek", "cyrillic"];

/// Hop counts, as a question asks for them.
pub(super) const HOP_COUNTS: [&str; super::HOPS] = ["1", "2", "3", "4"];

/// Ends a question.
pub(super) const EQUALS: &str = "=";

/// Stands for any word outside the vocabulary, and for the end of a text; no question holds them.
pub(super) const SPECIALS: [&str; 2] = ["<unk>", "<eos>"];

/// One row per concept. Letters are precomposed (Unicode NFC), words hold no white space, and no word stands twice.
pub(super) const WORDS: [[&str; SCRIPTS]; CONCEPTS] = [
    ["sol", "ήλιος", "солнце"],
    ["luna", "φεγγάρι", "луна"],
    ["stella", "αστέρι", "звезда"],
    ["caelum", "ουρανός", "небо"],
    ["nubes", "σύννεφο", "облако"],
    ["pluvia", "βροχή", "дождь"],
    ["nix", "χιόνι", "снег"],
    ["ventus", "άνεμος", "ветер"],
    ["ignis", "φωτιά", "огонь"],
    ["aqua", "νερό", "вода"],
    ["terra", "γη", "земля"],
    ["lapis", "πέτρα", "камень"],
    ["mare", "θάλασσα", "море"],
    ["flumen", "ποτάμι", "река"],
    ["mons", "βουνό", "гора"],
    ["silva", "δάσος", "лес"],
    ["arbor", "δέντρο", "дерево"],
    ["folium", "φύλλο", "лист"],
    ["flos", "λουλούδι", "цветок"],
    ["malum", "μήλο", "яблоко"],
    ["panis", "ψωμί", "хлеб"],
    ["sal", "αλάτι", "соль"],
    ["mel", "μέλι", "мёд"],
    ["avis", "πουλί", "птица"],
    ["piscis", "ψάρι", "рыба"],
    ["equus", "άλογο", "лошадь"],
    ["canis", "σκύλος", "собака"],
    ["lupus", "λύκος", "волк"],
    ["domus", "σπίτι", "дом"],
    ["ianua", "πόρτα", "дверь"],
    ["via", "δρόμος", "дорога"],
    ["navis", "πλοίο", "корабль"],
];
