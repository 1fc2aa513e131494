//! Strips the program of profile `dist`. Cargo strips no program whose package has an optimisation level of its own, as this one
//! has there.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("OPT_LEVEL").is_ok_and(|level| level == "s") {
        println!("cargo::rustc-link-arg-bins=-Wl,--strip-all");
    }
}
