//! Makes sure that the app's folder exists, so that the coordinator builds before the app does, and that it is built anew
//! when the app has changed. Without the app the process serves a page that says how to build it.

fn main() {
    let app = concat!(env!("CARGO_MANIFEST_DIR"), "/../web/dist");
    // Where the sources can't be written to, an app that is missing stays missing.
    let _made = std::fs::create_dir_all(app);
    println!("cargo:rerun-if-changed={app}");
    println!("cargo:rerun-if-changed=build.rs");
}
