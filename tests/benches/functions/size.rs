//! The size of each stripped program.

use crate::{functions, program};

pub fn measure() {
    for name in &functions() {
        let bytes = program(name).metadata().unwrap().len();
        println!("size of {name:7}                                     {:.1} MB", bytes as f64 / 1e6);
    }
}
