//! Which language a text is written in, by its script and its function words.
//!
//! The original asks langdetect, which compares letter triples with profiles of 55 languages and draws at random. For
//! whole answers scripts and the most frequent words decide as well; agreement is measured in the tests of this room.

/// Scripts that stand for one language of the data.
const SCRIPTS: [(&str, u32, u32); 13] = [
    ("bn", 0x0980, 0x09ff),
    ("pa", 0x0a00, 0x0a7f),
    ("gu", 0x0a80, 0x0aff),
    ("ta", 0x0b80, 0x0bff),
    ("te", 0x0c00, 0x0c7f),
    ("kn", 0x0c80, 0x0cff),
    ("ml", 0x0d00, 0x0d7f),
    ("th", 0x0e00, 0x0e7f),
    ("he", 0x0590, 0x05ff),
    ("el", 0x0370, 0x03ff),
    ("ko", 0x1100, 0x11ff),
    ("ko", 0xac00, 0xd7af),
    ("ja", 0x3040, 0x30ff),
];
/// Scripts that several languages share.
const CYRILLIC: (u32, u32) = (0x0400, 0x04ff);
const ARABIC: (u32, u32) = (0x0600, 0x06ff);
const DEVANAGARI: (u32, u32) = (0x0900, 0x097f);
const HAN: (u32, u32) = (0x4e00, 0x9fff);

