//! The build script of the functions: links them to a fixed address. Otherwise the system's loader adjusts tens of thousands of
//! pointers at each start, which takes about a millisecond of five. The heap, the stack and the libraries keep their random
//! addresses. Only the program's own code and constants lose theirs.

#![allow(clippy::print_stdout)]

pub(crate) fn main() {
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|system| system == "linux") {
        println!("cargo:rustc-link-arg-bins=-no-pie");
    }
    println!("cargo:rerun-if-changed=../function_build.rs");
}
