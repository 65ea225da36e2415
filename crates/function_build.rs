//! Links a function to a fixed address. Otherwise the system's loader adjusts tens of thousands of pointers at each start, which
//! takes a millisecond, a fifth of the whole start. The heap, the stack and the libraries keep their random addresses.

#![allow(clippy::print_stdout)]

fn main() {
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|system| system == "linux") {
        println!("cargo:rustc-link-arg-bins=-no-pie");
    }
    println!("cargo:rerun-if-changed=../function_build.rs");
}