/// Frequent words of languages, in lower case. Where a language's letters tell, they count like words.
const LATIN: [(&str, &str); 17] = [
    (
        "en",
        "the of and to in is that it for was on are with as i you be at this have from or by not but what all were we when \
         your can there an which their if will would about up out so my he she they has had do how our me more no a",
    ),
    (
        "es",
        "el la de que y en los se del las un por con no una su para es al lo como más o pero sus le ya este sí porque esta \
         entre cuando muy sin sobre también me hasta hay donde han quien están desde todo nos son está mi tu",
    ),
    (
        "pt",
        "o a de que e do da em um para é com não uma os no se na por mais as dos como mas foi ao ele das tem à seu sua ou ser \
         quando muito há nos já está eu também só pelo pela até isso ela entre era depois sem mesmo aos você são",
    ),
    (
        "fr",
        "le la les de des et à un une il elle en que qui dans du ce pour pas au sur se ne est par je plus avec tout nous vous \
         sont mais ou son sa ses leur cette être fait comme aux été même d'un c'est était",
    ),
    (
        "de",
        "der die und in den von zu das mit sich des auf für ist im dem nicht ein eine als auch es an werden aus er hat dass sie \
         nach wird bei einer um am sind noch wie einem über einen so zum war haben nur oder aber vor ich wir ihr kann",
    ),
    (
        "it",
        "il la di che e un a per in una non sono è si da lo con ma del della dei delle le i gli più come anche al alla nel nella \
         questo questa o se ha ho mi ti ci quando molto dove chi perché essere tutto",
    ),
    (
        "nl",
        "de het een en van in is dat op te zijn met voor niet aan er om ook als bij maar of door over ze uit naar dan nog wel \
         geen deze dit heeft hebben je wij wordt kan meer",
    ),
    (
        "pl",
        "i w nie na z do to że się o jak ale po co jest za od tak dla są czy przez ten być może tylko jego już było które \
         która który przy oraz ze może bardzo swoje tego",
    ),
    (
        "vi",
        "và của là có không được cho trong một những với các người này đã để khi như từ về ra tôi bạn nhưng đến lại cũng rất \
         nhiều hoặc nếu thì đó ở vào",
    ),
    (
        "sw",
        "na ya wa kwa ni katika la za cha kuwa hii yake hiyo kama lakini pia watu au vya sana hivyo huo mtu hayo moja yangu \
         yako wake wao sisi yetu kila baada kabla ambayo ambao wengi alikuwa",
    ),
    (
        "fi",
        "ja on ei se että hän oli joka mutta ovat kun niin tai myös kuin ole sen jos vain mitä minä sinä mukaan sekä tämä \
         voi olla joita jotka hyvin nyt ovat kanssa",
    ),
    (
        "sv",
        "och i att det som en på är av för med till den har de inte om ett han men var jag sig från vi så kan när eller ska \
         också efter vid mycket",
    ),
    (
        "id",
        "yang dan di untuk dengan dari ini pada tidak itu adalah dalam akan ke juga saya anda atau kami kita mereka bisa oleh \
         sudah ada seperti karena lebih telah sebagai",
    ),
    (
        "tr",
        "ve bir bu için ile da de çok olarak daha gibi ama ne var olan kadar her sonra en ben sen değil mi veya ise bunu \
         olduğu tarafından",
    ),
    (
        "ro",
        "și în de la cu pe un o nu este că mai din sunt pentru care să a fost sau dar ca prin după foarte acest această",
    ),
    (
        "tl",
        "ang ng sa na mga ay at ako ka ito para hindi siya namin kung may isang kanyang nito pero lang rin ko mo tayo",
    ),
    (
        "da",
        "og i at det er en til på som med af for den ikke de har et om var jeg han vi så men kan eller fra når også skal blev \
         efter være meget hvad",
    ),
];
const CYRILLIC_WORDS: [(&str, &str); 3] = [
    ("ru", "и в не на что с как это по но из у за от так же для мы вы он она они бы был была есть или если ы э ё"),
    ("bg", "и на да се в от за не с е са по ще че като но това до или към при много си ми те ние вие съм бъде"),
    ("uk", "і в не на що з як це та до але від у за для ми ви він вона вони бути був була є або якщо ї є ґ і"),
];
const ARABIC_WORDS: [(&str, &str); 3] = [
    ("ar", "في من على إلى أن هذا هذه التي الذي مع عن كان لا ما هو هي أو كل كما بعد قد و يا ة"),
    ("fa", "و در به از که این را با است برای آن یک خود تا کرد بر هم نیز شود می ما شما اگر پ چ ژ گ"),
    ("ur", "کے میں کی ہے اور سے کا کو اس پر نے کہ یہ ہیں بھی کر ایک تو ہے جو ہو ان ٹ ڈ ڑ ے ہ ں"),
];
const DEVANAGARI_WORDS: [(&str, &str); 3] = [
    ("hi", "के में है की और से का को यह पर कि एक हैं नहीं लिए ने भी हो इस था तो वह जो आप हम"),
    ("mr", "आहे आणि च्या ते हे या ही एक मध्ये आहेत होते नाही तो ती आपण म्हणून साठी काही करा आपल्या ळ"),
    ("ne", "छ र को मा लाई यो छन् पनि भने गर्न हो एक तपाईं हामी गर्नुहोस् लागि छैन त्यो थियो"),
];

/// The codes of all languages that can be told.
pub(super) fn known() -> impl Iterator<Item = &'static str> {
    let scripts = SCRIPTS.iter().map(|(code, ..)| *code);
    let words = [&LATIN[..], &CYRILLIC_WORDS, &ARABIC_WORDS, &DEVANAGARI_WORDS];
    let mut codes: Vec<&str> =
        scripts.chain(words.into_iter().flatten().map(|(code, _)| *code)).chain(["zh"]).collect();
    codes.sort_unstable();
    codes.dedup();
    codes.into_iter()
}

