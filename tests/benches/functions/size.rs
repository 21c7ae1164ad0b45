//! The size of each stripped program.

use crate::{FUNCTIONS, program};

pub fn measure() {
    for name in FUNCTIONS {
        let bytes = program(name).metadata().unwrap().len();
        println!("size of {name:7}                                     {:.1} MB", bytes as f64 / 1e6);
    }
}
