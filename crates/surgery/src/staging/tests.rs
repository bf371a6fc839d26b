//! Exports that are killed, repeated and run into one another.

use super::lock::is_same_by_time;
use super::lock::still_names;
use super::*;

/// As a kill does: nothing is dropped, but the lock dies with its process.
fn kill(staging: Staging) {
    let mut staging = std::mem::ManuallyDrop::new(staging);
    staging.lock = None;
}

/// Writes a weight file up to its last byte, or whole.
fn write(staging: &Staging, name: &str, is_whole: bool) {
    fs::write(staging.unfinished(name).unwrap(), "weights").unwrap();
    if is_whole {
        staging.is_whole(name).unwrap();
    }
}

#[test]
fn a_kill_leaves_nothing_that_passes_for_whole_and_the_same_export_goes_on() {
    let place = tempfile::tempdir().unwrap();
    let out = place.path().join("export");
    let staging = Staging::folder(&out, "plan").unwrap();
    write(&staging, "model-1.safetensors", true);
    write(&staging, "model-2.safetensors", false);
    fs::write(staging.path().join("config.json"), "{}").unwrap();
    kill(staging);
    assert!(!out.exists());

    let again = Staging::folder(&out, "plan").unwrap();
    assert_eq!(names(again.path()), [PLAN_FILE, "model-1.safetensors"], "only what is whole is left");
    assert_eq!(again.unfinished("model-1.safetensors"), None);
    write(&again, "model-2.safetensors", true);
    again.finish().unwrap();
    assert_eq!(names(place.path()), ["export"]);
    assert_eq!(names(&out), ["model-1.safetensors", "model-2.safetensors"]);
}

#[test]
fn another_export_begins_anew() {
    let place = tempfile::tempdir().unwrap();
    let out = place.path().join("export");
    let staging = Staging::folder(&out, "plan").unwrap();
    write(&staging, "model.safetensors", true);
    kill(staging);
    let other = Staging::folder(&out, "another plan").unwrap();
    assert_eq!(names(other.path()), [PLAN_FILE]);
    drop(other);
    assert!(names(place.path()).is_empty());
    let out = place.path().join("export.gguf");
    let staging = Staging::file(&out).unwrap();
    fs::write(staging.path(), "half").unwrap();
    kill(staging);
    let again = Staging::file(&out).unwrap();
    assert!(!again.path().exists());
}

#[test]
fn a_second_export_to_the_same_place_waits() {
    let place = tempfile::tempdir().unwrap();
    let out = place.path().join("export");
    let first = Staging::folder(&out, "plan").unwrap();
    assert!(Staging::folder(&out, "plan").unwrap_err().to_string().contains("another export"));
    drop(first);
    assert!(names(place.path()).is_empty());
    Staging::folder(&out, "plan").unwrap();
}

#[test]
fn what_is_there_is_never_replaced() {
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join("file.gguf"), "x").unwrap();
    assert!(Staging::file(&place.path().join("file.gguf")).is_err());
    assert!(Staging::folder(place.path(), "plan").is_err());
    assert!(Staging::folder(&place.path().join("no/such"), "plan").is_err());
    let empty = place.path().join("empty");
    fs::create_dir(&empty).unwrap();
    Staging::folder(&empty, "plan").unwrap().finish().unwrap();
    assert_eq!(names(place.path()), ["empty", "file.gguf"]);
}

#[test]
fn a_file_that_appears_meanwhile_is_kept() {
    let place = tempfile::tempdir().unwrap();
    let out = place.path().join("export.gguf");
    let staging = Staging::file(&out).unwrap();
    fs::write(staging.path(), "export").unwrap();
    fs::write(&out, "mine").unwrap();
    let error = staging.finish().unwrap_err().to_string();
    assert!(error.contains("has appeared while the export was being written, and stays"), "{error}");
    assert_eq!(fs::read_to_string(&out).unwrap(), "mine");
    assert_eq!(names(place.path()), ["export.gguf"]);

    fs::remove_file(&out).unwrap();
    let staging = Staging::file(&out).unwrap();
    fs::write(staging.path(), "export").unwrap();
    staging.finish().unwrap();
    assert_eq!(fs::read_to_string(&out).unwrap(), "export");
    assert_eq!(names(place.path()), ["export.gguf"]);
}

#[test]
fn a_kill_between_its_two_names_leaves_a_file_of_one() {
    let place = tempfile::tempdir().unwrap();
    let out = place.path().join("export.gguf");
    let staging = Staging::file(&out).unwrap();
    fs::write(staging.path(), "export").unwrap();
    fs::hard_link(staging.path(), &out).unwrap();
    kill(staging);
    assert!(names(place.path()).len() > 1);
    assert!(Staging::file(&out).unwrap_err().to_string().contains("exists already"));
    assert_eq!(names(place.path()), ["export.gguf"]);
    assert_eq!(fs::read_to_string(&out).unwrap(), "export");
}

