//! Links the function as all others, and compiles the crate again when a migration is added, since `sqlx::migrate!` reads the folders
//! at compile time.

#![allow(clippy::print_stdout)]

#[path = "../function_build.rs"]
mod function_build;

fn main() {
    function_build::main();
    println!("cargo:rerun-if-changed=../../migrations");
}
