//! Files that may not be read: links, files that are not regular, and directories of others.

use super::*;

#[test]
fn links_are_refused() {
    let place = Place::new();
    let secret = place.dir.path().join("secret");
    fs::write(&secret, "ERROR root's\n").unwrap();
    symlink(&secret, &place.log).unwrap();
    let refused = place.follow().err().unwrap();
    assert!(refused.contains("is a symbolic link"), "{refused}");
    fs::remove_file(&place.log).unwrap();
    fs::hard_link(&secret, &place.log).unwrap();
    let refused = place.follow().err().unwrap();
    assert!(refused.contains("hard links"), "{refused}");
    fs::remove_file(&place.log).unwrap();
    fs::create_dir(place.dir.path().join("logs/real")).unwrap();
    let real = place.dir.path().join("logs/real/app.log");
    append(&real, "ERROR before\n");
    symlink(&real, &place.log).unwrap();
    let refused = place.follow().err().unwrap();
    assert!(refused.contains("name the file that it leads to"), "{refused}");
    fs::remove_file(&place.log).unwrap();
    place.write("ERROR before\n");
    let mut follower = place.follow().unwrap();
    // Another user who may write to the directory replaces the file by a link while it is read.
    fs::remove_file(&place.log).unwrap();
    symlink(&secret, &place.log).unwrap();
    append(&secret, "ERROR of somebody else\n");
    let bin = bin(&mut follower);
    assert_eq!(bin.matched, 0);
    assert!(bin.absent.unwrap().contains("is a symbolic link"));
}

#[test]
fn only_regular_files_are_read() {
    let place = Place::new();
    nix::unistd::mkfifo(&place.log, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let refused = place.follow().err().unwrap();
    assert!(refused.contains("not a regular file"), "{refused}");
    fs::remove_file(&place.log).unwrap();
    fs::create_dir(&place.log).unwrap();
    let refused = place.follow().err().unwrap();
    assert!(refused.contains("not a regular file"), "{refused}");
}

#[test]
fn a_file_that_was_refused_before_is_as_old_as_its_birth() {
    let place = Place::new();
    let mut follower = place.follow().unwrap();
    place.write("ERROR 1\n");
    let link = place.dir.path().join("link");
    fs::hard_link(&place.log, &link).unwrap();
    let refused = bin(&mut follower);
    assert!(refused.absent.unwrap().contains("hard links"));
    let looked = boot_us();
    fs::remove_file(&link).unwrap();
    let found = bin(&mut follower);
    assert!(found.matched == 1 && found.first_boot_us.unwrap() < looked, "{found:?}");
}

#[test]
fn another_directory_at_the_listed_path_is_refused() {
    let place = Place::new();
    place.write("ERROR before\n");
    let mut follower = place.follow().unwrap();
    fs::rename(place.dir.path().join("logs"), place.dir.path().join("moved")).unwrap();
    fs::create_dir(place.dir.path().join("logs")).unwrap();
    place.write("ERROR of somebody else\n");
    let found = bin(&mut follower);
    assert_eq!(found.matched, 0);
    assert!(found.absent.unwrap().contains("became another directory"));
}

#[test]
fn files_and_links_of_other_users_are_refused() {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("skipped: only root can give files away");
        return;
    }
    let place = Place::new();
    place.write("ERROR before\n");
    chown(place.other(""), Some(12345), None).unwrap();
    let refused = place.follow().err().unwrap();
    assert!(refused.contains("in a directory of user 12345"), "{refused}");
    chown(&place.log, Some(12345), None).unwrap();
    assert!(place.follow().is_ok());
    // A user who may write to the parent directory could put a link to another directory there.
    fs::rename(place.other(""), place.dir.path().join("moved")).unwrap();
    let link = place.dir.path().join("logs");
    symlink(place.dir.path().join("moved"), &link).unwrap();
    assert!(place.follow().is_ok(), "root may link");
    std::os::unix::fs::lchown(&link, Some(12345), None).unwrap();
    let refused = place.follow().err().unwrap();
    assert!(refused.contains("only root's are followed"), "{refused}");
}
