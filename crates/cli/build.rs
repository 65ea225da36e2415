//! Compiles the crate again when a migration is added, since `sqlx::migrate!` reads the folders at compile time.

fn main() {
    println!("cargo:rerun-if-changed=../../migrations");
}
