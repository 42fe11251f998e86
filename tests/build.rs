//! Takes the Rust programs out of the guide, so that cargo compiles what people copy.

#[expect(unreachable_pub, reason = "the file is a module of the tests' library, too")]
#[path = "src/guide.rs"]
mod guide;

use std::path::Path;

fn main() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/clients.md");
    println!("cargo::rerun-if-changed={}", path.display());
    let text = std::fs::read_to_string(path).expect("the guide is there");
    let out = std::env::var("OUT_DIR").expect("cargo says where to");
    let programs = guide::guide_programs(&text);
    let rust: Vec<_> = programs.iter().filter(|program| program.language == "rust").collect();
    let [push, worker] = rust.as_slice() else { panic!("the guide has {} Rust programs", rust.len()) };
    for (name, program) in [("push.rs", push), ("worker.rs", worker)] {
        std::fs::write(Path::new(&out).join(name), &program.code).expect("cargo's directory can be written");
    }
}