/// The language as an ISO 639-1 code; none where there is no letter. Latin letters without any frequent word, as in a
/// list of names, count as English; letters of other scripts without one as `und`, undetermined.
pub(super) fn detect(text: &str) -> Option<&'static str> {
    let letters = |range: (u32, u32)| {
        text.chars().filter(|letter| letter.is_alphabetic() && (range.0..=range.1).contains(&(*letter as u32))).count()
    };
    let all = text.chars().filter(|letter| letter.is_alphabetic()).count();
    let mut scripts: Vec<(&str, usize)> = Vec::new();
    for (name, first, last) in SCRIPTS {
        scripts.push((name, letters((first, last))));
    }
    // Japanese writes its nouns in Han.
    let kana = letters((0x3040, 0x30ff));
    let han = letters(HAN);
    scripts.push((if kana > 0 { "ja" } else { "zh" }, han + if kana > 0 { kana } else { 0 }));
    scripts.push(("cyrillic", letters(CYRILLIC)));
    scripts.push(("arabic", letters(ARABIC)));
    scripts.push(("devanagari", letters(DEVANAGARI)));
    let other: usize = letters((0, 0x024f)) + letters((0x1e00, 0x1eff));
    scripts.push(("latin", other));
    let (script, count) = scripts.into_iter().max_by_key(|(_, count)| *count)?;
    match (all, count, script) {
        (0, ..) => None,
        (_, 0, _) => Some("und"),
        (_, _, "latin") => Some(by_words(text, &LATIN, "en")),
        (_, _, "cyrillic") => Some(by_words(text, &CYRILLIC_WORDS, "und")),
        (_, _, "arabic") => Some(by_words(text, &ARABIC_WORDS, "und")),
        (_, _, "devanagari") => Some(by_words(text, &DEVANAGARI_WORDS, "und")),
        (_, _, script) => Some(script),
    }
}

/// The language whose words are met most often, the first of equals, or `otherwise` where none is met.
fn by_words(text: &str, languages: &[(&'static str, &str)], otherwise: &'static str) -> &'static str {
    let text = text.to_lowercase();
    let separates =
        |character: char| character.is_whitespace() || (character.is_ascii_punctuation() && character != '\'');
    let words: Vec<&str> = text.split(separates).filter(|word| !word.is_empty()).collect();
    let score = |known: &str| -> usize {
        let known: Vec<&str> = known.split_whitespace().collect();
        let met = words.iter().filter(|word| known.contains(word)).count();
        // One letter outside ASCII that is its language's own.
        let own = known.iter().filter(|word| word.chars().count() == 1 && !word.is_ascii());
        met + own.map(|letter| text.matches(letter).count()).sum::<usize>() / 2
    };
    let mut best = (otherwise, 0);
    for (language, known) in languages {
        let score = score(known);
        if score > best.1 {
            best = (language, score);
        }
    }
    best.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages_are_told_apart() {
        for (text, language) in [
            ("The house is on the hill, and it is old.", Some("en")),
            ("THE HOUSE IS ON THE HILL", Some("en")),
            ("Das Haus steht auf dem Hügel und ist alt.", Some("de")),
            ("La casa está en la colina y es muy vieja.", Some("es")),
            ("A casa está na colina e é muito velha, não é?", Some("pt")),
            ("La maison est sur la colline et elle est vieille.", Some("fr")),
            ("La casa è sulla collina ed è molto vecchia.", Some("it")),
            ("Nyumba iko juu ya kilima na ni ya zamani sana.", Some("sw")),
            ("Ngôi nhà ở trên đồi và rất cũ.", Some("vi")),
            ("Talo on mäellä ja se on hyvin vanha.", Some("fi")),
            ("Дом стоит на холме, и он очень старый.", Some("ru")),
            ("Къщата е на хълма и е много стара.", Some("bg")),
            ("Будинок стоїть на пагорбі, і він дуже старий.", Some("uk")),
            ("घर पहाड़ी पर है और बहुत पुराना है।", Some("hi")),
            ("घर डोंगरावर आहे आणि ते खूप जुने आहे.", Some("mr")),
            ("घर पहाडमा छ र धेरै पुरानो छ।", Some("ne")),
            ("البيت على التل وهو قديم جدا.", Some("ar")),
            ("خانه روی تپه است و خیلی قدیمی است.", Some("fa")),
            ("گھر پہاڑی پر ہے اور بہت پرانا ہے۔", Some("ur")),
            ("家は丘の上にあります。", Some("ja")),
            ("집은 언덕 위에 있습니다.", Some("ko")),
            ("123 !?", None),
        ] {
            assert_eq!(detect(text), language, "{text}");
        }
    }
}
