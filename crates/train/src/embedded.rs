//! The phantoms that travel inside the program, so that an installed `neuro scan` works anywhere.

/// A phantom's files, by name.
#[derive(Debug, Clone, Copy)]
pub struct EmbeddedPhantom {
    /// The name by which a user asks for it.
    pub name: &'static str,
    /// File names and contents of its checkpoint folder.
    pub files: &'static [(&'static str, &'static [u8])],
}

macro_rules! phantom_folder {
    ($folder:literal: $($file:literal),+ $(,)?) => {
        &[$(($file, include_bytes!(concat!("../../../phantoms/", $folder, "/", $file)))),+]
    };
}

macro_rules! phantom {
    ($name:literal) => {
        EmbeddedPhantom {
            name: $name,
            files: phantom_folder!(
                $name: "config.json", "generation_config.json", "model.safetensors", "phantom.json", "recipe.toml",
                "tokenizer.json", "tokenizer_config.json",
            ),
        }
    };
}

/// The looped phantom, and the plain one in which nothing is planted.
pub const EMBEDDED: [EmbeddedPhantom; 2] = [phantom!("phantom"), phantom!("phantom-plain")];

/// The embedded phantom of that name.
pub fn embedded(name: &str) -> Option<&'static EmbeddedPhantom> {
    EMBEDDED.iter().find(|phantom| phantom.name == name)
}