#[test]
fn a_folder_that_fills_meanwhile_is_kept() {
    let place = tempfile::tempdir().unwrap();
    let out = place.path().join("export");
    let staging = Staging::folder(&out, "plan").unwrap();
    fs::create_dir(&out).unwrap();
    fs::write(out.join("mine"), "mine").unwrap();
    staging.finish().unwrap_err();
    assert_eq!(names(&out), ["mine"]);
}

#[cfg(unix)]
#[test]
fn links_are_refused_at_once_and_called_so() {
    use std::os::unix::fs::symlink;
    let place = tempfile::tempdir().unwrap();
    let (folder, link, lost) = (place.path().join("folder"), place.path().join("link"), place.path().join("lost.gguf"));
    fs::create_dir(&folder).unwrap();
    symlink(&folder, &link).unwrap();
    symlink("no/such", &lost).unwrap();
    for named in [link.clone(), link.join("")] {
        let error = Staging::folder(&named, "plan").unwrap_err().to_string();
        assert!(error.ends_with("is a link; name the folder itself"), "{error}");
    }
    let error = Staging::folder(&lost, "plan").unwrap_err().to_string();
    assert!(error.ends_with("is a link to no/such, which is not there; name a new folder"), "{error}");
    assert!(Staging::file(&lost).unwrap_err().to_string().contains("is a link to no/such"));
    let file = folder.join("file");
    fs::write(&file, "x").unwrap();
    assert!(Staging::folder(&file, "plan").unwrap_err().to_string().contains("is a file"));
}

#[cfg(unix)]
#[test]
fn a_lock_counts_only_while_it_has_its_name() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("lock");
    let first = File::create(&path).unwrap();
    assert!(still_names(&path, &first).unwrap());
    fs::remove_file(&path).unwrap();
    assert!(!still_names(&path, &first).unwrap());
    let second = File::create(&path).unwrap();
    assert!(!still_names(&path, &first).unwrap() && still_names(&path, &second).unwrap());
    // As it is told on systems without such numbers.
    assert!(!is_same_by_time(&path, &first).unwrap() && is_same_by_time(&path, &second).unwrap());
    fs::remove_file(&path).unwrap();
    assert_eq!(is_same_by_time(&path, &second).unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn a_bad_file_has_its_mark_and_no_other_has_one() {
    let place = tempfile::tempdir().unwrap();
    let out = place.path().join("export.gguf");
    let comparison = Comparison {
        largest: 1.0,
        scale: 1.0,
        same_best: 0,
        positions: 1,
        is_text: false,
        limit: 0.1,
        as_llama_cpp: false,
    };
    let staging = Staging::file(&out).unwrap();
    fs::write(staging.path(), "bad").unwrap();
    staging.finish_marked(&comparison).unwrap();
    assert_eq!(names(place.path()), ["export.gguf", "export.gguf.VERIFICATION-FAILED.txt"]);
    let mark = fs::read_to_string(mark_beside(&out)).unwrap();
    assert!(mark.contains("DOES NOT COMPUTE"), "{mark}");

    // The user removed the file alone, or a kill came before it had its name.
    fs::remove_file(&out).unwrap();
    let staging = Staging::file(&out).unwrap();
    fs::write(staging.path(), "good").unwrap();
    staging.finish().unwrap();
    assert_eq!(names(place.path()), ["export.gguf"]);

    // Somebody else's file is not marked.
    fs::remove_file(&out).unwrap();
    let staging = Staging::file(&out).unwrap();
    fs::write(staging.path(), "bad").unwrap();
    fs::write(&out, "mine").unwrap();
    staging.finish_marked(&comparison).unwrap_err();
    assert_eq!(names(place.path()), ["export.gguf"]);
    assert_eq!(fs::read_to_string(&out).unwrap(), "mine");
}

#[test]
fn no_two_exports_ever_write_to_one_place() {
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
    let place = tempfile::tempdir().unwrap();
    let out = place.path().join("export.gguf");
    let (busy, taken) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..500 {
                    let Ok(staging) = Staging::file(&out) else { continue };
                    assert!(!busy.swap(true, Ordering::SeqCst), "two at once");
                    taken.fetch_add(1, Ordering::SeqCst);
                    std::thread::yield_now();
                    busy.store(false, Ordering::SeqCst);
                    drop(staging);
                }
            });
        }
    });
    assert!(taken.into_inner() > 0);
    assert!(names(place.path()).is_empty());
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        folder.read_dir().unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
